/* What can be searched for in a job. */

import type { IJobRecord } from '../api';
import { formatValue } from '../quantity';

/**
 * What a record is found by, in small letters. Records do not change, so it is made once.
 */
const texts = new WeakMap<IJobRecord, string>();

/**
 * The jobs that have all words of a text: in id, name, task, state, group, notebook, worker, user,
 * or as `key=value` of the config.
 */
export function searched(
  records: readonly IJobRecord[],
  text: string
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

function textOf(record: IJobRecord): string {
  let text = texts.get(record);
  if (text === undefined) {
    text = [
      record.job_id,
      record.name,
      record.task,
      record.state,
      record.group,
      record.path ?? record.notebook,
      record.worker,
      record.user,
      ...Object.entries(record.config).map(
        ([key, value]) => `${key}=${formatValue(value)}`
      )
    ]
      .join('\n')
      .toLowerCase();
    texts.set(record, text);
  }
  return text;
}
