/* What is expected, in words. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IExpected, IForecast, IGroupLoad } from './api';
import { roughly } from './duration';

/**
 * A start within this time is one at once, seconds.
 */
const AT_ONCE = 10;

/**
 * When something is expected: "at once", "in 12–25 min", or null when it is not known.
 */
export function whenText(
  expected: IExpected,
  trans: TranslationBundle
): string | null {
  const { at_once, high, low } = expected;
  if (low === null || high === null) {
    return null;
  }
  if (at_once && high < AT_ONCE) {
    return trans.__('at once');
  }
  return trans.__('in %1', span(low, high, trans));
}

/**
 * How far a range can be trusted.
 */
export function recordText(
  expected: IExpected,
  trans: TranslationBundle
): string {
  return expected.of > 0
    ? trans.__(
        '80 % range; %1 of the last %2 landed inside',
        expected.inside,
        expected.of
      )
    : trans.__('80 % range, not tried yet');
}

/**
 * Why nothing is expected.
 */
export function missingText(
  missing: string | null,
  trans: TranslationBundle
): string {
  switch (missing) {
    case 'no history yet':
      return trans.__('no history yet');
    case 'no worker takes jobs of this group':
      return trans.__('no worker takes jobs of this group');
    default:
      return missing ?? trans.__('unknown');
  }
}

/**
 * Why the start of a job in a group is not known, or how far its range can be trusted.
 */
export function startReason(
  group: IGroupLoad,
  trans: TranslationBundle
): string {
  const { start } = group;
  if (start === null) {
    return trans.__('No worker tells what is to be expected.');
  }
  return start.low === null
    ? missingText(start.missing, trans)
    : trans.__(
        'Start of a job of normal priority, submitted now: %1',
        recordText(start, trans)
      );
}

/**
 * The place in line, counted from 1.
 */
export function placeOf(forecast: IForecast): number {
  return forecast.ahead + forecast.ahead_of_higher + 1;
}

/**
 * A range of seconds, with the unit once where it is the same: "12–25 min", "40 s – 3 min".
 */
function span(low: number, high: number, trans: TranslationBundle): string {
  const first = roughly(low, trans);
  const second = roughly(high, trans);
  if (first === second) {
    return second;
  }
  const [number, unit, ...more] = first.split(' ');
  return more.length === 0 && second.split(' ').slice(1).join(' ') === unit
    ? `${number}–${second}`
    : `${first} – ${second}`;
}
