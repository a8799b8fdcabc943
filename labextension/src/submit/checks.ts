import type { TranslationBundle } from '@jupyterlab/translation';

import type { IFailure } from '../failure';
import type { IDraft } from './draft';
import { secondsOf } from './draft';

/**
 * Something that can be wrong: a field by its name, a row of the config by its number.
 */
export type Field =
  | 'task'
  | 'group'
  | 'name'
  | 'retries'
  | 'timeout'
  | 'when'
  | 'by'
  | 'expire'
  | `row-${number}`;

/**
 * What is wrong, one sentence for each field.
 */
export type Problems = ReadonlyMap<Field, string>;

const COMPARISON =
  /^(wait\s*[<>]=?\s*\d+(\.\d+)?\s*(s|sec|min|m|h|d)|(depth|free_slots)\s*[<>]=?\s*\d+(\.\d+)?)$/;

/**
 * What can be told to be wrong without asking the server, by the rules that it has.
 *
 * @param groups - The worker groups, if they are known.
 */
export function check(
  draft: IDraft,
  groups: readonly string[],
  trans: TranslationBundle
): Problems {
  const found = new Map<Field, string>();
  const group = draft.group.trim();
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(group)) {
    found.set(
      'group',
      trans.__('A group is 1 to 64 letters, digits, “-” or “_”.')
    );
  } else if (groups.length > 0 && !groups.includes(group)) {
    found.set(
      'group',
      trans.__('There is no group %1; there are %2.', group, groups.join(', '))
    );
  }
  const retries = draft.retries.trim();
  if (!/^\d{0,3}$/.test(retries)) {
    found.set('retries', trans.__('Retries are a whole number, 0 to 999.'));
  }
  const timeout = draft.timeout.trim();
  const seconds = secondsOf(timeout);
  if (timeout !== '' && !(seconds > 0 && seconds < 1e9)) {
    found.set(
      'timeout',
      trans.__('A time limit is above 0: seconds (90), or 30m, 2h, 1h30m.')
    );
  }
  checkHold(draft, found, trans);
  checkRows(draft, found, trans);
  return found;
}

function checkHold(
  draft: IDraft,
  found: Map<Field, string>,
  trans: TranslationBundle
): void {
  const when = draft.when.trim();
  const by = draft.by.trim();
  if (when !== '' && !when.split(/\s+and\s+/).every(isCondition)) {
    found.set(
      'when',
      trans.__(
        'Write wait < 10m, depth < 5, free_slots > 0 or after 22:00; join several with “and”.'
      )
    );
  }
  if (by !== '' && when === '') {
    found.set('by', trans.__('There is nothing to wait for until then.'));
  } else if (by !== '' && !isMoment(by)) {
    found.set('by', trans.__('Write 22:00, or 2026-12-01 22:00.'));
  }
  if (draft.expire && by === '') {
    found.set('expire', trans.__('A job can be dropped only by a time.'));
  }
}

function isCondition(part: string): boolean {
  const after = /^after\s+(.+)$/.exec(part);
  return after ? isMoment(after[1]) : COMPARISON.test(part);
}

/**
 * Whether it looks like a time of day, or a date and perhaps a time.
 */
function isMoment(text: string): boolean {
  return /^([01]?\d|2[0-3]):[0-5]\d$|^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$/.test(
    text.trim()
  );
}

function checkRows(
  draft: IDraft,
  found: Map<Field, string>,
  trans: TranslationBundle
): void {
  const seen = new Set<string>();
  for (const { id, key, value } of draft.rows) {
    const name = key.trim();
    if (name === '' && value.trim() !== '') {
      found.set(`row-${id}`, trans.__('This value has no name.'));
    } else if (name === 'task_id') {
      found.set(`row-${id}`, trans.__('task_id is the id of the job itself.'));
    } else if (name !== '' && seen.has(name)) {
      found.set(`row-${id}`, trans.__('%1 is there twice.', name));
    }
    seen.add(name);
  }
}

/**
 * The field that the server's refusal is about, or null.
 */
export function fieldOf(failure: IFailure, draft: IDraft): Field | null {
  const by = draft.by.trim();
  switch (failure.reason) {
    case 'unknown-group':
      return 'group';
    case 'bad-retries':
      return 'retries';
    case 'bad-timeout':
      return 'timeout';
    case 'bad-name':
      return failure.message.startsWith('group') ? 'group' : 'name';
    case 'bad-condition':
      return by !== '' && failure.message.includes(by) ? 'by' : 'when';
    default:
      return null;
  }
}
