import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRecord } from '../api';
import type { BulkAction } from './bulk';

interface IQuestion {
  readonly title: string;
  readonly body: string;
  readonly accept: string;
}

/**
 * Ask once whether something shall be done with several jobs.
 *
 * @returns Whether it shall.
 */
export async function confirmBulk(
  action: BulkAction,
  jobs: readonly IJobRecord[],
  trans: TranslationBundle
): Promise<boolean> {
  const { title, body, accept } = question(action, jobs, trans);
  const { button } = await showDialog({
    title,
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Leave them') }),
      action === 'retry'
        ? Dialog.okButton({ label: accept })
        : Dialog.warnButton({ label: accept })
    ],
    defaultButton: 0
  });
  return button.accept;
}

function question(
  action: BulkAction,
  jobs: readonly IJobRecord[],
  trans: TranslationBundle
): IQuestion {
  const count = jobs.length;
  switch (action) {
    case 'cancel': {
      const running = jobs.filter(({ state }) => state === 'running').length;
      return {
        title: trans._n('Cancel %1 job?', 'Cancel %1 jobs?', count),
        body:
          running === 0
            ? trans.__('They are taken out of the line.')
            : trans.__(
                '%1 of them are running: they are stopped, and what they have done so far is lost unless it was saved.',
                running
              ),
        accept: trans._n('Cancel %1 job', 'Cancel %1 jobs', count)
      };
    }
    case 'retry':
      return {
        title: trans._n('Submit %1 job again?', 'Submit %1 jobs again?', count),
        body: trans.__('Each is submitted as a new job with the same config.'),
        accept: trans._n('Submit %1 job', 'Submit %1 jobs', count)
      };
    case 'remove':
      return {
        title: trans._n('Delete %1 record?', 'Delete %1 records?', count),
        body: trans.__(
          'These jobs are not listed any more. Their ledgers are only appended to: what happened stays written in the files. Dead letters and run folders stay, too.'
        ),
        accept: trans._n('Delete %1 record', 'Delete %1 records', count)
      };
  }
}
