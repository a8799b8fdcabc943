import type { Event } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';

import type { ILoad, IQueueAPI } from './api';
import { ServerClock } from './clock';
import type { ILoadEvent } from './events';
import { JOB_SCHEMA, LOAD_SCHEMA, readEvent } from './events';
import type { IFailure } from './failure';
import { describeFailure } from './failure';
import { JobsModel } from './jobs';
import { loadOf, withEvent } from './load';
import { joined, newest } from './past';
import type { IReply } from './request';
import { Folds } from './widgets/folds';

/**
 * After this time without an event the stream may be dead, milliseconds.
 */
const SILENCE_MS = 15_000;

/**
 * The longest pause between two looks while they fail, milliseconds.
 */
const LONGEST_MS = 60_000;

/**
 * What is younger than this needs no glance, milliseconds.
 */
const RECENT_MS = 5_000;

/**
 * What the sidebar shows: the load and the jobs, and what went wrong.
 *
 * Jobs change through the server's event stream. The load is polled while somebody looks
 * (see `setActive`), and so are the jobs while the stream is silent. When nobody looks,
 * nothing is asked, and what the stream tells is taken in. `stateChanged` says that something
 * that is shown has changed.
 */
export class QueueModel extends VDomModel {
  constructor(options: QueueModel.IOptions) {
    super();
    this._api = options.api;
    this._events = options.events;
    this._isConnected = options.isConnected ?? (() => true);
    this.clock = new ServerClock();
    this.jobs = new JobsModel(options.api, () => this._isLooking());
    this.jobs.changed.connect(this._emit, this);
    this._poll = new Poll({
      auto: false,
      factory: () => this._look(),
      name: 'jupyter-aiqueue:load',
      standby: () => !this._isLooking() || 'when-hidden'
    });
    this.interval = options.interval ?? 5;
    this._events.connect(this._onEvent, this);
  }

  /**
   * The clock that ages are measured with.
   */
  readonly clock: ServerClock;

  /**
   * The jobs in scope.
   */
  readonly jobs: JobsModel;

  /**
   * Which sections of the sidebar are folded away.
   */
  readonly folds = new Folds(() => this._onFold());

  /**
   * The newest load, or null before the first answer.
   */
  get load(): ILoad | null {
    return this._load;
  }

  /**
   * When the last whole answer was true; what is newer in the load was told by events, which
   * do not carry all of it. Null before the first answer.
   */
  get toldAt(): string | null {
    return this._toldAt;
  }

  /**
   * Why the last look at the load failed, or null.
   */
  get failure(): IFailure | null {
    return this._failure;
  }

  /**
   * Whether somebody looks, so that what is shown is kept up to date.
   */
  get isWatched(): boolean {
    return this._isActive;
  }

  /**
   * Names of the groups to show, in their order; empty shows all.
   */
  get groups(): readonly string[] {
    return this._groups;
  }

  set groups(names: readonly string[]) {
    this._groups = names;
    this.stateChanged.emit();
  }

  /**
   * The shortest time between two questions, seconds: the administrator's word, 0 before it
   * was told.
   */
  get minimumInterval(): number {
    return this._minimumInterval;
  }

  /**
   * Seconds between two looks at the load; never less than the administrator allows.
   */
  set interval(seconds: number) {
    this._interval = seconds;
    this._pace();
  }

  private _pace(): void {
    const interval = Math.max(this._interval, this._minimumInterval) * 1000;
    const max = Math.max(interval, LONGEST_MS);
    this._poll.frequency = { interval, max, backoff: true };
    if (this._isActive) {
      // The tick that is due now was set with the old interval.
      void this._poll.refresh();
    }
  }

  /**
   * Say whether somebody looks. When nobody does, nothing is asked and nothing ticks.
   */
  setActive(isActive: boolean): void {
    if (this.isDisposed || isActive === this._isActive) {
      return;
    }
    this._isActive = isActive;
    if (isActive) {
      this.clock.start();
      void this.refresh();
    } else {
      this.clock.stop();
    }
  }

  /**
   * Ask for everything now; resolves when the answers are in.
   */
  async refresh(): Promise<void> {
    this.jobs.expire();
    await this._poll.refresh();
    await this._poll.tick;
  }

  /**
   * Ask for the load once, for somebody who glances at it and does not stay. Asks nothing if
   * it is known well enough, or while it is being looked at anyhow.
   */
  async glance(): Promise<void> {
    const recent = Math.max(RECENT_MS, this._minimumInterval * 1000);
    const isDue = Date.now() - this._askedAt > recent;
    if (!this._isActive && isDue && !document.hidden && this._isConnected()) {
      await this._fetchLoad();
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._events.disconnect(this._onEvent, this);
    this._poll.dispose();
    this.clock.stop();
    this.jobs.dispose();
    super.dispose();
  }

  private _isLooking(): boolean {
    return this._isActive && !document.hidden && this._isConnected();
  }

  /**
   * The load is asked for at once when it is unfolded: folded away, it is not.
   */
  private _onFold(): void {
    const isOpen = !this.folds.has('load');
    if (isOpen && !this._wasLoadOpen && this._isActive) {
      void this._poll.refresh();
    }
    this._wasLoadOpen = isOpen;
    this.stateChanged.emit();
  }

  /**
   * One tick of the poll. Throws after a failure, so that the poll backs off.
   */
  private async _look(): Promise<void> {
    const isNeeded = !this.folds.has('load') || this._failure !== null;
    const error = isNeeded ? await this._fetchLoad() : null;
    // Recorded jobs are known even when the broker is away.
    if (this._failure === null || this._failure.kind === 'broker') {
      if (this.jobs.isDue(Date.now() - this._eventAt < SILENCE_MS)) {
        await this.jobs.fetch();
      }
      // A worker may take seconds to send it: the numbers do not wait.
      void this.jobs.fetchLog();
      void this.jobs.fetchForecasts();
    }
    if (error !== null) {
      throw error;
    }
    if (this.jobs.failure !== null) {
      throw new Error(this.jobs.failure.message);
    }
  }

  /**
   * Fetch the load; returns the error if that failed.
   */
  private async _fetchLoad(): Promise<unknown> {
    const number = ++this._fetches;
    let result: unknown = null;
    let reply: IReply<ILoad> | null = null;
    const known = this._load?.history ?? {};
    this._askedAt = Date.now();
    try {
      reply = await this._api.load(newest(known));
    } catch (error) {
      result = error;
    }
    if (number !== this._fetches || this.isDisposed) {
      return result;
    }
    if (reply !== null) {
      this.clock.observe(reply.date);
      const { history, minimum_refresh, timestamp } = reply.data;
      this._load = {
        ...reply.data,
        history: joined(known, history, timestamp)
      };
      this._toldAt = timestamp;
      this._brokerState = reply.data.broker.state;
      this._obey(minimum_refresh ?? 0);
    }
    this._failure = result === null ? null : describeFailure(result);
    this.stateChanged.emit();
    return result;
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (event === null) {
      return;
    }
    if (!this._isLooking()) {
      this.jobs.expire();
      if (event.schema_id === LOAD_SCHEMA) {
        this._overhear(event);
      }
      return;
    }
    this._eventAt = Date.now();
    if (event.schema_id === JOB_SCHEMA) {
      this.jobs.onEvent(event);
    } else {
      this._onLoadEvent(event);
    }
  }

  private _onLoadEvent(event: ILoadEvent): void {
    if (event.broker_state !== this._brokerState) {
      // Why it is down, or which version came up, is not in the event.
      this._brokerState = event.broker_state;
      void this._poll.refresh();
    } else if (this._load?.broker.state === event.broker_state) {
      this._load = withEvent(this._load, event);
      this.stateChanged.emit();
    }
  }

  /**
   * Take in what another page has made the server tell, while nobody looks at this one.
   */
  private _overhear(event: ILoadEvent): void {
    this._load = withEvent(this._load ?? loadOf(event), event);
    this._brokerState = event.broker_state;
    this._failure = null;
    this.stateChanged.emit();
  }

  /**
   * Ask no more often than the administrator allows, seconds.
   */
  private _obey(minimumInterval: number): void {
    if (minimumInterval !== this._minimumInterval) {
      this._minimumInterval = minimumInterval;
      this.jobs.minimumInterval = minimumInterval;
      this._pace();
    }
  }

  private _emit(): void {
    this.stateChanged.emit();
  }

  private readonly _api: IQueueAPI;
  private readonly _events: ISignal<unknown, Event.Emission>;
  private readonly _isConnected: () => boolean;
  private readonly _poll: Poll;
  private _isActive = false;
  private _load: ILoad | null = null;
  private _failure: IFailure | null = null;
  private _fetches = 0;
  private _brokerState: string | null = null;
  private _eventAt = 0;
  private _askedAt = -Infinity;
  private _toldAt: string | null = null;
  private _groups: readonly string[] = [];
  private _wasLoadOpen = true;
  private _interval = 5;
  private _minimumInterval = 0;
}

/**
 * The namespace of `QueueModel`.
 */
export namespace QueueModel {
  export interface IOptions {
    /**
     * The server extension.
     */
    api: IQueueAPI;

    /**
     * The server's event stream.
     */
    events: ISignal<unknown, Event.Emission>;

    /**
     * Seconds between two looks at the load; 5 if not given.
     */
    interval?: number;

    /**
     * Whether the application has a connection to its server.
     */
    isConnected?: () => boolean;
  }
}
