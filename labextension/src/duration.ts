import type { TranslationBundle } from '@jupyterlab/translation';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A duration in its largest unit, for rows: "12 s", "3 min", "2 h", "4 d".
 */
export function briefly(
  milliseconds: number,
  trans: TranslationBundle
): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < MINUTE) {
    return trans.__('%1 s', seconds);
  }
  if (seconds < HOUR) {
    return trans.__('%1 min', Math.floor(seconds / MINUTE));
  }
  if (seconds < DAY) {
    return trans.__('%1 h', Math.floor(seconds / HOUR));
  }
  return trans.__('%1 d', Math.floor(seconds / DAY));
}

/**
 * A duration in two units, for details: "0.8 s", "42 s", "3 min 12 s", "2 h 5 min".
 */
export function exactly(seconds: number, trans: TranslationBundle): string {
  if (seconds < 10) {
    return trans.__('%1 s', Number(seconds.toFixed(1)));
  }
  const whole = Math.round(seconds);
  if (whole < MINUTE) {
    return trans.__('%1 s', whole);
  }
  if (whole < HOUR) {
    return trans.__('%1 min %2 s', Math.floor(whole / MINUTE), whole % MINUTE);
  }
  const minutes = Math.round(seconds / MINUTE);
  if (minutes < DAY / MINUTE) {
    return trans.__('%1 h %2 min', Math.floor(minutes / 60), minutes % 60);
  }
  const hours = Math.round(seconds / HOUR);
  return trans.__('%1 d %2 h', Math.floor(hours / 24), hours % 24);
}

/**
 * A duration as exactly as somebody plans with it: "12 s", "85 min", "2 h 5 min", "3 d 4 h".
 */
export function roughly(seconds: number, trans: TranslationBundle): string {
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes < 2) {
    return trans.__('%1 s', Math.round(seconds));
  }
  if (minutes < 120) {
    return trans.__('%1 min', minutes);
  }
  const hours = Math.floor(seconds / HOUR);
  return hours < 48
    ? trans.__('%1 h %2 min', hours, minutes % 60)
    : trans.__('%1 d %2 h', Math.floor(hours / 24), hours % 24);
}

/**
 * A point in time as the reader's own calendar and clock show it.
 */
export function localTime(time: string): string {
  return new Date(time).toLocaleString();
}
