import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IJobRecord } from '../api';
import type { JobsModel } from '../jobs';
import { jobTitle, shortId } from '../state';
import { Banner, IconButton, Sentence } from '../widgets/frame';
import type { BulkAction, IOutcome } from './bulk';
import { confirmBulk } from './confirm';

const ACTIONS: readonly BulkAction[] = ['cancel', 'retry', 'remove'];

/**
 * Failures that are told one by one.
 */
const TOLD = 5;

/**
 * What can be done with the selected jobs, and what became of it.
 */
export function BulkBar(props: {
  jobs: JobsModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { jobs, trans } = props;
  const { bulk, list } = jobs;
  const { outcome, running } = bulk;
  const selection = list.selection;
  const run = async (
    action: BulkAction,
    allowed: readonly IJobRecord[]
  ): Promise<void> => {
    if (await confirmBulk(action, allowed, trans)) {
      await bulk.run(action, allowed);
    }
  };
  return (
    <>
      {(selection.length > 0 || running !== null) && (
        <div
          aria-label={trans.__('Selected jobs')}
          className="jp-AIQueue-bulk"
          role="toolbar"
        >
          <span aria-live="polite" className="jp-AIQueue-selected">
            {running === null
              ? trans._n('%1 selected', '%1 selected', selection.length)
              : trans.__('%1 of %2 done', running.done, running.of)}
          </span>
          {ACTIONS.map(action => {
            const allowed = bulk.allowed(action);
            return (
              <button
                className="jp-AIQueue-bulkAction"
                data-aiq-bulk={action}
                disabled={allowed.length === 0 || running !== null}
                key={action}
                onClick={() => void run(action, allowed)}
                title={explain(action, trans)}
                type="button"
              >
                {word(action, trans)}
                {allowed.length > 0 && ` ${allowed.length}`}
              </button>
            );
          })}
          <button
            className="jp-AIQueue-bulkAction"
            data-aiq-bulk="copy"
            disabled={selection.length === 0}
            onClick={() =>
              Clipboard.copyToSystem(
                selection.map(({ job_id }) => job_id).join('\n')
              )
            }
            type="button"
          >
            {trans.__('Copy ids')}
          </button>
          <IconButton
            icon={closeIcon}
            label={trans.__('Select none')}
            onClick={() => list.clearSelection()}
          />
        </div>
      )}
      {outcome && outcome.failures.length > 0 && (
        <Banner
          action={{
            label: trans.__('Dismiss'),
            onClick: () => bulk.dismiss()
          }}
          kind="warning"
          name="bulk"
        >
          <Outcome outcome={outcome} trans={trans} />
        </Banner>
      )}
    </>
  );
}

function Outcome(props: {
  outcome: IOutcome;
  trans: TranslationBundle;
}): JSX.Element {
  const { outcome, trans } = props;
  const { failures } = outcome;
  const more = failures.length - TOLD;
  return (
    <>
      <p>{sumUp(outcome, trans)}</p>
      <ul>
        {failures.slice(0, TOLD).map(({ job, message }) => (
          <li key={job.job_id}>
            {jobTitle(job, trans)}{' '}
            <span className="jp-AIQueue-jobId">{shortId(job.job_id)}</span>
            {': '}
            <Sentence text={message} />
          </li>
        ))}
        {more > 0 && <li>{trans._n('%1 more', '%1 more', more)}</li>}
      </ul>
    </>
  );
}

function sumUp(
  { action, done, failures }: IOutcome,
  trans: TranslationBundle
): string {
  const of = done + failures.length;
  switch (action) {
    case 'cancel':
      return trans.__('%1 of %2 jobs were not cancelled:', failures.length, of);
    case 'retry':
      return trans.__(
        '%1 of %2 jobs were not submitted again:',
        failures.length,
        of
      );
    case 'remove':
      return trans.__(
        '%1 of %2 records were not deleted:',
        failures.length,
        of
      );
  }
}

function word(action: BulkAction, trans: TranslationBundle): string {
  switch (action) {
    case 'cancel':
      return trans.__('Cancel');
    case 'retry':
      return trans.__('Retry');
    case 'remove':
      return trans.__('Delete record');
  }
}

function explain(action: BulkAction, trans: TranslationBundle): string {
  switch (action) {
    case 'cancel':
      return trans.__('Cancel those of them that are not over');
    case 'retry':
      return trans.__('Submit those of them that are over again');
    case 'remove':
      return trans.__('Delete the records of those of them that are over');
  }
}
