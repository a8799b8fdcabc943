import { describeFailure } from './failure';

/**
 * What can be done with a job.
 */
export type Action = 'cancel' | 'release' | 'retry' | 'remove';

/**
 * What is being done with which job, and what was refused.
 */
export class JobActions {
  /**
   * @param onChange - Called when something that is shown has changed.
   */
  constructor(private readonly _onChange: () => void) {}

  /**
   * What is being asked of the server for this job.
   */
  pending(id: string): Action | null {
    return this._pending.get(id) ?? null;
  }

  /**
   * Why the last action on this job failed, one sentence, or null.
   */
  failure(id: string): string | null {
    return this._failures.get(id) ?? null;
  }

  /**
   * Tell why the last action on this job failed, and forget it.
   */
  takeFailure(id: string): string | null {
    const failure = this.failure(id);
    this._failures.delete(id);
    return failure;
  }

  /**
   * Do one thing at a time with a job. Never throws: see `failure`.
   */
  async run(
    id: string,
    action: Action,
    work: () => Promise<void>
  ): Promise<void> {
    if (this._pending.has(id)) {
      return;
    }
    this._pending.set(id, action);
    this._failures.delete(id);
    this._onChange();
    try {
      await work();
    } catch (error) {
      this._failures.set(id, describeFailure(error).message);
    }
    this._pending.delete(id);
    this._onChange();
  }

  private _pending = new Map<string, Action>();
  private _failures = new Map<string, string>();
}
