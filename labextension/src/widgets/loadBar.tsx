import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGroupLoad } from '../api';

/**
 * A group at a glance: slots that are taken, slots that are free, and jobs that wait for one,
 * all to one scale. What is not known has no part in it.
 *
 * What runs and what waits stands as numbers above it; that is what is read out.
 */
export function LoadBar(props: {
  group: IGroupLoad;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { group, trans } = props;
  const running = group.running.value;
  const slots = group.slots.value;
  const free =
    running === null || slots === null ? null : Math.max(0, slots - running);
  const parts: [string, number | null, string][] = [
    ['running', running, trans.__('%1 running', running)],
    ['free', free, trans.__('%1 free', free)],
    [
      'waiting',
      group.waiting.value,
      trans.__('%1 waiting', group.waiting.value)
    ]
  ];
  const shown = parts.filter(([, number]) => (number ?? 0) > 0);
  if (shown.length === 0) {
    return null;
  }
  return (
    <div
      aria-hidden="true"
      className="jp-AIQueue-bar"
      title={shown.map(([, , text]) => text).join(', ')}
    >
      {shown.map(([name, number]) => (
        <span
          data-aiq-part={name}
          key={name}
          style={{ flexGrow: number ?? 0 }}
        />
      ))}
    </div>
  );
}
