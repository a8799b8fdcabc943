/* From events to what is known of a job: the same as `jupyter_aiqueue.core.events.fold`. */

import type { IJobRecord, JobState } from '../api';
import type { EventKind } from '../history';
import { isFinal } from '../state';
import type { ILedgerEvent } from './events';

type Draft = { -readonly [Key in keyof IJobRecord]: IJobRecord[Key] };

const NEXT: Readonly<Partial<Record<EventKind, JobState>>> = {
  held: 'held',
  submitted: 'queued',
  started: 'running',
  requeued: 'queued',
  retrying: 'retrying',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  dead: 'dead'
};

const ENDS_TURN: Readonly<Partial<Record<EventKind, number>>> = {
  requeued: 1,
  retrying: 2
};

/**
 * Whether this kind of event ends a job.
 */
export function isEnd(kind: EventKind): boolean {
  const state = NEXT[kind];
  return state !== undefined && isFinal(state);
}

/**
 * Compare two events of one job by their place in its history, whenever they arrived.
 *
 * Attempts and their turns come before clocks, which differ between machines. The end comes
 * last.
 */
export function compareEvents(a: ILedgerEvent, b: ILedgerEvent): number {
  return (
    Number(isEnd(a.event)) - Number(isEnd(b.event)) ||
    (a.attempt ?? 0) - (b.attempt ?? 0) ||
    (a.turn ?? 0) - (b.turn ?? 0) ||
    (ENDS_TURN[a.event] ?? 0) - (ENDS_TURN[b.event] ?? 0) ||
    microseconds(a.timestamp) - microseconds(b.timestamp) ||
    (a.id < b.id ? -1 : Number(a.id > b.id))
  );
}

/**
 * What is known of a job.
 *
 * @param events - In the order of `compareEvents`; at least one.
 */
export function fold(events: readonly ILedgerEvent[]): IJobRecord {
  const record: Draft = {
    job_id: events[0].job_id,
    state: 'queued',
    task: null,
    group: null,
    priority: null,
    name: null,
    config: {},
    path: null,
    notebook: null,
    ledger: null,
    user: null,
    submitted_at: null,
    started_at: null,
    ended_at: null,
    updated_at: null,
    next_attempt_at: null,
    hold: null,
    attempt: 0,
    max_attempts: 3,
    worker: null,
    progress: null,
    metrics: {},
    result: null,
    reason: null,
    cancelling: false,
    retry_of: null,
    duplicates: 0,
    log_tail: null
  };
  for (const event of events) {
    apply(record, event);
  }
  return record;
}

function apply(record: Draft, event: ILedgerEvent): void {
  const before = { ...record };
  record.task ??= event.task ?? null;
  record.group ??= event.group ?? null;
  record.priority ??= event.priority ?? null;
  record.name ??= event.name ?? null;
  record.notebook ??= event.notebook ?? null;
  record.user ??= event.user ?? null;
  record.retry_of ??= event.retry_of ?? null;
  record.submitted_at ??= event.submitted_at ?? null;
  if (event.config && Object.keys(record.config).length === 0) {
    record.config = event.config;
  }
  record.max_attempts = event.max_attempts ?? 3;
  if (event.event === 'duplicate') {
    // A cancel that came too late is no execution.
    record.duplicates += event.of === 'cancelled' ? 0 : 1;
  } else if (!isFinal(record.state)) {
    advance(record, event);
  }
  if (
    (record.updated_at === null ||
      microseconds(event.timestamp) > microseconds(record.updated_at)) &&
    differ(before, record)
  ) {
    record.updated_at = event.timestamp;
  }
}

function advance(record: Draft, event: ILedgerEvent): void {
  if (event.event === 'cancelling') {
    record.cancelling = true;
    return;
  }
  const state = NEXT[event.event];
  const attempt = event.attempt ?? 0;
  if (
    state === undefined ||
    (attempt < record.attempt && !isEnd(event.event))
  ) {
    return;
  }
  if (event.event === 'held' && record.updated_at !== null) {
    // Who released it was faster than who told that it is held.
    return;
  }
  record.state = state;
  if (attempt > record.attempt || event.event === 'started') {
    // What is shown beside the number of an attempt is of this attempt.
    record.progress = null;
    record.metrics = {};
    record.next_attempt_at = null;
    record.result = null;
    record.log_tail = null;
  }
  record.attempt = Math.max(record.attempt, attempt);
  record.worker = event.worker || record.worker;
  if (event.event === 'started') {
    record.started_at = event.timestamp;
  }
  record.progress = event.progress ?? record.progress;
  if (event.metrics) {
    record.metrics = { ...record.metrics, ...event.metrics };
  }
  record.result = event.result ?? record.result;
  record.reason = event.reason ?? null;
  record.hold = event.hold ?? null;
  record.next_attempt_at = event.next_attempt_at ?? null;
  record.log_tail = event.log || record.log_tail;
  if (isEnd(event.event)) {
    record.ended_at = event.timestamp;
    record.cancelling = false;
  }
}

function differ(before: Draft, after: Draft): boolean {
  return (Object.keys(after) as (keyof Draft)[]).some(key => {
    const [a, b] = [before[key], after[key]];
    return (
      a !== b &&
      (typeof a !== 'object' || JSON.stringify(a) !== JSON.stringify(b))
    );
  });
}

/**
 * A moment in microseconds since 1970: workers write down more than `Date` can hold.
 */
function microseconds(time: string): number {
  const digits = /\.\d{3}(\d{1,3})/.exec(time)?.[1] ?? '';
  return Date.parse(time) * 1000 + Number(digits.padEnd(3, '0'));
}
