import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { exactly } from '../duration';
import { formatNumber } from '../quantity';
import type { ICurve, Point } from './curves';
import { nearest, scaleOf, TIME } from './curves';

const HEIGHT = 168;

/**
 * Room for the numbers at the axes, and for the marks at the ends of the lines.
 */
const LEFT = 48;
const RIGHT = 20;
const TOP = 8;
const BOTTOM = 20;

/**
 * Pixels between two marks that are not to cover each other.
 */
const MARK_HEIGHT = 11;

/**
 * Rows of the table; a longer curve is thinned out for it.
 */
const MOST_ROWS = 50;

/**
 * Curves of one metric: a drawing, the values under the pointer, and the same as a table.
 *
 * Lines differ by colour, by dashes, and by the mark at their end.
 */
export function LineChart(props: {
  /**
   * The metric on the horizontal axis, or `TIME`.
   */
  axis: string;
  curves: readonly ICurve[];
  title: string;
  trans: TranslationBundle;
}): JSX.Element {
  const { axis, curves, title, trans } = props;
  const [ref, width] = useWidth(320);
  const [place, setPlace] = React.useState<number | null>(null);
  const [isTable, setTable] = React.useState(false);
  const points = curves.flatMap(curve => curve.points);
  const across = scaleOf(
    points.map(point => point[0]),
    Math.max(2, Math.floor(width / 110))
  );
  const up = scaleOf(
    points.map(point => point[1]),
    4
  );
  const x = (value: number) =>
    LEFT +
    ((value - across.low) / (across.high - across.low)) *
      (width - LEFT - RIGHT);
  const y = (value: number) =>
    HEIGHT -
    BOTTOM -
    ((value - up.low) / (up.high - up.low)) * (HEIGHT - TOP - BOTTOM);
  const where = (value: number) => formatPlace(value, axis, trans);
  const showsMarks = curves.length > 1;
  const label = describe(title, curves, trans);

  const move = (event: React.KeyboardEvent) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 } as Record<string, number>;
    const places = [...new Set(points.map(point => point[0]))].sort(
      (a, b) => a - b
    );
    if (event.key === 'Escape') {
      setPlace(null);
    } else if (event.key in steps && places.length > 0) {
      const at =
        place === null
          ? places.length
          : places.findIndex(value => value >= place);
      const next = Math.min(
        Math.max(at + steps[event.key], 0),
        places.length - 1
      );
      setPlace(places[next]);
      event.preventDefault();
    }
  };
  const hover = (event: React.MouseEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const part = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    setPlace(
      across.low + Math.min(1, Math.max(0, part)) * (across.high - across.low)
    );
  };
  const shown = place === null ? null : curves.map(one => nearest(one, place));
  const found = shown?.reduce((best, point) =>
    Math.abs(point[0] - (place ?? 0)) < Math.abs(best[0] - (place ?? 0))
      ? point
      : best
  );

  return (
    <figure className="jp-AIQueue-chart" data-aiq-chart={title} ref={ref}>
      <figcaption>
        <span className="jp-AIQueue-chartTitle">{title}</span>
        <span aria-live="polite" className="jp-AIQueue-chartValue">
          {shown && found ? (
            <>
              <span className="jp-AIQueue-quiet">{where(found[0])}</span>
              {curves.map((curve, i) => (
                <span key={curve.mark}>
                  {showsMarks && <b>{curve.mark}</b>}{' '}
                  {formatNumber(shown[i][1])}
                </span>
              ))}
            </>
          ) : (
            curves.length === 1 && (
              <span>{formatNumber(last(curves[0])[1])}</span>
            )
          )}
        </span>
        <button
          aria-pressed={isTable}
          className="jp-AIQueue-link"
          onClick={() => setTable(!isTable)}
          type="button"
        >
          {trans.__('Table')}
        </button>
      </figcaption>
      {isTable ? (
        <ChartTable {...props} where={where} />
      ) : (
        <svg
          aria-label={label}
          height={HEIGHT}
          onBlur={() => setPlace(null)}
          onKeyDown={move}
          onMouseLeave={() => setPlace(null)}
          onMouseMove={hover}
          role="img"
          tabIndex={0}
          viewBox={`0 0 ${width} ${HEIGHT}`}
          width={width}
        >
          <g aria-hidden="true">
            {up.ticks.map(tick => (
              <g key={tick}>
                <line
                  className="jp-AIQueue-chartGrid"
                  x1={LEFT}
                  x2={width - RIGHT}
                  y1={y(tick)}
                  y2={y(tick)}
                />
                <text
                  className="jp-AIQueue-chartTick"
                  dy="0.32em"
                  textAnchor="end"
                  x={LEFT - 6}
                  y={y(tick)}
                >
                  {formatTick(tick)}
                </text>
              </g>
            ))}
            {across.ticks.map(tick => (
              <text
                className="jp-AIQueue-chartTick"
                key={tick}
                textAnchor="middle"
                x={x(tick)}
                y={HEIGHT - 5}
              >
                {where(tick)}
              </text>
            ))}
            {curves.map((curve, i) => (
              <g
                className={`jp-AIQueue-curve jp-mod-color${i % 6} jp-mod-dash${i % 4}`}
                key={curve.mark}
              >
                {curve.points.length > 1 ? (
                  <path d={pathOf(curve.points, x, y)} />
                ) : (
                  <circle
                    cx={x(curve.points[0][0])}
                    cy={y(curve.points[0][1])}
                    r={2.5}
                  />
                )}
              </g>
            ))}
            {shown && found && (
              <>
                <line
                  className="jp-AIQueue-chartCursor"
                  x1={x(found[0])}
                  x2={x(found[0])}
                  y1={TOP}
                  y2={HEIGHT - BOTTOM}
                />
                {shown.map((point, i) => (
                  <circle
                    className={`jp-AIQueue-chartPoint jp-mod-color${i % 6}`}
                    cx={x(point[0])}
                    cy={y(point[1])}
                    key={curves[i].mark}
                    r={3}
                  />
                ))}
              </>
            )}
            {showsMarks &&
              spread(curves.map(curve => y(last(curve)[1]))).map((top, i) => (
                <text
                  className="jp-AIQueue-chartMark"
                  dy="0.32em"
                  key={curves[i].mark}
                  x={Math.min(x(last(curves[i])[0]) + 4, width - RIGHT + 4)}
                  y={top}
                >
                  {curves[i].mark}
                </text>
              ))}
          </g>
        </svg>
      )}
    </figure>
  );
}

/**
 * The points as rows, for who does not see the drawing.
 */
function ChartTable(props: {
  axis: string;
  curves: readonly ICurve[];
  title: string;
  trans: TranslationBundle;
  where: (value: number) => string;
}): JSX.Element {
  const { axis, curves, title, trans, where } = props;
  const all = [
    ...new Set(curves.flatMap(curve => curve.points.map(point => point[0])))
  ].sort((a, b) => a - b);
  const stride = Math.ceil(all.length / MOST_ROWS);
  const places = all.filter((_, i) => i % stride === 0 || i === all.length - 1);
  const values = curves.map(curve => new Map(curve.points));
  return (
    <div className="jp-AIQueue-chartTable" tabIndex={0}>
      <table aria-label={title}>
        <thead>
          <tr>
            <th scope="col">{axis === TIME ? trans.__('time') : axis}</th>
            {curves.map(curve => (
              <th key={curve.mark} scope="col">
                {curves.length > 1 ? curve.label : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {places.map(place => (
            <tr key={place}>
              <th scope="row">{where(place)}</th>
              {values.map((column, i) => (
                <td key={curves[i].mark}>
                  {column.has(place)
                    ? formatNumber(column.get(place) as number)
                    : ''}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/**
 * One sentence that says what the drawing shows.
 */
function describe(
  title: string,
  curves: readonly ICurve[],
  trans: TranslationBundle
): string {
  const parts = curves.map(curve => {
    const values = curve.points.map(point => point[1]);
    return trans.__(
      '%1: from %2 to %3, lowest %4, highest %5',
      curves.length > 1 ? curve.label : title,
      formatNumber(values[0]),
      formatNumber(values[values.length - 1]),
      formatNumber(Math.min(...values)),
      formatNumber(Math.max(...values))
    );
  });
  return curves.length > 1 ? `${title}. ${parts.join('; ')}` : parts.join('');
}

function formatPlace(
  value: number,
  axis: string,
  trans: TranslationBundle
): string {
  return axis === TIME ? exactly(value, trans) : formatNumber(value);
}

function formatTick(value: number): string {
  const size = Math.abs(value);
  return size >= 1e5 || (size > 0 && size < 1e-3)
    ? value.toExponential(0)
    : formatNumber(value);
}

function pathOf(
  points: readonly Point[],
  x: (value: number) => number,
  y: (value: number) => number
): string {
  return points
    .map(
      (point, i) =>
        `${i === 0 ? 'M' : 'L'}${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`
    )
    .join('');
}

function last(curve: ICurve): Point {
  return curve.points[curve.points.length - 1];
}

/**
 * Move marks apart that would cover each other.
 */
function spread(tops: readonly number[]): readonly number[] {
  const order = tops.map((_, i) => i).sort((a, b) => tops[a] - tops[b]);
  const result = [...tops];
  let bottom = -Infinity;
  for (const i of order) {
    result[i] = Math.max(tops[i], bottom + MARK_HEIGHT);
    bottom = result[i];
  }
  // Those that were pushed out at the bottom go up again.
  let limit = HEIGHT - BOTTOM;
  for (const i of order.reverse()) {
    result[i] = Math.min(result[i], limit);
    limit = result[i] - MARK_HEIGHT;
  }
  return result;
}

/**
 * The width of an element, kept up to date.
 */
function useWidth(fallback: number): [React.RefObject<HTMLElement>, number] {
  const ref = React.useRef<HTMLElement>(null);
  const [width, setWidth] = React.useState(fallback);
  React.useLayoutEffect(() => {
    const node = ref.current;
    if (node === null || typeof ResizeObserver === 'undefined') {
      return;
    }
    const observer = new ResizeObserver(() => {
      if (node.clientWidth > 0) {
        setWidth(node.clientWidth);
      }
    });
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
