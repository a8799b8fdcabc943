import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, redoIcon, stopIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { IJobRecord } from '../api';
import type { ServerClock } from '../clock';
import { CommandIDs } from '../commands';
import { briefly, localTime } from '../duration';
import { stateIcons } from '../icons';
import type { Action } from '../jobActions';
import { formatValue, orderedMetrics } from '../quantity';
import {
  canCancel,
  canRetry,
  isFinal,
  jobTitle,
  shortId,
  stateWord
} from '../state';
import { Age, IconButton, Sentence } from './frame';
import { JobDetails } from './jobDetails';

/**
 * Metrics or parameters that fit on the second line.
 */
const BRIEF = 2;

/**
 * What a row shows. All of it is compared before a row is drawn again.
 */
export interface IJobRowProps {
  action: Action | null;
  actionFailure: string | null;
  clock: ServerClock;
  commands: CommandRegistry;
  isOpen: boolean;
  job: IJobRecord;
  logFailure: string | null;
  logText: string | null;
  onSelect: (id: string) => void;
  showsNotebook: boolean;
  trans: TranslationBundle;
}

/**
 * One job: two lines, and the details when it is open.
 */
export const JobRow = React.memo((props: IJobRowProps): JSX.Element => {
  const { clock, isOpen, job, onSelect, trans } = props;
  const format = React.useCallback(
    (age: number) => briefly(age, trans),
    [trans]
  );
  const title = jobTitle(job, trans);
  const [moment, what] = momentOf(job, trans);
  const details = `jp-AIQueue-details-${job.job_id}`;
  const Icon = stateIcons[job.state] ?? stateIcons.held;
  return (
    <li
      className={`jp-AIQueue-job ${isOpen ? 'jp-mod-open' : ''}`}
      data-aiq-job={job.job_id}
      data-aiq-state={job.state}
    >
      <div
        className="jp-AIQueue-jobSummary"
        onClick={() => onSelect(job.job_id)}
        title={job.reason ?? undefined}
      >
        <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
        <button
          aria-controls={isOpen ? details : undefined}
          aria-expanded={isOpen}
          className="jp-AIQueue-jobToggle"
          onClick={event => {
            event.stopPropagation();
            onSelect(job.job_id);
          }}
          type="button"
        >
          <span className="jp-AIQueue-jobTitle">{title}</span>
          <span className="jp-AIQueue-jobId" title={job.job_id}>
            {shortId(job.job_id)}
          </span>
        </button>
        {moment && (
          <Age
            className="jp-AIQueue-age"
            clock={clock}
            format={format}
            since={moment}
            title={`${what} ${localTime(moment)}`}
          />
        )}
        <Actions {...props} title={title} />
        <div className="jp-AIQueue-facts">
          <span className="jp-AIQueue-state">{stateWord(job, trans)}</span>
          <Facts job={job} trans={trans} />
          {props.showsNotebook && <Notebook job={job} />}
        </div>
      </div>
      {props.actionFailure && (
        <p className="jp-AIQueue-actionFailure" role="alert">
          <Sentence text={props.actionFailure} />
        </p>
      )}
      {isOpen && (
        <JobDetails
          clock={clock}
          id={details}
          job={job}
          logFailure={props.logFailure}
          logText={props.logText}
          trans={trans}
        />
      )}
    </li>
  );
});
JobRow.displayName = 'JobRow';

/**
 * What can be done with the job.
 */
function Actions(props: IJobRowProps & { title: string }): JSX.Element {
  const { action, commands, job, title, trans } = props;
  const args = { job: job.job_id };
  return (
    <span className="jp-AIQueue-actions">
      {canCancel(job) && (
        <IconButton
          className="jp-AIQueue-cancel"
          disabled={action !== null}
          icon={job.state === 'running' ? stopIcon : closeIcon}
          label={trans.__('Cancel %1', title)}
          onClick={() => void commands.execute(CommandIDs.cancel, args)}
        />
      )}
      {canRetry(job) && (
        <IconButton
          className="jp-AIQueue-retry"
          disabled={action !== null}
          icon={redoIcon}
          label={trans.__('Retry %1', title)}
          onClick={() => void commands.execute(CommandIDs.retry, args)}
        />
      )}
    </span>
  );
}

/**
 * Progress and metrics, or why it failed. A job that has reported nothing yet is told from
 * its like by its parameters.
 */
function Facts(props: {
  job: IJobRecord;
  trans: TranslationBundle;
}): JSX.Element {
  const { job, trans } = props;
  const showsProgress = job.progress !== null && !isFinal(job.state);
  const text = brief(job);
  return (
    <>
      {showsProgress && <Progress trans={trans} value={job.progress ?? 0} />}
      <span className="jp-AIQueue-brief" title={text}>
        {text}
      </span>
    </>
  );
}

function brief(job: IJobRecord): string {
  const failed = ['failed', 'dead', 'retrying'].includes(job.state);
  if (failed && job.reason) {
    return job.reason;
  }
  const names = orderedMetrics(job.metrics);
  const [keys, values] =
    names.length > 0 || job.progress !== null
      ? [names, job.metrics]
      : [Object.keys(job.config).filter(isParameter), job.config];
  return keys
    .slice(0, BRIEF)
    .map(key => `${key} ${formatValue(values[key])}`)
    .join(' · ');
}

/**
 * Whether a key of the config says something of the experiment. `task_id` is the job's id,
 * put there for consumers that read nothing but the body.
 */
function isParameter(key: string): boolean {
  return key !== 'task_id';
}

/**
 * The name of the notebook that the job came from.
 */
function Notebook(props: { job: IJobRecord }): JSX.Element | null {
  const path = props.job.path ?? props.job.notebook;
  return path === null ? null : (
    <span className="jp-AIQueue-notebook" title={path}>
      {path.slice(path.lastIndexOf('/') + 1).replace(/\.ipynb$/, '')}
    </span>
  );
}

function Progress(props: {
  trans: TranslationBundle;
  value: number;
}): JSX.Element {
  const percent = Math.round(Math.min(1, Math.max(0, props.value)) * 100);
  return (
    <>
      <span
        aria-label={props.trans.__('Progress')}
        aria-valuemax={100}
        aria-valuemin={0}
        aria-valuenow={percent}
        className="jp-AIQueue-progress"
        role="progressbar"
      >
        <span style={{ width: `${percent}%` }} />
      </span>
      <span className="jp-AIQueue-percent">{percent} %</span>
    </>
  );
}

/**
 * The moment that a row's age counts from, and what happened then.
 */
function momentOf(
  job: IJobRecord,
  trans: TranslationBundle
): [string | null, string] {
  if (isFinal(job.state) && job.ended_at) {
    return [job.ended_at, trans.__('ended')];
  }
  if (job.state === 'running' && job.started_at) {
    return [job.started_at, trans.__('started')];
  }
  return [job.submitted_at, trans.__('submitted')];
}
