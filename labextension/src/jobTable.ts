import type { IJobRecord } from './api';
import type { IJobEvent } from './events';
import { newestFirst } from './jobList/order';

/**
 * The known jobs, newest first. Knowledge only moves forward: an answer that was overtaken
 * on its way never replaces a newer one.
 */
export class JobTable {
  /**
   * Newest first. A record whose job has not changed is the same object as before.
   */
  get records(): readonly IJobRecord[] {
    this._records ??= [...this._byId.values()].sort(newestFirst);
    return this._records;
  }

  /**
   * How many jobs are known.
   */
  get size(): number {
    return this._byId.size;
  }

  /**
   * Another number after every change.
   */
  get revision(): number {
    return this._revision;
  }

  get(id: string): IJobRecord | undefined {
    return this._byId.get(id);
  }

  /**
   * Take over a list that the server sent: what is not on it is gone.
   */
  replace(list: readonly IJobRecord[]): void {
    const known = this._byId;
    this._byId = new Map();
    for (const record of list) {
      const old = known.get(record.job_id);
      this._byId.set(
        record.job_id,
        old !== undefined && !isNews(record, old) ? old : record
      );
    }
    this._touch();
  }

  /**
   * Put in one record: over the old one, or as a new job.
   */
  put(record: IJobRecord): void {
    const old = this._byId.get(record.job_id);
    if (old === undefined || isNews(record, old)) {
      this._byId.set(record.job_id, record);
      this._touch();
    }
  }

  /**
   * Forget a job; returns whether it was known.
   */
  remove(id: string): boolean {
    const isKnown = this._byId.delete(id);
    if (isKnown) {
      this._touch();
    }
    return isKnown;
  }

  /**
   * Show at once what an event says; the whole record is fetched afterwards.
   *
   * @returns Whether the job is known.
   */
  apply(event: IJobEvent): boolean {
    const record = this.get(event.job_id);
    if (record === undefined) {
      return false;
    }
    if (
      !event.updated_at ||
      time(event.updated_at) >= time(record.updated_at)
    ) {
      this.put({
        ...record,
        state: event.state,
        cancelling: event.cancelling ?? record.cancelling,
        progress:
          event.progress === undefined ? record.progress : event.progress,
        attempt: event.attempt ?? record.attempt,
        updated_at: event.updated_at ?? record.updated_at
      });
    }
    return true;
  }

  private _touch(): void {
    this._revision += 1;
    this._records = null;
  }

  private _byId = new Map<string, IJobRecord>();
  private _records: readonly IJobRecord[] | null = null;
  private _revision = 0;
}

/**
 * Whether `record` says anything that `old` does not.
 */
function isNews(record: IJobRecord, old: IJobRecord): boolean {
  return (
    time(record.updated_at) >= time(old.updated_at) &&
    JSON.stringify(record) !== JSON.stringify(old)
  );
}

function time(text: string | null | undefined): number {
  return text ? Date.parse(text) : 0;
}
