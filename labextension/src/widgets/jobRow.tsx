import type { TranslationBundle } from '@jupyterlab/translation';
import {
  closeIcon,
  redoIcon,
  runIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { IForecastReply, IJobRecord } from '../api';
import type { ServerClock } from '../clock';
import { CommandIDs } from '../commands';
import { briefly, localTime } from '../duration';
import { missingText, placeOf, whenText } from '../expectation';
import { stateIcons } from '../icons';
import type { Action } from '../jobActions';
import { formatValue, orderedMetrics } from '../quantity';
import {
  canCancel,
  canRelease,
  canRetry,
  isFinal,
  jobTitle,
  shortId,
  stateWord
} from '../state';
import { Age, IconButton, Progress, Sentence } from './frame';
import { JobDetails } from './jobDetails';

/**
 * Metrics or parameters that fit on the second line.
 */
const BRIEF = 2;

/**
 * What a row shows. All of it is compared before a row is drawn again.
 */
export interface IJobRowProps {
  /**
   * Id of the row's element.
   */
  id: string;

  /**
   * Place in the list, from 0.
   */
  index: number;

  /**
   * Whether the keyboard is at this row.
   */
  isActive: boolean;
  isSelected: boolean;
  action: Action | null;
  actionFailure: string | null;
  clock: ServerClock;
  commands: CommandRegistry;
  forecast: IForecastReply | null;
  isOpen: boolean;
  job: IJobRecord;
  logFailure: string | null;
  logText: string | null;
  onSee: (id: string, isSeen: boolean) => void;
  onOpen: (id: string) => void;

  /**
   * Select the job, or no longer; with `extend`, everything up to it.
   */
  onSelect: (id: string, extend: boolean) => void;
  showsNotebook: boolean;
  trans: TranslationBundle;
}

/**
 * One job: two lines, and the details when it is open.
 */
export const JobRow = React.memo((props: IJobRowProps): JSX.Element => {
  const { clock, forecast, isActive, isOpen, isSelected, job, trans } = props;
  const { onOpen, onSelect } = props;
  const row = React.useRef<HTMLDivElement>(null);
  useSight(row, job.job_id, job.state === 'queued', props.onSee);
  const format = React.useCallback(
    (age: number) => briefly(age, trans),
    [trans]
  );
  const title = jobTitle(job, trans);
  const [moment, what] = momentOf(job, trans);
  const details = `jp-AIQueue-details-${job.job_id}`;
  const Icon = stateIcons[job.state] ?? stateIcons.held;
  // The arrow keys go from row to row, and Tab through the one they are at.
  const tabIndex = isActive ? 0 : -1;
  const marks = [
    isActive ? 'jp-mod-active' : '',
    isOpen ? 'jp-mod-open' : '',
    isSelected ? 'jp-mod-selected' : ''
  ];
  return (
    <div
      aria-rowindex={props.index + 1}
      aria-selected={isSelected}
      className={`jp-AIQueue-job ${marks.join(' ')}`}
      data-aiq-job={job.job_id}
      data-aiq-state={job.state}
      id={props.id}
      ref={row}
      role="row"
    >
      <div className="jp-AIQueue-jobSelect" role="gridcell">
        <input
          aria-label={trans.__('Select %1', title)}
          checked={isSelected}
          onChange={() => undefined}
          onClick={event => onSelect(job.job_id, event.shiftKey)}
          tabIndex={tabIndex}
          type="checkbox"
        />
      </div>
      <div
        className="jp-AIQueue-jobSummary"
        onClick={event => {
          if (event.shiftKey || event.ctrlKey || event.metaKey) {
            onSelect(job.job_id, event.shiftKey);
          } else {
            onOpen(job.job_id);
          }
        }}
        onMouseDown={event => {
          if (event.shiftKey) {
            event.preventDefault(); // selects rows, and no text
          }
        }}
        role="gridcell"
        title={job.reason ?? undefined}
      >
        <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
        <button
          aria-controls={isOpen ? details : undefined}
          aria-expanded={isOpen}
          className="jp-AIQueue-jobToggle"
          tabIndex={tabIndex}
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
        <Actions {...props} tabIndex={tabIndex} title={title} />
        <div className="jp-AIQueue-facts">
          <span className="jp-AIQueue-state">{stateWord(job, trans)}</span>
          {job.state === 'queued' && forecast && (
            <Outlook reply={forecast} trans={trans} />
          )}
          <Facts job={job} trans={trans} />
          {props.showsNotebook && <Notebook job={job} />}
        </div>
      </div>
      {(props.actionFailure || isOpen) && (
        <div role="gridcell">
          {props.actionFailure && (
            <p className="jp-AIQueue-actionFailure" role="alert">
              <Sentence text={props.actionFailure} />
            </p>
          )}
          {isOpen && (
            <JobDetails
              clock={clock}
              forecast={forecast}
              id={details}
              job={job}
              logFailure={props.logFailure}
              logText={props.logText}
              trans={trans}
            />
          )}
        </div>
      )}
    </div>
  );
});
JobRow.displayName = 'JobRow';

/**
 * What can be done with the job.
 */
function Actions(
  props: IJobRowProps & { tabIndex: number; title: string }
): JSX.Element {
  const { action, commands, job, tabIndex, title, trans } = props;
  const args = { job: job.job_id };
  return (
    <span className="jp-AIQueue-actions">
      {canRelease(job) && (
        <IconButton
          className="jp-AIQueue-release"
          disabled={action !== null}
          icon={runIcon}
          label={trans.__('Release %1 now', title)}
          onClick={() => void commands.execute(CommandIDs.release, args)}
          tabIndex={tabIndex}
        />
      )}
      {canCancel(job) && (
        <IconButton
          className="jp-AIQueue-cancel"
          disabled={action !== null}
          icon={job.state === 'running' ? stopIcon : closeIcon}
          label={trans.__('Cancel %1', title)}
          onClick={() => void commands.execute(CommandIDs.cancel, args)}
          tabIndex={tabIndex}
        />
      )}
      {canRetry(job) && (
        <IconButton
          className="jp-AIQueue-retry"
          disabled={action !== null}
          icon={redoIcon}
          label={trans.__('Retry %1', title)}
          onClick={() => void commands.execute(CommandIDs.retry, args)}
          tabIndex={tabIndex}
        />
      )}
    </span>
  );
}

/**
 * Place in line and expected start, with the reason on hover.
 */
function Outlook(props: {
  reply: IForecastReply;
  trans: TranslationBundle;
}): JSX.Element {
  const { reply, trans } = props;
  const { forecast, missing } = reply;
  if (forecast === null) {
    return (
      <span className="jp-AIQueue-expected" title={missing ?? undefined}>
        {trans.__('start unknown')}
      </span>
    );
  }
  const when = whenText(forecast.start, trans);
  return (
    <span className="jp-AIQueue-expected" title={forecast.sentences.join('\n')}>
      {trans.__('no. %1 in line', placeOf(forecast))}
      {', '}
      {when ?? missingText(forecast.start.missing, trans)}
    </span>
  );
}

/**
 * Tell whether the row can be seen, while it is `wanted`.
 */
function useSight(
  row: React.RefObject<HTMLElement>,
  id: string,
  isWanted: boolean,
  onSee: (id: string, isSeen: boolean) => void
): void {
  React.useEffect(() => {
    const node = row.current;
    if (!isWanted || node === null) {
      return;
    }
    const observer = new IntersectionObserver(entries => {
      onSee(id, entries[entries.length - 1].isIntersecting);
    });
    observer.observe(node);
    return () => {
      observer.disconnect();
      onSee(id, false);
    };
  }, [row, id, isWanted, onSee]);
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
  const text = brief(job, trans);
  return (
    <>
      {showsProgress && <Progress trans={trans} value={job.progress ?? 0} />}
      <span className="jp-AIQueue-brief" title={text}>
        {text}
      </span>
    </>
  );
}

function brief(job: IJobRecord, trans: TranslationBundle): string {
  if (job.state === 'held' && job.hold) {
    return trans.__('waits for %1', job.hold);
  }
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
