import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ILabShell,
  ILayoutRestorer,
  JupyterLab
} from '@jupyterlab/application';
import {
  Clipboard,
  ICommandPalette,
  InputDialog,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { QueueAPI } from '../api';
import { confirmCancel } from '../confirmCancel';
import { queueIcon } from '../icons';
import { JobSource } from '../jobSource';
import { addToMainArea } from '../mainArea';
import { IExperimentQueue } from '../tokens';
import { findNotebook, insertCell, resultCell, showCell } from './notebook';
import type { IJobViewActions, JobView } from './widget';

/**
 * Opens a job in the main area.
 */
export const OPEN_JOB = 'aiqueue:open-job';

/**
 * The settings that count are those of the sidebar.
 */
const SETTINGS = 'jupyter-aiqueue:plugin';

/**
 * The rows of jobs in the sidebar.
 */
const ROW = '.jp-AIQueue-job';

/**
 * Jobs as tabs of the main area.
 */
export const jobViewPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:job-view',
  description: 'Shows one job with its past, its curves and its output, live.',
  autoStart: true,
  optional: [
    ITranslator,
    ICommandPalette,
    ILayoutRestorer,
    ILabShell,
    INotebookTracker,
    ISettingRegistry,
    IExperimentQueue,
    JupyterLab.IInfo
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null,
    notebooks: INotebookTracker | null,
    settingRegistry: ISettingRegistry | null,
    queue: IExperimentQueue | null,
    info: JupyterLab.IInfo | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { contents, events, serverSettings } = app.serviceManager;
    const { commands, shell } = app;
    const api = new QueueAPI(serverSettings);
    const tracker = new WidgetTracker<MainAreaWidget<JobView>>({
      namespace: 'aiqueue-jobs'
    });
    const asksBeforeCancel = readSetting(settingRegistry);

    const openNotebook = async (path: string, id: string): Promise<void> => {
      const open = notebooks && findNotebook(notebooks, contents, path);
      if (open) {
        shell.activateById(open.id);
      }
      const panel: unknown =
        open ?? (await commands.execute('docmanager:open', { path }));
      if (panel instanceof NotebookPanel) {
        await showCell(panel, id);
      }
    };

    const actions: IJobViewActions = {
      confirmCancel: async ({ job }) =>
        job !== null && (!asksBeforeCancel() || confirmCancel(job, trans)),
      copy: text => Clipboard.copyToSystem(text),
      get insertCell() {
        const panel = notebooks?.currentWidget;
        return panel
          ? (id: string) => {
              insertCell(panel, resultCell(id));
              shell.activateById(panel.id);
            }
          : null;
      },
      openJob: id => void commands.execute(OPEN_JOB, { job: id }),
      openNotebook: (path, id) => {
        openNotebook(path, id).catch((reason: unknown) => {
          console.error(`The notebook ${path} was not opened.`, reason);
        });
      }
    };

    const create = async (
      id: string,
      ledger: string | null
    ): Promise<MainAreaWidget<JobView>> => {
      const [{ JobViewModel }, { JobView }] = await Promise.all([
        import('./model'),
        import('./widget')
      ]);
      const model = new JobViewModel({
        id,
        api,
        source: new JobSource(api, contents, ledger),
        events: events.stream,
        isConnected: () => info?.isConnected ?? true,
        minimumInterval: queue?.model.minimumInterval
      });
      const content = new JobView({ actions, model, trans });
      const widget = new MainAreaWidget({ content });
      widget.id = `jp-aiqueue-job-${id}`;
      widget.toolbar.hide();
      return widget;
    };

    const open = async (id: string, ledger: string | null): Promise<void> => {
      const isOpen = (): MainAreaWidget<JobView> | undefined =>
        tracker.find(({ content }) => content.model?.id === id);
      let widget = isOpen();
      if (widget === undefined) {
        const created = await create(id, ledger);
        widget = isOpen();
        if (widget === undefined) {
          widget = created;
          addToMainArea(shell, labShell, widget, 'Experiment queue job');
          void tracker.add(widget);
        } else {
          created.dispose();
        }
      }
      shell.activateById(widget.id);
    };

    /** The job that is meant: by its id, by the menu's row, by the sidebar, else asked for. */
    const jobOf = async (
      args: ReadonlyPartialJSONObject
    ): Promise<string | null> => {
      if (typeof args.job === 'string') {
        return args.job;
      }
      if (args.isContextMenu) {
        const row = app.contextMenuHitTest(node => !!node.dataset.aiqJob);
        return row?.dataset.aiqJob ?? null;
      }
      return queue?.model.jobs.selected?.id ?? (await askForJob(trans));
    };

    commands.addCommand(OPEN_JOB, {
      label: args =>
        args.isContextMenu
          ? trans.__('Open Job in a Tab')
          : trans.__('Open Job…'),
      caption: trans.__('Show a job with its past, its curves and its output'),
      icon: queueIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            job: {
              type: 'string',
              description: trans.__(
                'Id of the job; asked for, if not given and no details are open.'
              )
            },
            ledger: {
              type: 'string',
              description: trans.__(
                'Path of the ledger that has it, which is read when the server does not know the job.'
              )
            },
            isContextMenu: {
              type: 'boolean',
              description: trans.__('Take the job of the row under the menu.')
            }
          }
        }
      },
      execute: async args => {
        const id = await jobOf(args);
        if (id) {
          await open(id, typeof args.ledger === 'string' ? args.ledger : null);
        }
      }
    });
    palette?.addItem({
      command: OPEN_JOB,
      category: trans.__('Experiment queue')
    });
    app.contextMenu.addItem({
      command: OPEN_JOB,
      args: { isContextMenu: true },
      selector: ROW,
      rank: 0
    });
    notebooks?.currentChanged.connect(() => {
      // Whether there is a notebook to insert into.
      tracker.forEach(({ content }) => content.update());
    });
    if (restorer) {
      void restorer.restore(tracker, {
        command: OPEN_JOB,
        args: ({ content }) => argumentsOf(content),
        name: ({ content }) => content.model?.id ?? ''
      });
    }
  }
};

function argumentsOf(view: JobView): ReadonlyPartialJSONObject {
  const { id, source } = view.model;
  return source.ledger === null
    ? { job: id }
    : { job: id, ledger: source.ledger };
}

async function askForJob(trans: TranslationBundle): Promise<string | null> {
  const { value } = await InputDialog.getText({
    title: trans.__('Open a job'),
    label: trans.__('Id of the job')
  });
  return value?.trim() || null;
}

/**
 * Whether to ask before a running job is cancelled.
 */
function readSetting(registry: ISettingRegistry | null): () => boolean {
  let settings: ISettingRegistry.ISettings | null = null;
  registry
    ?.load(SETTINGS)
    .then(loaded => {
      settings = loaded;
    })
    .catch((reason: unknown) => {
      console.error('Settings of jupyter-aiqueue were not read.', reason);
    });
  return () => (settings?.get('confirmCancel').composite ?? true) as boolean;
}
