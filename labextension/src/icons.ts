import { LabIcon } from '@jupyterlab/ui-components';

import brokerSvg from '../style/icons/broker.svg';
import cancelledSvg from '../style/icons/cancelled.svg';
import deadSvg from '../style/icons/dead.svg';
import failedSvg from '../style/icons/failed.svg';
import heldSvg from '../style/icons/held.svg';
import queueSvg from '../style/icons/queue.svg';
import queuedSvg from '../style/icons/queued.svg';
import retryingSvg from '../style/icons/retrying.svg';
import runningSvg from '../style/icons/running.svg';
import succeededSvg from '../style/icons/succeeded.svg';
import warningSvg from '../style/icons/warning.svg';
import type { JobState } from './api';

export const queueIcon = new LabIcon({
  name: 'jupyter-aiqueue:queue',
  svgstr: queueSvg
});

export const brokerIcon = new LabIcon({
  name: 'jupyter-aiqueue:broker',
  svgstr: brokerSvg
});

export const warningIcon = new LabIcon({
  name: 'jupyter-aiqueue:warning',
  svgstr: warningSvg
});

/**
 * One shape per state, so that a state is never told by its colour alone.
 */
export const stateIcons: Readonly<Record<JobState, LabIcon>> = {
  held: stateIcon('held', heldSvg),
  queued: stateIcon('queued', queuedSvg),
  running: stateIcon('running', runningSvg),
  retrying: stateIcon('retrying', retryingSvg),
  succeeded: stateIcon('succeeded', succeededSvg),
  failed: stateIcon('failed', failedSvg),
  cancelled: stateIcon('cancelled', cancelledSvg),
  dead: stateIcon('dead', deadSvg)
};

function stateIcon(state: JobState, svgstr: string): LabIcon {
  return new LabIcon({ name: `jupyter-aiqueue:${state}`, svgstr });
}
