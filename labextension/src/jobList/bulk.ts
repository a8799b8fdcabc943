import type { IJobRecord } from '../api';
import type { JobsModel } from '../jobs';
import { canCancel, canRemove, canRetry } from '../state';

/**
 * What can be done with several jobs at once.
 */
export type BulkAction = 'cancel' | 'retry' | 'remove';

/**
 * Requests that are under way at once: the server asks its broker for each.
 */
const LANES = 4;

const ALLOWS: Readonly<Record<BulkAction, (job: IJobRecord) => boolean>> = {
  cancel: canCancel,
  retry: canRetry,
  remove: canRemove
};

/**
 * What became of several jobs.
 */
export interface IOutcome {
  readonly action: BulkAction;
  readonly done: number;
  readonly failures: readonly {
    readonly job: IJobRecord;
    readonly message: string;
  }[];
}

/**
 * Does one thing with several jobs, and sums up what became of it.
 */
export class Bulk {
  /**
   * @param _onChange - Called when something that is shown has changed.
   */
  constructor(
    private readonly _jobs: JobsModel,
    private readonly _onChange: () => void
  ) {}

  /**
   * What is being done, and how far it is; or null.
   */
  get running(): { action: BulkAction; done: number; of: number } | null {
    return this._running;
  }

  /**
   * What the last action came to, until it is dismissed.
   */
  get outcome(): IOutcome | null {
    return this._outcome;
  }

  /**
   * The selected jobs that allow an action.
   */
  allowed(action: BulkAction): readonly IJobRecord[] {
    return this._jobs.list.selection.filter(ALLOWS[action]);
  }

  /**
   * Do one thing with these jobs, a few at a time. Never throws: see `outcome`.
   */
  async run(action: BulkAction, jobs: readonly IJobRecord[]): Promise<void> {
    if (this._running !== null || jobs.length === 0) {
      return;
    }
    const running = { action, done: 0, of: jobs.length };
    const failures: { job: IJobRecord; message: string }[] = [];
    this._running = running;
    this._outcome = null;
    this._onChange();
    const left = [...jobs];
    const lane = async (): Promise<void> => {
      for (let job = left.shift(); job; job = left.shift()) {
        await this._do(action, job.job_id);
        const message = this._jobs.actions.takeFailure(job.job_id);
        if (message !== null) {
          failures.push({ job, message });
        }
        running.done += 1;
        this._onChange();
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    this._running = null;
    this._outcome = { action, done: jobs.length - failures.length, failures };
    this._onChange();
  }

  dismiss(): void {
    this._outcome = null;
    this._onChange();
  }

  private _do(action: BulkAction, id: string): Promise<void> {
    switch (action) {
      case 'cancel':
        return this._jobs.cancel(id);
      case 'retry':
        return this._jobs.retry(id, false);
      case 'remove':
        return this._jobs.remove(id);
    }
  }

  private _running: { action: BulkAction; done: number; of: number } | null =
    null;
  private _outcome: IOutcome | null = null;
}
