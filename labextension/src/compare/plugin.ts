import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import {
  ICommandPalette,
  InputDialog,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { QueueAPI } from '../api';
import { queueIcon } from '../icons';
import { JobSource } from '../jobSource';
import { OPEN_JOB } from '../jobView/plugin';
import { addToMainArea } from '../mainArea';
import { FEWEST, MOST } from './bounds';
import type { CompareView } from './widget';

/**
 * Opens the comparison of jobs in the main area.
 */
export const COMPARE_JOBS = 'aiqueue:compare-jobs';

/**
 * Jobs side by side, as tabs of the main area.
 */
export const comparePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:compare',
  description: 'Compares the configs, metrics and curves of several jobs.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { contents, events, serverSettings } = app.serviceManager;
    const { commands, shell } = app;
    const tracker = new WidgetTracker<MainAreaWidget<CompareView>>({
      namespace: 'aiqueue-comparisons'
    });

    const open = async (
      ids: readonly string[],
      ledger: string | null
    ): Promise<void> => {
      const isOpen = tracker.find(
        ({ content }) => nameOf(content) === [...new Set(ids)].join('+')
      );
      if (isOpen) {
        shell.activateById(isOpen.id);
        return;
      }
      const [{ CompareModel }, { CompareView }] = await Promise.all([
        import('./model'),
        import('./widget')
      ]);
      const api = new QueueAPI(serverSettings);
      const model = new CompareModel({
        ids,
        source: new JobSource(api, contents, ledger),
        events: events.stream
      });
      const content = new CompareView({
        model,
        onOpen: job =>
          void commands.execute(
            OPEN_JOB,
            ledger === null ? { job } : { job, ledger }
          ),
        trans
      });
      const widget = new MainAreaWidget({ content });
      widget.toolbar.hide();
      addToMainArea(shell, labShell, widget, 'Experiment queue comparison');
      void tracker.add(widget);
      model.stateChanged.connect(() => void tracker.save(widget));
      shell.activateById(widget.id);
    };

    commands.addCommand(COMPARE_JOBS, {
      label: trans.__('Compare Jobs…'),
      caption: trans.__('Show what differs between jobs, and their curves'),
      icon: queueIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            jobs: {
              type: 'array',
              items: { type: 'string' },
              minItems: FEWEST,
              maxItems: MOST,
              description: trans.__('Ids of the jobs; asked for, if not given.')
            },
            ledger: {
              type: 'string',
              description: trans.__(
                'Path of the ledger that has them, which is read when the server does not know the jobs.'
              )
            }
          }
        }
      },
      execute: async args => {
        const ids = Array.isArray(args.jobs)
          ? args.jobs.map(String)
          : await askForJobs(trans);
        if (ids.length >= FEWEST && ids.length <= MOST) {
          await open(ids, typeof args.ledger === 'string' ? args.ledger : null);
        }
      }
    });
    palette?.addItem({
      command: COMPARE_JOBS,
      category: trans.__('Experiment queue')
    });
    if (restorer) {
      void restorer.restore(tracker, {
        command: COMPARE_JOBS,
        args: ({ content }) => argumentsOf(content),
        name: ({ content }) => nameOf(content)
      });
    }
  }
};

function nameOf(view: CompareView): string {
  return view.model.compared.map(({ id }) => id).join('+');
}

function argumentsOf(view: CompareView): ReadonlyPartialJSONObject {
  const { compared, ledger } = view.model;
  const jobs = compared.map(({ id }) => id);
  return ledger === null ? { jobs } : { jobs, ledger };
}

async function askForJobs(trans: TranslationBundle): Promise<string[]> {
  const { value } = await InputDialog.getText({
    title: trans.__('Compare jobs'),
    label: trans.__('Ids of %1 to %2 jobs, separated by spaces', FEWEST, MOST)
  });
  return value?.split(/[\s,]+/).filter(Boolean) ?? [];
}
