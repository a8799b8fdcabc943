import { Token } from '@lumino/coreutils';

import type { QueueModel } from './model';
import type { Settings } from './settings';

/**
 * The experiment queue as other extensions see it.
 */
export interface IExperimentQueue {
  /**
   * The load and the jobs. Nothing is asked of the server until somebody looks
   * (`model.setActive`); the sidebar does when it is visible.
   */
  readonly model: QueueModel;

  /**
   * The settings, as they are now.
   */
  readonly settings: Settings;
}

/**
 * The token of the experiment queue.
 */
export const IExperimentQueue = new Token<IExperimentQueue>(
  'jupyter-aiqueue:IExperimentQueue',
  'The load of the experiment queue and the jobs of this user.'
);
