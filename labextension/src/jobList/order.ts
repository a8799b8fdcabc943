/* The orders that jobs can be listed in. */

import type { IJobRecord, JobState } from '../api';

export type Order = 'newest' | 'oldest' | 'changed' | 'state' | 'name';

export const ORDERS: readonly Order[] = [
  'newest',
  'oldest',
  'changed',
  'state',
  'name'
];

/**
 * What is going on comes first, then what went wrong.
 */
export const STATES: readonly JobState[] = [
  'running',
  'retrying',
  'queued',
  'held',
  'dead',
  'failed',
  'cancelled',
  'succeeded'
];

type Compare = (a: IJobRecord, b: IJobRecord) => number;

const collator = new Intl.Collator(undefined, { numeric: true });

const times = new Map<string, number>();

/**
 * A moment in milliseconds; 0 if it is not known. The same texts are compared again and again.
 */
function time(text: string | null): number {
  if (text === null) {
    return 0;
  }
  let at = times.get(text);
  if (at === undefined) {
    if (times.size > 100_000) {
      times.clear();
    }
    at = Date.parse(text) || 0;
    times.set(text, at);
  }
  return at;
}

/**
 * By the moment of submit, and of one moment by the ids, which begin with it.
 */
export const newestFirst: Compare = (a, b) =>
  time(b.submitted_at) - time(a.submitted_at) ||
  (a.job_id > b.job_id ? -1 : Number(a.job_id < b.job_id));

const COMPARE: Readonly<Record<Order, Compare>> = {
  newest: newestFirst,
  oldest: (a, b) => newestFirst(b, a),
  changed: (a, b) =>
    time(b.updated_at) - time(a.updated_at) || newestFirst(a, b),
  state: (a, b) =>
    STATES.indexOf(a.state) - STATES.indexOf(b.state) || newestFirst(a, b),
  name: (a, b) =>
    collator.compare(a.name || a.task || '', b.name || b.task || '') ||
    newestFirst(a, b)
};

/**
 * Jobs in an order.
 *
 * @param before - Jobs as they were ordered last, which saves most comparisons.
 */
export function ordered(
  records: readonly IJobRecord[],
  order: Order,
  before: readonly IJobRecord[] = []
): readonly IJobRecord[] {
  if (order === 'newest') {
    return records;
  }
  // What is nearly in order is sorted in one go.
  const left = new Map(records.map(record => [record.job_id, record]));
  const rows: IJobRecord[] = [];
  for (const { job_id } of before) {
    const record = left.get(job_id);
    if (record !== undefined) {
      rows.push(record);
      left.delete(job_id);
    }
  }
  return [...rows, ...left.values()].sort(COMPARE[order]);
}
