/* The last hour of a load, put together from what was told of it. */

import type { IHistoryPoint, ILoad } from './api';

type Past = ILoad['history'];

/**
 * How far back it reaches, how long every point is kept, and how far apart older ones are,
 * milliseconds; as `core/past.py` keeps it.
 */
const SPAN_MS = 60 * 60_000;
const FINE_MS = 5 * 60_000;
const STEP_MS = 30_000;

/**
 * The past with what came after it.
 *
 * @param until - The newest moment.
 */
export function joined(before: Past, news: Past, until: string): Past {
  const names = new Set([...Object.keys(before), ...Object.keys(news)]);
  const now = Date.parse(until);
  return Object.fromEntries(
    [...names].map(name => {
      const known = before[name] ?? [];
      const last = known[known.length - 1]?.timestamp ?? '';
      // An answer that was on its way while another one came tells some of it twice.
      const fresh = (news[name] ?? []).filter(point => point.timestamp > last);
      return [name, thinned([...known, ...fresh], now)];
    })
  );
}

/**
 * The newest moment that is in a past; undefined when there is none.
 */
export function newest(past: Past): string | undefined {
  return Object.values(past)
    .flatMap(points => points.slice(-1))
    .map(point => point.timestamp)
    .sort()
    .pop();
}

function thinned(
  points: readonly IHistoryPoint[],
  now: number
): readonly IHistoryPoint[] {
  let kept = -Infinity;
  return points.filter(point => {
    const at = Date.parse(point.timestamp);
    if (at < now - SPAN_MS || (at < now - FINE_MS && at < kept + STEP_MS)) {
      return false;
    }
    kept = at;
    return true;
  });
}
