/* What can be searched for in a job. */

import type { IJobRecord } from '../api';
import { formatValue } from '../quantity';

/**
 * What a record is found by in the list. Records do not change, so it is made once.
 */
const texts = new WeakMap<IJobRecord, string>();

/**
 * The jobs in which all words of a text are found.
 *
 * @param textOf - Where they are looked for, in small letters; in the list if not given.
 */
export function searched(
  records: readonly IJobRecord[],
  text: string,
  textOf: (record: IJobRecord) => string = listedText
): readonly IJobRecord[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return records;
  }
  return records.filter(record => {
    const hay = textOf(record);
    return words.every(word => hay.includes(word));
  });
}

/**
 * What tells a job from others of its notebook: id, name, task, state, worker, user, and its
 * config as `key=value`.
 */
export function ownText(record: IJobRecord): string {
  return [
    record.job_id,
    record.name,
    record.task,
    record.state,
    record.worker,
    record.user,
    ...Object.entries(record.config).map(
      ([key, value]) => `${key}=${formatValue(value)}`
    )
  ]
    .join('\n')
    .toLowerCase();
}

/**
 * The same, with group and notebook.
 */
function listedText(record: IJobRecord): string {
  let text = texts.get(record);
  if (text === undefined) {
    const place = [record.group, record.path ?? record.notebook];
    text = `${ownText(record)}\n${place.join('\n').toLowerCase()}`;
    texts.set(record, text);
  }
  return text;
}
