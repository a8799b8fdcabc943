import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRecord, JobState } from './api';

/**
 * Whether a job in this state is over.
 */
export function isFinal(state: JobState): boolean {
  return (
    state === 'succeeded' ||
    state === 'failed' ||
    state === 'cancelled' ||
    state === 'dead'
  );
}

/**
 * The word for a job's state.
 */
export function stateWord(
  job: Pick<IJobRecord, 'cancelling' | 'state'>,
  trans: TranslationBundle
): string {
  if (job.cancelling && !isFinal(job.state)) {
    return trans.__('cancelling');
  }
  switch (job.state) {
    case 'held':
      return trans.__('held');
    case 'queued':
      return trans.__('queued');
    case 'running':
      return trans.__('running');
    case 'retrying':
      return trans.__('retrying');
    case 'succeeded':
      return trans.__('succeeded');
    case 'failed':
      return trans.__('failed');
    case 'cancelled':
      return trans.__('cancelled');
    case 'dead':
      return trans.__('dead');
    default:
      // A newer server may know more states than this front end.
      return job.state;
  }
}

/**
 * Whether the job can be cancelled: it is not over, and no cancel is on its way.
 */
export function canCancel(job: IJobRecord): boolean {
  return !isFinal(job.state) && !job.cancelling;
}

/**
 * Whether the job can be put in line now: it is held.
 */
export function canRelease(job: IJobRecord): boolean {
  return job.state === 'held' && !job.cancelling;
}

/**
 * Whether the job can be submitted again: it is over.
 */
export function canRetry(job: IJobRecord): boolean {
  return isFinal(job.state);
}

/**
 * Whether the job's record can be removed: it is over.
 */
export function canRemove(job: IJobRecord): boolean {
  return isFinal(job.state);
}

/**
 * How a job is called in lists: by its name, else by its task.
 */
export function jobTitle(job: IJobRecord, trans: TranslationBundle): string {
  return job.name || job.task || trans.__('job');
}

/**
 * The end of a job id. Ids begin with the time, so it is the end that tells jobs apart.
 */
export function shortId(id: string): string {
  return id.slice(-8);
}
