import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IHistoryPoint } from '../api';

/**
 * How far the line reaches back, milliseconds: at most as long as the server remembers. What
 * has been watched for less than that fills the width, and is no sliver at the right edge.
 */
const LONGEST_MS = 60 * 60_000;
const SHORTEST_MS = 30_000;

/**
 * Between two points that are further apart nobody looked, milliseconds.
 */
const GAP_MS = 120_000;

const WIDTH = 64;
const HEIGHT = 18;

/**
 * Room for half of the line's width at the edges.
 */
const MARGIN = 1.5;

type Read = (point: IHistoryPoint) => number | null;

/**
 * The last hour of a group: running jobs as an area, waiting jobs as a line above
 * the same ground. Where nothing was known, or nobody looked, there is a gap.
 */
export function Sparkline(props: {
  points: readonly IHistoryPoint[];
  trans: TranslationBundle;

  /**
   * The time at the right edge.
   */
  until: string;
}): JSX.Element | null {
  const { points, trans, until } = props;
  const right = Date.parse(until);
  const recent = points.filter(point => {
    const time = Date.parse(point.timestamp);
    return time <= right && time >= right - LONGEST_MS;
  });
  if (recent.length < 2) {
    return null;
  }
  const span = Math.max(SHORTEST_MS, right - Date.parse(recent[0].timestamp));
  const waiting: Read = point => point.waiting;
  const running: Read = point => point.running;
  const top = Math.max(1, highest(recent, waiting), highest(recent, running));
  const x = (point: IHistoryPoint) =>
    WIDTH * (1 - (right - Date.parse(point.timestamp)) / span);
  const y = (value: number) =>
    MARGIN + (HEIGHT - 2 * MARGIN) * (1 - value / top);
  const line = (run: readonly IHistoryPoint[], read: Read) =>
    run
      .map((point, i) => {
        const at = `${x(point).toFixed(1)} ${y(read(point) ?? 0).toFixed(1)}`;
        return i === 0 ? `M${at}` : `L${at}`;
      })
      .join('');
  const area = (run: readonly IHistoryPoint[]) =>
    `${line(run, running)}L${x(run[run.length - 1]).toFixed(1)} ${HEIGHT}` +
    `L${x(run[0]).toFixed(1)} ${HEIGHT}Z`;
  const label = trans.__(
    'Last %1 min: at most %2 waiting (line), at most %3 running (area)',
    Math.ceil(span / 60_000),
    highest(recent, waiting),
    highest(recent, running)
  );
  return (
    <svg
      aria-label={label}
      className="jp-AIQueue-sparkline"
      height={HEIGHT}
      preserveAspectRatio="none"
      role="img"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
    >
      <title>{label}</title>
      <path
        className="jp-AIQueue-sparkRunning"
        d={runs(recent, running).map(area).join('')}
      />
      <path
        className="jp-AIQueue-sparkWaiting"
        d={runs(recent, waiting)
          .map(run => line(run, waiting))
          .join('')}
      />
    </svg>
  );
}

/**
 * The stretches without a gap.
 */
function runs(
  points: readonly IHistoryPoint[],
  read: Read
): readonly (readonly IHistoryPoint[])[] {
  const found: IHistoryPoint[][] = [];
  let current: IHistoryPoint[] | null = null;
  let before = -Infinity;
  for (const point of points) {
    const at = Date.parse(point.timestamp);
    const isGap = at - before > GAP_MS;
    before = at;
    if (read(point) === null) {
      current = null;
    } else if (current === null || isGap) {
      current = [point];
      found.push(current);
    } else {
      current.push(point);
    }
  }
  return found;
}

function highest(points: readonly IHistoryPoint[], read: Read): number {
  return Math.max(0, ...points.map(point => read(point) ?? 0));
}
