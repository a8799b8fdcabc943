/* From series of metrics to what a chart draws: which curves, on which axes. */

import type { ISeries } from '../history';
import { COUNTERS, orderedMetrics } from '../quantity';

/**
 * A point: where on the axis, and the value.
 */
export type Point = readonly [x: number, y: number];

/**
 * One line of a chart.
 */
export interface ICurve {
  /**
   * What is written at the end of the line, so that no colour is needed to tell it.
   */
  readonly mark: string;

  /**
   * What it is, for the legend and the table.
   */
  readonly label: string;
  readonly points: readonly Point[];
}

/**
 * A series that belongs to something: an attempt, or a job.
 */
export interface ILabelledSeries {
  readonly mark: string;
  readonly label: string;
  readonly series: ISeries;
}

/**
 * The axis of seconds since the start; other axes are metrics.
 */
export const TIME = '';

/**
 * What may be on the horizontal axis: metrics that count upwards in all series, and time. The
 * first is the one to show.
 */
export function axesOf(all: readonly ISeries[]): readonly string[] {
  const counters = COUNTERS.filter(
    name =>
      all.length > 0 &&
      all.every(({ metrics }) => isCounter(metrics[name] ?? []))
  );
  return [...counters, TIME];
}

function isCounter(values: readonly (number | null)[]): boolean {
  const known = values.filter((value): value is number => value !== null);
  return (
    known.length > 0 &&
    known.every((value, i) => i === 0 || value >= known[i - 1])
  );
}

/**
 * The metrics that can be drawn over this axis, those first that people look at first.
 */
export function metricsOf(
  all: readonly ISeries[],
  axis: string
): readonly string[] {
  const found: Record<string, true> = {};
  for (const { metrics } of all) {
    for (const name of Object.keys(metrics)) {
      found[name] = true;
    }
  }
  return orderedMetrics(found).filter(
    name => name !== axis && !COUNTERS.includes(name)
  );
}

/**
 * The curves of one metric.
 */
export function curvesOf(
  all: readonly ILabelledSeries[],
  metric: string,
  axis: string
): readonly ICurve[] {
  return all.flatMap(({ mark, label, series }) => {
    const values = series.metrics[metric] ?? [];
    const places: readonly (number | null | undefined)[] =
      axis === TIME ? series.seconds : (series.metrics[axis] ?? []);
    const points: Point[] = [];
    let place: number | null = null;
    values.forEach((value, i) => {
      // A metric that is reported less often stands where the counter was last.
      place = places[i] ?? place;
      if (typeof value === 'number' && place !== null) {
        points.push([place, value]);
      }
    });
    return points.length > 0 ? [{ mark, label, points }] : [];
  });
}

/**
 * The range of one axis with its round numbers.
 */
export interface IScale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/**
 * A scale over these values.
 *
 * @param count - About how many round numbers it shall have.
 */
export function scaleOf(values: Iterable<number>, count: number): IScale {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!(low <= high)) {
    [low, high] = [0, 1];
  }
  if (low === high) {
    const room = Math.abs(low) / 10 || 0.5;
    [low, high] = [low - room, high + room];
  }
  const step = roundStep((high - low) / count);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-12);) {
    ticks.push(Number((i * step).toPrecision(12)));
    i += 1;
    if (ticks.length > 2 * count + 2) {
      break;
    }
  }
  return { low, high, ticks };
}

/**
 * The next step of 1, 2 or 5 times a power of ten.
 */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = step / power;
  const round = factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10;
  return round * power;
}

/**
 * The point of a curve that is nearest to a place on the axis.
 */
export function nearest(curve: ICurve, x: number): Point {
  return curve.points.reduce((best, point) =>
    Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best
  );
}
