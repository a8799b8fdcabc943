import type { Event } from '@jupyterlab/services';

import type { JobState } from './api';

/**
 * Schema of the event that says that a job has changed.
 */
export const JOB_SCHEMA = 'https://events.jupyter-aiqueue.org/job/v1';

/**
 * Schema of the event that carries new load numbers.
 */
export const LOAD_SCHEMA = 'https://events.jupyter-aiqueue.org/load/v1';

/**
 * A job has changed. Ids and states only: the rest is asked for.
 */
export interface IJobEvent {
  readonly schema_id: typeof JOB_SCHEMA;
  readonly job_id: string;
  readonly state: JobState;
  readonly cancelling?: boolean;
  readonly progress?: number | null;
  readonly path?: string | null;
  readonly updated_at?: string | null;
  readonly attempt?: number;
}

/**
 * The numbers of one group in a load event; null where they are not known.
 */
export interface IGroupNumbers {
  readonly name: string;
  readonly waiting?: number | null;
  readonly waiting_by_priority?: Readonly<Record<string, number | null>>;
  readonly running?: number | null;
  readonly workers?: number | null;
  readonly slots?: number | null;
  readonly retrying?: number | null;
  readonly held?: number | null;
}

/**
 * New load numbers.
 */
export interface ILoadEvent {
  readonly schema_id: typeof LOAD_SCHEMA;
  readonly timestamp: string;
  readonly broker_state: string;
  readonly groups: readonly IGroupNumbers[];
}

/**
 * Pick our events out of the server's stream.
 *
 * @returns The event, or null if it is somebody else's.
 */
export function readEvent(
  emission: Event.Emission
): IJobEvent | ILoadEvent | null {
  // The server validates what it emits against the schemas, so the id tells the shape.
  switch (emission.schema_id) {
    case JOB_SCHEMA:
      return emission as unknown as IJobEvent;
    case LOAD_SCHEMA:
      return emission as unknown as ILoadEvent;
    default:
      return null;
  }
}
