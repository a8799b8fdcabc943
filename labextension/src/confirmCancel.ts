import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRecord } from './api';
import { jobTitle } from './state';

/**
 * Ask whether a running job shall be cancelled.
 *
 * @returns Whether it shall.
 */
export async function confirmCancel(
  job: IJobRecord,
  trans: TranslationBundle
): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Cancel the running job?'),
    body: trans.__(
      '“%1” (%2) is stopped, and what it has done so far is lost unless it was saved.',
      jobTitle(job, trans),
      job.job_id
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep running') }),
      Dialog.warnButton({ label: trans.__('Cancel job') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
