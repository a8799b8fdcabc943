import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILabShell } from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  Notification
} from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { ISubmitted } from '../api';
import { QueueAPI } from '../api';
import { queueIcon } from '../icons';
import { OPEN_JOB } from '../jobView/plugin';
import { jobTitle, shortId } from '../state';
import { IExperimentQueue } from '../tokens';
import type { SubmitView } from './widget';

/**
 * Opens the form for an experiment of the current notebook.
 */
export const SUBMIT = 'aiqueue:submit';

/**
 * How long it is said that a job is submitted, milliseconds.
 */
const SAID_MS = 4000;

/**
 * The form to submit experiments of a notebook; the button in notebooks' toolbars is in
 * `schema/submit.json`.
 */
export const submitPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aiqueue:submit',
  description: 'Submits experiments of a notebook from a form.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ICommandPalette, ILabShell, IExperimentQueue],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    labShell: ILabShell | null,
    queue: IExperimentQueue | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_aiqueue');
    const { contents, serverSettings } = app.serviceManager;
    const { commands, shell } = app;
    const api = new QueueAPI(serverSettings);
    const forms = new Map<NotebookPanel, MainAreaWidget<SubmitView>>();

    const done = ({ job, notes }: ISubmitted): void => {
      queue?.model.jobs.select(job.job_id);
      const said = trans.__(
        'Submitted %1 (%2).',
        jobTitle(job, trans),
        shortId(job.job_id)
      );
      const options: Notification.IOptions<null> = {
        // What the submitter should know stays until it is read.
        autoClose: notes.length > 0 ? false : SAID_MS,
        actions: [
          {
            label: trans.__('Open'),
            callback: () => void commands.execute(OPEN_JOB, { job: job.job_id })
          }
        ]
      };
      if (notes.length > 0) {
        Notification.warning([said, ...notes].join(' '), options);
      } else {
        Notification.success(said, options);
      }
    };

    const open = async (
      panel: NotebookPanel,
      job: string | null
    ): Promise<MainAreaWidget<SubmitView>> => {
      const [{ SubmitModel }, { SubmitView }] = await Promise.all([
        import('./model'),
        import('./widget')
      ]);
      const close = (): void => {
        widget.dispose();
        if (!panel.isDisposed) {
          shell.activateById(panel.id);
        }
      };
      const content = new SubmitView({
        model: new SubmitModel({
          api,
          job,
          load: () => queue?.model.load ?? null,
          notebook: () => contents.localPath(panel.context.path)
        }),
        onClose: close,
        onDone: submitted => {
          close();
          done(submitted);
        },
        trans
      });
      const widget = new MainAreaWidget({ content });
      widget.id = `jp-aiqueue-submit-${panel.id}`;
      widget.toolbar.hide();
      return widget;
    };

    commands.addCommand(SUBMIT, {
      label: trans.__('Submit experiment'),
      caption: trans.__('Submit experiment to the queue'),
      icon: queueIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            job: {
              type: 'string',
              description: trans.__(
                'Id of the job that the form is made from; the newest of the notebook, if not given.'
              )
            }
          }
        }
      },
      isEnabled: () => notebooks.currentWidget !== null,
      execute: async args => {
        const panel = notebooks.currentWidget;
        if (panel === null) {
          return;
        }
        const job = typeof args.job === 'string' ? args.job : null;
        const made = forms.has(panel) ? null : await open(panel, job);
        let form = forms.get(panel);
        if (form !== undefined) {
          made?.dispose();
        } else if (made !== null) {
          form = made;
          forms.set(panel, form);
          form.disposed.connect(() => forms.delete(panel));
          // Beside the notebook: one looks things up there while one types.
          if (labShell === null) {
            shell.add(form, 'right', { type: 'Experiment queue form' });
          } else {
            labShell.add(form, 'main', {
              mode: 'split-right',
              ref: panel.id,
              type: 'Experiment queue form'
            });
          }
        }
        if (form !== undefined) {
          shell.activateById(form.id);
        }
      }
    });
    palette?.addItem({
      command: SUBMIT,
      category: trans.__('Experiment queue')
    });
    notebooks.currentChanged.connect(() =>
      commands.notifyCommandChanged(SUBMIT)
    );
  }
};
