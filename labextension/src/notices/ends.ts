import type { Event } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';

import type { JobState } from '../api';
import { JOB_SCHEMA, readEvent } from '../events';
import type { QueueModel } from '../model';
import { isFinal } from '../state';
import type { Claims } from './claims';

/**
 * Ends that come within this time are told together, and other pages have so long to claim
 * them, milliseconds.
 */
const GATHER_MS = 1000;

/**
 * What ended longer than this before the page was opened is no news, milliseconds; workers'
 * clocks may be a little off.
 */
const SLACK_MS = 60_000;

/**
 * A job that has ended.
 */
export interface IEnd {
  readonly id: string;
  readonly state: JobState;
}

/**
 * Hears of ends of jobs, each once, and reports those that this page shall tell. A cancel is
 * no news to who asked for it.
 */
export class Ends {
  constructor(private readonly _options: Ends.IOptions) {
    _options.events.connect(this._onEvent, this);
    _options.model.jobs.changed.connect(this._onList, this);
  }

  dispose(): void {
    this._options.events.disconnect(this._onEvent, this);
    this._options.model.jobs.changed.disconnect(this._onList, this);
    clearTimeout(this._gathering);
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (event?.schema_id !== JOB_SCHEMA) {
      return;
    }
    if (isFinal(event.state)) {
      this._onEnd(event.job_id, event.state, event.updated_at ?? null);
    } else {
      // It goes on, perhaps after an end: a dead one can be sent back.
      this._open.add(event.job_id);
      this._ended.delete(event.job_id);
      this._options.claims.forget(event.job_id);
    }
  }

  /**
   * What ended while the stream was interrupted is only seen in the list.
   */
  private _onList(): void {
    for (const id of this._open) {
      const job = this._options.model.jobs.find(id);
      if (job && isFinal(job.state)) {
        this._onEnd(id, job.state, job.ended_at ?? job.updated_at);
      }
    }
  }

  private _onEnd(id: string, state: JobState, at: string | null): void {
    this._open.delete(id);
    if (this._ended.has(id)) {
      return;
    }
    this._ended.add(id);
    const { claims, isWanted, model } = this._options;
    const isOld =
      at !== null &&
      model.clock.since(at) > Date.now() - this._openedAt + SLACK_MS;
    if (state === 'cancelled' || isOld || !isWanted(state)) {
      return;
    }
    claims.claim(id);
    this._news.push({ id, state });
    this._gathering ??= setTimeout(() => {
      this._gathering = undefined;
      const mine = this._news.splice(0).filter(end => claims.take(end.id));
      if (mine.length > 0) {
        this._options.onEnds(mine);
      }
    }, GATHER_MS);
  }

  private readonly _openedAt = Date.now();
  private readonly _open = new Set<string>();
  private readonly _ended = new Set<string>();
  private readonly _news: IEnd[] = [];
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The namespace of `Ends`.
 */
export namespace Ends {
  export interface IOptions {
    claims: Claims;

    /**
     * The server's event stream.
     */
    events: ISignal<unknown, Event.Emission>;

    /**
     * Whether somebody wants to be told of jobs that end like this.
     */
    isWanted: (state: JobState) => boolean;
    model: QueueModel;

    /**
     * Called with ends that this page shall tell.
     */
    onEnds: (ends: readonly IEnd[]) => void;
  }
}
