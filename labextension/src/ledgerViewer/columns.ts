/* What the table of jobs has columns for, and how rows are found and ordered. */

import type { IJobRecord, JobState } from '../api';
import { differences } from '../differences';
import { COUNTERS, formatValue, orderedMetrics } from '../quantity';

/**
 * Columns of parameters and of metrics at most: what does not fit is in the job view.
 */
const MOST_PARAMETERS = 6;
const MOST_METRICS = 4;

/**
 * Jobs that are looked at to choose columns: the newest ones.
 */
const SAMPLE = 500;

/**
 * A column: one of the table's own, a parameter of the config, or a metric.
 */
export type Column =
  | { readonly kind: 'state' | 'name' | 'submitted' | 'duration' | 'attempts' }
  | { readonly kind: 'config' | 'metric'; readonly key: string };

/**
 * Tells columns apart.
 */
export function columnId(column: Column): string {
  return 'key' in column ? `${column.kind}:${column.key}` : column.kind;
}

/**
 * The columns for these jobs: parameters that are not the same in all of them, and the
 * metrics that people look at first.
 *
 * @param records - Newest first.
 */
export function columnsFor(records: readonly IJobRecord[]): readonly Column[] {
  const sample = records.slice(0, SAMPLE);
  const parameters = differences(sample.map(record => record.config))
    .map(({ key }) => key)
    .filter(key => key !== 'task_id')
    .slice(0, MOST_PARAMETERS);
  const metrics: Record<string, true> = {};
  for (const record of sample) {
    for (const [name, value] of Object.entries(record.metrics)) {
      if (typeof value === 'number') {
        metrics[name] = true;
      }
    }
  }
  return [
    { kind: 'state' },
    { kind: 'name' },
    ...parameters.map(key => ({ kind: 'config', key }) as const),
    ...orderedMetrics(metrics)
      .filter(key => !COUNTERS.includes(key))
      .slice(0, MOST_METRICS)
      .map(key => ({ kind: 'metric', key }) as const),
    { kind: 'duration' },
    { kind: 'attempts' },
    { kind: 'submitted' }
  ];
}

/**
 * The value of a column that rows are ordered by; null where there is none.
 */
export function valueOf(
  record: IJobRecord,
  column: Column
): string | number | null {
  switch (column.kind) {
    case 'state':
      return record.state;
    case 'name':
      return record.name ?? record.task;
    case 'submitted':
      return record.submitted_at === null
        ? null
        : Date.parse(record.submitted_at);
    case 'duration':
      return record.result?.duration_s ?? null;
    case 'attempts':
      return record.attempt;
    case 'config':
      return comparable(record.config[column.key]);
    case 'metric':
      return comparable(record.metrics[column.key]);
  }
}

function comparable(value: unknown): string | number | null {
  if (value === undefined || value === null) {
    return null;
  }
  return typeof value === 'number' ? value : formatValue(value);
}

/**
 * The rows in the order of a column; what has no value comes last either way. Equal rows
 * stay as they are.
 */
export function sorted(
  records: readonly IJobRecord[],
  column: Column,
  isDescending: boolean
): readonly IJobRecord[] {
  const sign = isDescending ? -1 : 1;
  return records
    .map(record => ({ record, value: valueOf(record, column) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) {
        return Number(a.value === null) - Number(b.value === null);
      }
      return typeof a.value === 'number' && typeof b.value === 'number'
        ? sign * (a.value - b.value)
        : sign * String(a.value).localeCompare(String(b.value));
    })
    .map(({ record }) => record);
}

/**
 * How many jobs are in each state, those first that there are most of.
 */
export function counted(
  records: readonly IJobRecord[]
): readonly (readonly [JobState, number])[] {
  const counts = new Map<JobState, number>();
  for (const { state } of records) {
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}
