/* What happened to a job: its events, and how its metrics went. */

import type { IJobRecord, IResult } from './api';

/**
 * The kinds of recorded events; `jupyter_aiqueue.core.events.Kind`.
 */
export type EventKind =
  | 'held'
  | 'submitted'
  | 'started'
  | 'requeued'
  | 'retrying'
  | 'cancelling'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'dead'
  | 'duplicate';

/**
 * One thing that happened to a job. What is not known is missing.
 */
export interface IPastEvent {
  readonly event: EventKind;
  readonly timestamp: string;
  readonly attempt?: number;
  readonly worker?: string | null;
  readonly reason?: string | null;
  readonly next_attempt_at?: string | null;
  readonly result?: IResult | null;
  readonly metrics?: Readonly<Record<string, unknown>> | null;

  /**
   * `held`: what the job waits for.
   */
  readonly hold?: string | null;

  /**
   * `duplicate`: the kind of the end that did not count.
   */
  readonly of?: string | null;
}

/**
 * How the metrics of one attempt went: columns of one length.
 */
export interface ISeries {
  readonly attempt: number;

  /**
   * Seconds since the attempt started.
   */
  readonly seconds: readonly number[];
  readonly metrics: Readonly<Record<string, readonly (number | null)[]>>;

  /**
   * Whether it is the worker's own, of all reports; else it is what was heard live.
   */
  readonly complete: boolean;
}

/**
 * The past of a job.
 */
export interface IJobHistory {
  readonly job_id: string;
  readonly events: readonly IPastEvent[];
  readonly series: readonly ISeries[];
}

/**
 * One execution of a job, as its events tell it. What is not known is null.
 */
export interface IAttempt {
  readonly attempt: number;
  readonly started_at: string | null;
  readonly ended_at: string | null;

  /**
   * What ended it; null while it runs.
   */
  readonly end: EventKind | null;
  readonly worker: string | null;
  readonly reason: string | null;
  readonly result: IResult | null;
  readonly metrics: Readonly<Record<string, unknown>>;
}

const ENDS: readonly EventKind[] = [
  'requeued',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
  'dead'
];

/**
 * The executions of a job, oldest first. One that a worker gave back and that started again
 * under the same number is two of them.
 */
export function attemptsOf(events: readonly IPastEvent[]): IAttempt[] {
  const attempts: IAttempt[] = [];
  let open: IAttempt | null = null;
  for (const event of events) {
    if (event.event === 'started') {
      if (open !== null) {
        attempts.push(open);
      }
      open = {
        attempt: event.attempt ?? 1,
        started_at: event.timestamp,
        ended_at: null,
        end: null,
        worker: event.worker ?? null,
        reason: null,
        result: null,
        metrics: {}
      };
    } else if (ENDS.includes(event.event)) {
      if (open === null && !event.result) {
        // Cancelled while it waited, or lost before it began: that was no execution.
        continue;
      }
      attempts.push({
        attempt: event.attempt ?? open?.attempt ?? 1,
        started_at: open?.started_at ?? null,
        ended_at: event.timestamp,
        end: event.event,
        worker: event.worker ?? open?.worker ?? null,
        reason: event.reason ?? null,
        result: event.result ?? null,
        metrics: event.metrics ?? {}
      });
      open = null;
    }
  }
  return open === null ? attempts : [...attempts, open];
}

/**
 * The series with what a record of a running job tells put in at its end.
 */
export function withLive(
  series: readonly ISeries[],
  job: IJobRecord
): readonly ISeries[] {
  const numbers = Object.entries(job.metrics).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number'
  );
  const begun = Date.parse(job.started_at ?? '');
  const moment = Date.parse(job.updated_at ?? '');
  if (numbers.length === 0 || !(moment >= begun)) {
    return series;
  }
  const seconds = (moment - begun) / 1000;
  const old: ISeries = series.find(one => one.attempt === job.attempt) ?? {
    attempt: job.attempt,
    seconds: [],
    metrics: {},
    complete: false
  };
  const length = old.seconds.length;
  const last = (name: string) => old.metrics[name]?.[length - 1] ?? null;
  if (
    old.complete ||
    (length > 0 && seconds <= old.seconds[length - 1]) ||
    numbers.every(([name, value]) => last(name) === value)
  ) {
    return series;
  }
  const news = new Map(numbers);
  const names = new Set([...Object.keys(old.metrics), ...news.keys()]);
  const metrics: Record<string, readonly (number | null)[]> = {};
  for (const name of names) {
    const before = old.metrics[name] ?? new Array(length).fill(null);
    metrics[name] = [...before, news.get(name) ?? null];
  }
  const longer = { ...old, seconds: [...old.seconds, seconds], metrics };
  return [...series.filter(one => one !== old), longer].sort(
    (a, b) => a.attempt - b.attempt
  );
}
