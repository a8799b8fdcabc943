import type { IJobRecord, ISubmission } from '../api';
import { written } from '../written';

/**
 * A name and a value of the config.
 */
export interface IRow {
  /**
   * Tells rows apart while their names change.
   */
  readonly id: number;
  readonly key: string;
  readonly value: string;
}

/**
 * What stands in the form, as it is typed.
 */
export interface IDraft {
  readonly task: string;
  readonly group: string;
  readonly priority: string;
  readonly name: string;
  readonly retries: string;
  readonly timeout: string;
  readonly when: string;
  readonly by: string;
  readonly expire: boolean;
  readonly rows: readonly IRow[];
}

/**
 * The form as it opens: with what a job had, or with defaults.
 *
 * @param group - The group of a first job.
 */
export function draftOf(job: IJobRecord | null, group: string): IDraft {
  const config = Object.entries(written(job?.config ?? {}));
  return {
    task: job?.task ?? '',
    group: job?.group ?? group,
    priority: job?.priority ?? 'normal',
    name: job?.name ?? '',
    retries: String((job?.max_attempts ?? 3) - 1),
    timeout: job?.timeout ? writtenSeconds(job.timeout) : '',
    // A quiet moment is waited for on purpose, each time.
    when: '',
    by: '',
    expire: false,
    rows: (config.length > 0 ? config : [['', '']]).map(([key, value], id) => ({
      id,
      key,
      value
    }))
  };
}

/**
 * What is asked of the server. The draft has been checked.
 *
 * @param notebook - Path of the notebook that the job will belong to.
 */
export function submissionOf(draft: IDraft, notebook: string): ISubmission {
  const values: Record<string, string> = {};
  for (const { key, value } of draft.rows) {
    if (key.trim() !== '') {
      values[key.trim()] = value;
    }
  }
  const timeout = draft.timeout.trim();
  const retries = draft.retries.trim();
  return {
    task: draft.task.trim() || null,
    written: values,
    group: draft.group.trim(),
    priority: draft.priority,
    retries: retries === '' ? null : Number(retries),
    timeout: timeout === '' ? null : secondsOf(timeout),
    name: draft.name.trim() || null,
    when: draft.when.trim() || null,
    by: draft.by.trim() || null,
    expire: draft.expire,
    notebook
  };
}

const UNITS: readonly (readonly [unit: string, seconds: number])[] = [
  ['d', 86400],
  ['h', 3600],
  ['m', 60],
  ['s', 1]
];

/**
 * Seconds of "90", "30m", "1h30m", "1.5d", as `parse_duration` reads them; NaN for anything
 * else.
 */
export function secondsOf(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) {
    return Number(text);
  }
  if (!/^(\d+(\.\d+)?[smhd])+$/.test(text)) {
    return NaN;
  }
  const known = new Map(UNITS);
  return [...text.matchAll(/([\d.]+)([smhd])/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (known.get(unit) ?? NaN),
    0
  );
}

/**
 * Seconds as somebody would type them: in the largest unit of which they are a whole number.
 */
function writtenSeconds(seconds: number): string {
  const [unit, size] = UNITS.find(([, one]) => seconds % one === 0) ?? ['', 1];
  return `${seconds / size}${unit}`;
}
