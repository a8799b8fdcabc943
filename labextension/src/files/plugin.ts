import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ServerConnection } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { notebookIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { queueIcon } from '../icons';
import { SUFFIX } from '../ledger/ledger';

/**
 * Opens the ledger of a notebook.
 */
export const OPEN_LEDGER = 'aiqueue:open-ledger';

/**
 * Opens the notebook of a ledger.
 */
export const OPEN_NOTEBOOK = 'aiqueue:open-notebook';

const NOTEBOOK = '.ipynb';

/**
 * The way from a notebook to its ledger, and back.
 */
export const filesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:files',
  description: 'Goes from a notebook to its ledger, and back.',
  autoStart: true,
  optional: [
    ITranslator,
    ICommandPalette,
    INotebookTracker,
    IFileBrowserFactory
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    browsers: IFileBrowserFactory | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { commands, serviceManager } = app;

    /** The file that is meant: by its path, by the menu's row, else the current notebook. */
    const pathOf = (args: ReadonlyPartialJSONObject): string | null => {
      if (typeof args.path === 'string') {
        return args.path;
      }
      if (args.isContextMenu) {
        const browser = browsers?.tracker.currentWidget;
        return browser?.selectedItems().next().value?.path ?? null;
      }
      return notebooks?.currentWidget?.context.path ?? null;
    };

    const open = async (
      path: string,
      title: string,
      missing: string
    ): Promise<void> => {
      try {
        await serviceManager.contents.get(path, { content: false });
      } catch (error) {
        const isMissing =
          error instanceof ServerConnection.ResponseError &&
          error.response.status === 404;
        await showErrorMessage(title, isMissing ? missing : (error as Error));
        return;
      }
      await commands.execute('docmanager:open', { path });
    };

    const describedBy = (description: string) =>
      ({
        args: {
          type: 'object',
          properties: {
            path: { type: 'string', description },
            isContextMenu: {
              type: 'boolean',
              description: trans.__(
                'Take the file that is selected in the file browser.'
              )
            }
          }
        }
      }) as const;

    commands.addCommand(OPEN_LEDGER, {
      label: trans.__('Show Jobs of This Notebook'),
      caption: trans.__('Open the table of all jobs that a notebook submitted'),
      icon: queueIcon,
      describedBy: describedBy(
        trans.__('Path of the notebook; the current one, if not given.')
      ),
      isEnabled: args => pathOf(args)?.endsWith(NOTEBOOK) ?? false,
      execute: async args => {
        const path = pathOf(args);
        if (path?.endsWith(NOTEBOOK)) {
          await open(
            path.slice(0, -NOTEBOOK.length) + SUFFIX,
            trans.__('No jobs'),
            trans.__(
              'No job of %1 has been recorded yet.',
              PathExt.basename(path)
            )
          );
        }
      }
    });

    commands.addCommand(OPEN_NOTEBOOK, {
      label: trans.__('Open Its Notebook'),
      caption: trans.__('Open the notebook that a ledger belongs to'),
      icon: notebookIcon,
      describedBy: describedBy(trans.__('Path of the ledger.')),
      isEnabled: args => pathOf(args)?.endsWith(SUFFIX) ?? false,
      execute: async args => {
        const path = pathOf(args);
        if (path?.endsWith(SUFFIX)) {
          const notebook = path.slice(0, -SUFFIX.length) + NOTEBOOK;
          await open(
            notebook,
            trans.__('No notebook'),
            trans.__('There is no %1.', PathExt.basename(notebook))
          );
        }
      }
    });

    palette?.addItem({
      command: OPEN_LEDGER,
      category: trans.__('Experiment queue')
    });
  }
};
