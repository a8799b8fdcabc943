import type { IJobRecord } from './api';
import type { IJobEvent } from './events';

/**
 * The known jobs, newest first. Knowledge only moves forward: an answer that was overtaken
 * on its way never replaces a newer one.
 */
export class JobTable {
  /**
   * Newest first. A record whose job has not changed is the same object as before.
   */
  get records(): readonly IJobRecord[] {
    return this._records;
  }

  get(id: string): IJobRecord | undefined {
    return this._records.find(record => record.job_id === id);
  }

  /**
   * Take over a page that the server sent: what is not on it is gone.
   */
  replace(page: readonly IJobRecord[]): void {
    const known = new Map(this._records.map(record => [record.job_id, record]));
    this._records = page.map(record => {
      const old = known.get(record.job_id);
      return old !== undefined && !isNews(record, old) ? old : record;
    });
  }

  /**
   * Put in one record: over the old one, or as a new job at its place in time.
   */
  put(record: IJobRecord): void {
    const index = this._records.findIndex(
      other => other.job_id === record.job_id
    );
    if (index >= 0) {
      if (isNews(record, this._records[index])) {
        this._records = this._records.map((other, i) =>
          i === index ? record : other
        );
      }
      return;
    }
    const at = time(record.submitted_at);
    const place = this._records.findIndex(
      other => time(other.submitted_at) <= at
    );
    const records = [...this._records];
    records.splice(place < 0 ? records.length : place, 0, record);
    this._records = records;
  }

  /**
   * Forget a job; returns whether it was known.
   */
  remove(id: string): boolean {
    const before = this._records.length;
    this._records = this._records.filter(record => record.job_id !== id);
    return this._records.length < before;
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

  private _records: readonly IJobRecord[] = [];
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
