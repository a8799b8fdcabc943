import type { IForecastReply, IJobRecord, IQueueAPI } from './api';
import { RequestError } from './request';

/**
 * Jobs that are asked about in one look, at most.
 */
const AT_ONCE = 6;

/**
 * An answer is asked for again after this time, milliseconds.
 */
const FRESH_MS = 5_000;

/**
 * What is expected of the waiting jobs that somebody can see: of those, and of no others, the
 * server is asked, a few at a time.
 */
export class JobForecasts {
  /**
   * @param onChange - Called when something that is shown has changed.
   */
  constructor(
    private readonly _api: IQueueAPI,
    private readonly _onChange: () => void
  ) {}

  /**
   * What the server said of a job last, or null when it has said nothing.
   */
  get(id: string): IForecastReply | null {
    return this._known.get(id)?.reply ?? null;
  }

  /**
   * Say whether somebody sees the row of a job.
   */
  see(id: string, isSeen: boolean): void {
    if (isSeen) {
      this._seen.add(id);
    } else {
      this._seen.delete(id);
    }
  }

  /**
   * Ask about those of `jobs` that are seen, first those that were not asked about for longest.
   * Never throws: what cannot be asked is not known.
   *
   * @param open - The job whose details are open is asked about first.
   */
  async fetch(jobs: readonly IJobRecord[], open: string | null): Promise<void> {
    if (this._isFetching) {
      return;
    }
    this._isFetching = true;
    const waiting = jobs
      .filter(job => job.state === 'queued')
      .map(job => job.job_id);
    this._forgetAllBut(new Set(waiting));
    const askedAt = (id: string) =>
      id === open ? -1 : (this._known.get(id)?.at ?? 0);
    const due = waiting
      .filter(id => this._seen.has(id) || id === open)
      .filter(id => Date.now() - (this._known.get(id)?.at ?? 0) >= FRESH_MS)
      .sort((a, b) => askedAt(a) - askedAt(b))
      .slice(0, AT_ONCE);
    for (const id of due) {
      try {
        const { data } = await this._api.forecast(id);
        this._known.set(id, { reply: data, at: Date.now() });
      } catch (error) {
        // What was expected is not known any more.
        if (error instanceof RequestError && error.status < 500) {
          this._known.delete(id);
          continue;
        }
        // The broker is away, and the load says so.
        this._known.clear();
        break;
      }
    }
    this._isFetching = false;
    if (due.length > 0) {
      this._onChange();
    }
  }

  private _forgetAllBut(waiting: ReadonlySet<string>): void {
    for (const id of [...this._known.keys()]) {
      if (!waiting.has(id)) {
        this._known.delete(id);
      }
    }
  }

  private readonly _seen = new Set<string>();
  private readonly _known = new Map<
    string,
    { readonly reply: IForecastReply; readonly at: number }
  >();
  private _isFetching = false;
}
