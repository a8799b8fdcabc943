import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { differences } from '../differences';
import { exactly, localTime } from '../duration';
import type { EventKind, IAttempt, IPastEvent } from '../history';
import { formatBytes } from '../quantity';
import { isFinal } from '../state';
import { Sentence } from '../widgets/frame';
import type { JobViewModel } from './model';

/**
 * What a stretch of a job's life was.
 */
type Phase = 'waiting' | 'running' | 'pause';

interface IStretch {
  readonly phase: Phase;
  readonly attempt: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The part of the bar that has room for words.
 */
const TOLD = 0.15;

/**
 * The job's life as a bar, and what happened as a list.
 */
export function Timeline(props: {
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { model, trans } = props;
  const { events, job } = model;
  const now = useNow(model);
  if (job === null || events.length === 0) {
    return null;
  }
  const stretches = stretchesOf(events, isFinal(job.state) ? null : now);
  const whole = stretches.reduce((sum, { from, to }) => sum + to - from, 0);
  const words: Record<Phase, string> = {
    waiting: trans.__('waiting'),
    running: trans.__('running'),
    pause: trans.__('until the next attempt')
  };
  const describe = ({ phase, attempt, from, to }: IStretch): string =>
    phase === 'running'
      ? trans.__('attempt %1: %2', attempt, exactly((to - from) / 1000, trans))
      : `${words[phase]}: ${exactly((to - from) / 1000, trans)}`;
  return (
    <section
      aria-label={trans.__('Timeline')}
      className="jp-AIQueueMain-section"
      data-aiq-section="timeline"
    >
      <h3>{trans.__('Timeline')}</h3>
      {stretches.length > 0 && (
        <div
          aria-label={stretches.map(describe).join('; ')}
          className="jp-AIQueueJob-bar"
          role="img"
        >
          {stretches.map(stretch => (
            <span
              className={`jp-mod-${stretch.phase}`}
              key={stretch.from}
              style={{ flexGrow: Math.max(1, stretch.to - stretch.from) }}
              title={describe(stretch)}
            >
              {(stretch.to - stretch.from) / whole >= TOLD && (
                <span>{describe(stretch)}</span>
              )}
            </span>
          ))}
        </div>
      )}
      <ol className="jp-AIQueueJob-events">
        {events.map((event, i) => (
          <li data-aiq-event={event.event} key={i}>
            <time dateTime={event.timestamp}>{localTime(event.timestamp)}</time>
            <span>
              <b>{eventWord(event.event, trans)}</b>
              {event.event === 'started' &&
                (event.attempt ?? 1) > 1 &&
                ` · ${trans.__('attempt %1', event.attempt)}`}
              {event.event === 'started' &&
                event.worker &&
                ` · ${event.worker}`}
              {event.hold && ` · ${event.hold}`}
              {event.reason && (
                <>
                  {' · '}
                  <Sentence text={event.reason} />
                </>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/**
 * What was not the same in all attempts. (One attempt alone is told by the other parts.)
 */
export function AttemptTable(props: {
  attempts: readonly IAttempt[];
  trans: TranslationBundle;
}): JSX.Element | null {
  const { attempts, trans } = props;
  if (attempts.length < 2) {
    return null;
  }
  const rows = differences(
    attempts.map(attempt => factsOf(attempt, trans))
  ).filter(({ values }) => {
    // What is not known before the end of an attempt is no difference while it runs.
    const known = values.filter(
      (value, i) => value !== undefined || attempts[i].end !== null
    );
    return new Set(known).size > 1;
  });
  return (
    <section
      aria-label={trans.__('What differed between attempts')}
      className="jp-AIQueueMain-section"
      data-aiq-section="attempts"
    >
      <h3>{trans.__('What differed between attempts')}</h3>
      <div className="jp-AIQueueMain-scroll" tabIndex={0}>
        <table className="jp-AIQueueMain-table">
          <thead>
            <tr>
              <td />
              {attempts.map((attempt, i) => (
                <th key={i} scope="col">
                  {attempt.attempt}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, values }) => (
              <tr key={key}>
                <th scope="row">{key}</th>
                {values.map((value, i) => (
                  <td key={i}>{value ?? '—'}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/**
 * An attempt as names and texts.
 */
function factsOf(
  attempt: IAttempt,
  trans: TranslationBundle
): Record<string, string> {
  const facts: Record<string, string> = {};
  const put = (name: string, value: string | number | null | undefined) => {
    if (value !== null && value !== undefined) {
      facts[name] = String(value);
    }
  };
  const { result } = attempt;
  const duration = (seconds: number | null | undefined) =>
    typeof seconds === 'number' ? exactly(seconds, trans) : null;
  put(
    trans.__('end'),
    attempt.end === null ? trans.__('running') : eventWord(attempt.end, trans)
  );
  put(trans.__('exit code'), result?.exit_code);
  put(trans.__('worker'), attempt.worker);
  put(trans.__('host'), result?.host);
  put(trans.__('duration'), duration(result?.duration_s));
  put(trans.__('CPU time'), duration(result?.cpu_s));
  put(
    trans.__('peak memory'),
    typeof result?.peak_memory_bytes === 'number'
      ? formatBytes(result.peak_memory_bytes)
      : null
  );
  put(trans.__('environment'), result?.environment);
  put(trans.__('Python'), result?.python);
  put(trans.__('commit'), result?.git_commit);
  put(trans.__('reason'), attempt.reason);
  return facts;
}

/**
 * What happened, in a word or two.
 */
export function eventWord(kind: EventKind, trans: TranslationBundle): string {
  switch (kind) {
    case 'held':
      return trans.__('held');
    case 'submitted':
      return trans.__('submitted');
    case 'started':
      return trans.__('started');
    case 'requeued':
      return trans.__('given back to the queue');
    case 'retrying':
      return trans.__('failed, to be tried again');
    case 'cancelling':
      return trans.__('cancel asked for');
    case 'succeeded':
      return trans.__('succeeded');
    case 'failed':
      return trans.__('failed');
    case 'cancelled':
      return trans.__('cancelled');
    case 'dead':
      return trans.__('dead: out of attempts');
    case 'duplicate':
      return trans.__('ended once more; does not count');
    default:
      // A newer server may know more kinds than this front end.
      return kind;
  }
}

/**
 * The stretches of a job's life.
 *
 * @param now - The present, for a job that is not over, milliseconds since 1970.
 */
export function stretchesOf(
  events: readonly IPastEvent[],
  now: number | null
): readonly IStretch[] {
  const stretches: IStretch[] = [];
  let open: { phase: Phase; attempt: number; from: number } | null = null;
  const close = (to: number): void => {
    if (open !== null && to > open.from) {
      stretches.push({ ...open, to });
    }
    open = null;
  };
  const phases: Partial<Record<EventKind, Phase>> = {
    held: 'waiting',
    submitted: 'waiting',
    started: 'running',
    requeued: 'waiting',
    retrying: 'pause'
  };
  let isOver = false;
  for (const event of events) {
    const at = Date.parse(event.timestamp);
    const phase = phases[event.event];
    if (isOver || event.event === 'cancelling') {
      continue;
    }
    close(at);
    if (phase === undefined) {
      isOver = true;
    } else {
      open = { phase, attempt: event.attempt ?? 0, from: at };
    }
  }
  if (now !== null && !isOver) {
    close(now);
  }
  return stretches;
}

/**
 * The present, every few seconds while the job is not over.
 */
function useNow(model: JobViewModel): number {
  const [now, setNow] = React.useState(model.clock.now());
  React.useEffect(() => {
    const tick = () => {
      if (model.job !== null && !isFinal(model.job.state)) {
        setNow(model.clock.now());
      }
    };
    model.clock.ticked.connect(tick);
    return () => {
      model.clock.ticked.disconnect(tick);
    };
  }, [model]);
  return now;
}
