import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IMeasured } from '../api';
import { briefly } from '../duration';
import { formatNumber } from '../quantity';

/**
 * A measured number. What is not known is a dash that says so, never 0.
 */
export function Measure(props: {
  measured: IMeasured;
  trans: TranslationBundle;
}): JSX.Element {
  const { measured, trans } = props;
  if (measured.value === null) {
    return (
      <span
        aria-label={trans.__('unknown')}
        className="jp-AIQueue-unknown"
        role="img"
        title={trans.__('unknown')}
      >
        —
      </span>
    );
  }
  return <>{formatNumber(measured.value)}</>;
}

/**
 * Where a number comes from and how old it was in the snapshot.
 */
export function describeSource(
  measured: IMeasured,
  trans: TranslationBundle
): string {
  if (measured.value === null) {
    return trans.__('unknown');
  }
  if (!measured.source) {
    return '';
  }
  return typeof measured.age_s === 'number'
    ? trans.__(
        'from %1, %2 old',
        measured.source,
        briefly(measured.age_s * 1000, trans)
      )
    : trans.__('from %1', measured.source);
}
