import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  copyIcon,
  redoIcon,
  refreshIcon,
  runIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IJobRecord } from './api';
import { confirmCancel } from './confirmCancel';
import { queueIcon } from './icons';
import type { QueueModel } from './model';
import { canCancel, canRelease, canRetry } from './state';

/**
 * The commands of this extension.
 */
export namespace CommandIDs {
  export const open = 'aiqueue:open';
  export const refresh = 'aiqueue:refresh';
  export const cancel = 'aiqueue:cancel';
  export const release = 'aiqueue:release';
  export const retry = 'aiqueue:retry';
  export const copyId = 'aiqueue:copy-id';
}

/**
 * The commands that make sense without arguments, for the palette.
 */
export const PALETTE = [
  CommandIDs.open,
  CommandIDs.refresh,
  CommandIDs.cancel,
  CommandIDs.release,
  CommandIDs.retry,
  CommandIDs.copyId
];

const NO_ARGUMENTS = { args: { type: 'object', properties: {} } } as const;

/**
 * What `addCommands` needs to know.
 */
export interface ICommandOptions {
  app: JupyterFrontEnd;
  model: QueueModel;
  trans: TranslationBundle;

  /**
   * Id of the sidebar's widget.
   */
  sidebar: string;

  /**
   * Whether to ask before a running job is cancelled.
   */
  confirmsCancel: () => boolean;
}

/**
 * Add the commands to the application.
 */
export function addCommands(options: ICommandOptions): void {
  const { app, model, trans } = options;
  const { commands } = app;

  const jobArgument = {
    args: {
      type: 'object',
      properties: {
        job: {
          type: 'string',
          description: trans.__(
            'Id of the job; the one whose details are open, if not given.'
          )
        },
        isContextMenu: {
          type: 'boolean',
          description: trans.__('Take the job of the row under the menu.')
        }
      }
    }
  } as const;

  const jobOf = (args: ReadonlyPartialJSONObject): IJobRecord | undefined => {
    const row = args.isContextMenu
      ? app.contextMenuHitTest(node => !!node.dataset.aiqJob)
      : undefined;
    const id =
      typeof args.job === 'string'
        ? args.job
        : (row?.dataset.aiqJob ?? model.jobs.selected?.id);
    return id === undefined ? undefined : model.jobs.find(id);
  };

  commands.addCommand(CommandIDs.open, {
    label: trans.__('Show Experiment Queue'),
    caption: trans.__('Show how busy the shared machines are, and your jobs'),
    icon: queueIcon,
    describedBy: NO_ARGUMENTS,
    execute: () => app.shell.activateById(options.sidebar)
  });

  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Experiment Queue'),
    caption: trans.__('Ask for the load and the jobs now'),
    icon: refreshIcon,
    describedBy: NO_ARGUMENTS,
    execute: () => model.refresh()
  });

  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel Job'),
    caption: trans.__(
      'Take a waiting job out of the queue, or stop a running one'
    ),
    icon: stopIcon,
    describedBy: jobArgument,
    isEnabled: args => {
      const job = jobOf(args);
      return job !== undefined && canCancel(job);
    },
    execute: async args => {
      const job = jobOf(args);
      if (job === undefined) {
        return;
      }
      if (
        job.state === 'running' &&
        options.confirmsCancel() &&
        !(await confirmCancel(job, trans))
      ) {
        return;
      }
      await model.jobs.cancel(job.job_id);
    }
  });

  commands.addCommand(CommandIDs.release, {
    label: trans.__('Release Job'),
    caption: trans.__('Put a held job in line now, whatever it waits for'),
    icon: runIcon,
    describedBy: jobArgument,
    isEnabled: args => {
      const job = jobOf(args);
      return job !== undefined && canRelease(job);
    },
    execute: async args => {
      const job = jobOf(args);
      if (job !== undefined) {
        await model.jobs.release(job.job_id);
      }
    }
  });

  commands.addCommand(CommandIDs.retry, {
    label: trans.__('Retry Job'),
    caption: trans.__('Submit a job that is over again, with the same config'),
    icon: redoIcon,
    describedBy: jobArgument,
    isEnabled: args => {
      const job = jobOf(args);
      return job !== undefined && canRetry(job);
    },
    execute: async args => {
      const job = jobOf(args);
      if (job !== undefined) {
        await model.jobs.retry(job.job_id);
      }
    }
  });

  commands.addCommand(CommandIDs.copyId, {
    label: trans.__('Copy Job Id'),
    caption: trans.__('Copy the id of a job to the clipboard'),
    icon: copyIcon,
    describedBy: jobArgument,
    isEnabled: args => jobOf(args) !== undefined,
    execute: args => {
      const job = jobOf(args);
      if (job !== undefined) {
        Clipboard.copyToSystem(job.job_id);
      }
    }
  });
}
