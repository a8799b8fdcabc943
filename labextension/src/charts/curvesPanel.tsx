import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ILabelledSeries } from './curves';
import { axesOf, curvesOf, metricsOf, TIME } from './curves';
import { LineChart } from './lineChart';

/**
 * One chart per metric, and what is on their horizontal axis.
 */
export function CurvesPanel(props: {
  all: readonly ILabelledSeries[];
  trans: TranslationBundle;
}): JSX.Element {
  const { all, trans } = props;
  const [choice, setChoice] = React.useState<string | null>(null);
  const series = all.map(one => one.series);
  const axes = axesOf(series);
  const axis = choice !== null && axes.includes(choice) ? choice : axes[0];
  return (
    <>
      {axes.length > 1 && (
        <div
          aria-label={trans.__('Horizontal axis')}
          className="jp-AIQueue-choice"
          role="group"
        >
          {axes.map(name => (
            <button
              aria-pressed={name === axis}
              key={name}
              onClick={() => setChoice(name)}
              type="button"
            >
              {name === TIME ? trans.__('time') : name}
            </button>
          ))}
        </div>
      )}
      <div className="jp-AIQueue-charts">
        {metricsOf(series, axis).map(metric => {
          const curves = curvesOf(all, metric, axis);
          return (
            curves.length > 0 && (
              <LineChart
                axis={axis}
                curves={curves}
                key={metric}
                title={metric}
                trans={trans}
              />
            )
          );
        })}
      </div>
    </>
  );
}
