import type { Event } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IJobRecord, IQueueAPI } from '../api';
import { JOB_SCHEMA, readEvent } from '../events';
import { isFinal } from '../state';

/**
 * What a badge shows of a job.
 */
export type ISeen = Pick<
  IJobRecord,
  'cancelling' | 'job_id' | 'progress' | 'state' | 'updated_at'
>;

/**
 * Cells that are run together are asked about together, and a submit is heard of before it
 * has to be asked about, milliseconds.
 */
const GATHER_MS = 1000;

/**
 * Jobs that have not ended are looked at so often, whatever the events say, milliseconds: the
 * event stream may have been interrupted.
 */
const SAFETY_MS = 60_000;

/**
 * Longest pause while looks fail, milliseconds.
 */
const LONGEST_MS = 300_000;

/**
 * Jobs that are asked for at once.
 */
const PAGE = 200;

/**
 * The jobs that the cells of one notebook have submitted.
 *
 * All of them are asked for at once, when somebody sees the notebook for the first time; from
 * then on they change through the server's event stream.
 */
export class BadgesModel {
  constructor(private readonly _options: BadgesModel.IOptions) {
    this._poll = new Poll({
      auto: false,
      factory: () => this._look(),
      frequency: { interval: SAFETY_MS, max: LONGEST_MS, backoff: true },
      name: 'jupyter-aiqueue:badges',
      standby: () => (this._isLooking() && this._isDue() ? 'when-hidden' : true)
    });
    this._options.events.connect(this._onEvent, this);
    document.addEventListener('visibilitychange', this._consider);
  }

  /**
   * Emitted when something that badges show has changed.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * What is known of a job; undefined for one that is not of this notebook.
   */
  find(id: string): ISeen | undefined {
    return this._seen.get(id);
  }

  /**
   * Say which jobs cells name now.
   */
  want(ids: Iterable<string>): void {
    this._wanted = new Set(ids);
    if (!this.isDisposed && this._isDue()) {
      this._gathering ??= setTimeout(() => {
        this._gathering = undefined;
        this._consider();
      }, GATHER_MS);
    }
  }

  /**
   * Say whether somebody can see the notebook. When nobody can, nothing is asked.
   */
  setActive(isActive: boolean): void {
    this._isActive = isActive;
    this._consider();
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    clearTimeout(this._gathering);
    document.removeEventListener('visibilitychange', this._consider);
    this._options.events.disconnect(this._onEvent, this);
    this._poll.dispose();
    Signal.clearData(this);
  }

  /**
   * Ask now, if there is something to ask and somebody who would see the answer.
   */
  private readonly _consider = (): void => {
    if (
      !this.isDisposed &&
      this._gathering === undefined &&
      this._isLooking() &&
      this._isDue()
    ) {
      void this._poll.refresh();
    }
  };

  private _isLooking(): boolean {
    return this._isActive && !document.hidden && this._options.isConnected();
  }

  /**
   * The jobs that nothing is known of, and that were not asked about in vain.
   */
  private _missing(): string[] {
    return [...this._wanted].filter(
      id => !this._seen.has(id) && !this._strange.has(id)
    );
  }

  private _isDue(): boolean {
    const isOld = Date.now() - this._fetchedAt >= SAFETY_MS;
    return (
      this._missing().length > 0 ||
      (isOld &&
        [...this._wanted].some(id => {
          const seen = this._seen.get(id);
          return seen !== undefined && !isFinal(seen.state);
        }))
    );
  }

  /**
   * Fetch the jobs of the notebook, newest first, down to the oldest that is named and has
   * not ended. Throws after a failure, so that the poll backs off.
   */
  private async _look(): Promise<void> {
    const wanted = [...this._wanted].filter(id => {
      const seen = this._seen.get(id);
      return seen === undefined || !isFinal(seen.state);
    });
    // Ids begin with the time.
    const oldest = wanted.sort()[0];
    let offset = 0;
    let isMore = oldest !== undefined;
    while (isMore) {
      const notebook = this._options.path();
      const { data } = await this._options.api.jobs({
        notebook,
        limit: PAGE,
        offset
      });
      if (this.isDisposed) {
        return;
      }
      for (const job of data.jobs) {
        this._see(job);
      }
      offset += data.jobs.length;
      const last = data.jobs[data.jobs.length - 1]?.job_id;
      isMore = last !== undefined && last > oldest && offset < data.total;
    }
    for (const id of wanted) {
      if (!this._seen.has(id)) {
        this._strange.add(id);
      }
    }
    this._fetchedAt = Date.now();
    this._changed.emit();
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (
      event?.schema_id !== JOB_SCHEMA ||
      event.path !== this._options.path()
    ) {
      return;
    }
    // What is heard of is known, and the stream works.
    this._fetchedAt ||= Date.now();
    // Also of jobs that no cell names yet: the output may come a moment later.
    const before = this._seen.get(event.job_id);
    this._see({
      job_id: event.job_id,
      state: event.state,
      cancelling: event.cancelling ?? before?.cancelling ?? false,
      progress:
        event.progress === undefined
          ? (before?.progress ?? null)
          : event.progress,
      updated_at: event.updated_at ?? before?.updated_at ?? null
    });
    if (this._wanted.has(event.job_id)) {
      this._changed.emit();
    }
  }

  /**
   * Take in what is said of a job, unless something newer is known.
   */
  private _see(job: ISeen): void {
    const before = this._seen.get(job.job_id);
    if (before === undefined || time(job) >= time(before)) {
      const { cancelling, job_id, progress, state, updated_at } = job;
      this._seen.set(job_id, {
        cancelling,
        job_id,
        progress,
        state,
        updated_at
      });
      this._strange.delete(job_id);
    }
  }

  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _seen = new Map<string, ISeen>();

  /** Named by cells, and no jobs of this notebook: it may be a copy of another one. */
  private readonly _strange = new Set<string>();
  private _wanted: ReadonlySet<string> = new Set();
  private _isActive = false;
  private _fetchedAt = 0;
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The namespace of `BadgesModel`.
 */
export namespace BadgesModel {
  export interface IOptions {
    api: Pick<IQueueAPI, 'jobs'>;

    /**
     * The server's event stream.
     */
    events: ISignal<unknown, Event.Emission>;

    /**
     * Whether the application has a connection to its server.
     */
    isConnected: () => boolean;

    /**
     * Path of the notebook below the server's root: it may be renamed meanwhile.
     */
    path: () => string;
  }
}

function time({ updated_at }: ISeen): number {
  return updated_at ? Date.parse(updated_at) : 0;
}
