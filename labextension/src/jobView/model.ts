import type { Event } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';

import type { IForecastReply, IJobRecord, IQueueAPI } from '../api';
import { ServerClock } from '../clock';
import { JOB_SCHEMA, readEvent } from '../events';
import type { IFailure } from '../failure';
import { describeFailure } from '../failure';
import { JobForecasts } from '../forecasts';
import type { IAttempt, IPastEvent, ISeries } from '../history';
import { attemptsOf, withLive } from '../history';
import { JobActions } from '../jobActions';
import type { ISighting, JobSource } from '../jobSource';
import { UnknownJob } from '../jobSource';
import { isFinal } from '../state';
import { Output } from './log';

/**
 * The output of a running job is asked for so often while somebody looks, milliseconds.
 */
const LOG_MS = 3000;

/**
 * Longest pause while looks fail, milliseconds.
 */
const LONGEST_MS = 60_000;

/**
 * Changes that arrive within this time are fetched together, milliseconds.
 */
const GATHER_MS = 250;

/**
 * An unfinished job is looked at so often, whatever the events say, milliseconds.
 */
const SAFETY_MS = 20_000;

/**
 * What the job view shows: one job with its past, its output and its curves.
 *
 * The job changes through the server's event stream; its output is polled while it runs and
 * somebody looks (see `setActive`). `stateChanged` says that something that is shown changed.
 */
export class JobViewModel extends VDomModel {
  constructor(options: JobViewModel.IOptions) {
    super();
    this.id = options.id;
    this.source = options.source;
    this._api = options.api;
    this._forecasts = new JobForecasts(options.api, () =>
      this.stateChanged.emit()
    );
    this._events = options.events;
    this._isConnected = options.isConnected ?? (() => true);
    this._minimumMs = (options.minimumInterval ?? 0) * 1000;
    this._poll = new Poll({
      auto: false,
      factory: () => this._tick(),
      frequency: {
        interval: Math.max(LOG_MS, this._minimumMs),
        max: Math.max(LONGEST_MS, this._minimumMs),
        backoff: true
      },
      name: 'jupyter-aiqueue:job',
      standby: () =>
        !this._isLooking() || this._isAtRest() ? true : 'when-hidden'
    });
    this._events.connect(this._onEvent, this);
  }

  readonly id: string;
  readonly source: JobSource;

  /**
   * The clock that ages are measured with.
   */
  readonly clock = new ServerClock();

  /**
   * What is being done with the job.
   */
  readonly actions = new JobActions(() => this.stateChanged.emit());

  /**
   * The job, or null before the first answer.
   */
  get job(): IJobRecord | null {
    return this._job;
  }

  /**
   * Where what is shown comes from.
   */
  get origin(): 'server' | 'ledger' {
    return this._origin;
  }

  /**
   * Its recorded events, in their order.
   */
  get events(): readonly IPastEvent[] {
    return this._past;
  }

  /**
   * Its executions, oldest first.
   */
  get attempts(): readonly IAttempt[] {
    return this._attempts;
  }

  /**
   * How its metrics went, by attempt.
   */
  get series(): readonly ISeries[] {
    return this._series;
  }

  /**
   * Its output.
   */
  get output(): Output {
    return this._output;
  }

  /**
   * Why the output could not be fetched, one sentence, or null.
   */
  get outputFailure(): string | null {
    return this._outputFailure;
  }

  /**
   * Why the last look at the job failed, or null.
   */
  get failure(): IFailure | null {
    return this._failure;
  }

  /**
   * What is expected of it while it waits in line, or null when nobody has told.
   */
  get forecast(): IForecastReply | null {
    return this._forecasts.get(this._jobId);
  }

  /**
   * Whether nobody knows the job.
   */
  get isUnknown(): boolean {
    return this._isUnknown;
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
    this._fetchedAt = 0;
    await this._poll.refresh();
    await this._poll.tick;
  }

  /**
   * Ask for the end of the job. Never throws: see `actions`.
   */
  async cancel(): Promise<void> {
    await this.actions.run(this.id, 'cancel', async () => {
      this._put((await this._api.cancel(this.id)).data.job);
    });
  }

  /**
   * Put a held job in line. Never throws: see `actions`.
   */
  async release(): Promise<void> {
    await this.actions.run(this.id, 'release', async () => {
      this._put((await this._api.release(this.id)).data.job);
    });
  }

  /**
   * Submit the job again. Never throws: see `actions`.
   *
   * @param written - Config values that are others, as people write them.
   * @returns The id of the new job, or null if that was refused.
   */
  async retry(
    written: Readonly<Record<string, string>> = {}
  ): Promise<string | null> {
    let id: string | null = null;
    await this.actions.run(this.id, 'retry', async () => {
      id = (await this._api.retry(this.id, written)).data.job.job_id;
    });
    return id;
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    clearTimeout(this._gathering);
    this._events.disconnect(this._onEvent, this);
    this._poll.dispose();
    this.clock.stop();
    super.dispose();
  }

  /**
   * The whole id: a job may have been opened by a part of it.
   */
  private get _jobId(): string {
    return this._job?.job_id ?? this.id;
  }

  private _isLooking(): boolean {
    return this._isActive && !document.hidden && this._isConnected();
  }

  /**
   * Whether nothing will change any more.
   */
  private _isAtRest(): boolean {
    return (
      this._fetchedAt > 0 &&
      this._failure === null &&
      this._job !== null &&
      isFinal(this._job.state) &&
      this._isOutputComplete
    );
  }

  /**
   * One tick of the poll. Throws after a failure, so that the poll backs off.
   */
  private async _tick(): Promise<void> {
    if (Date.now() - this._fetchedAt > SAFETY_MS || this._failure !== null) {
      await this._look();
    }
    if (this._failure !== null) {
      throw new Error(this._failure.message);
    }
    await this._fetchOutput();
    if (this._job !== null && this._origin === 'server') {
      await this._forecasts.fetch([this._job], this._jobId);
    }
  }

  private async _look(): Promise<void> {
    const number = ++this._looks;
    let seen: ISighting | null = null;
    let error: unknown = null;
    try {
      seen = await this.source.look(this.id);
    } catch (reason) {
      error = reason;
    }
    if (number !== this._looks || this.isDisposed) {
      return;
    }
    this._isUnknown = error instanceof UnknownJob;
    this._failure = seen === null ? describeFailure(error) : null;
    if (seen !== null) {
      this._fetchedAt = Date.now();
      this._origin = seen.origin;
      this.clock.observe(seen.date);
      this._past = seen.history.events;
      this._attempts = attemptsOf(this._past);
      this._series = withHeard(seen.history.series, this._series);
      this._put(seen.job);
    }
    this.stateChanged.emit();
  }

  /**
   * The job alone, when nothing but its numbers has changed.
   */
  private async _lookBriefly(): Promise<void> {
    const number = ++this._looks;
    try {
      const { data } = await this._api.job(this.id);
      if (number === this._looks && !this.isDisposed) {
        this._put(data.job);
        this.stateChanged.emit();
      }
    } catch {
      // The next look says what is wrong.
      this._fetchedAt = 0;
    }
  }

  private _put(job: IJobRecord): void {
    const before = this._job;
    this._job = job;
    if (job.state === 'running') {
      this._series = withLive(this._series, job);
    }
    if (before !== null && before.attempt !== job.attempt) {
      this._output = new Output();
      this._isOutputComplete = false;
    }
  }

  private async _fetchOutput(): Promise<void> {
    const job = this._job;
    if (job === null || this._isOutputComplete) {
      return;
    }
    const output = this._output;
    if (this._origin === 'ledger') {
      output.add({ log: job.log_tail ?? '', offset: null, complete: true });
      this._isOutputComplete = isFinal(job.state);
    } else if (job.attempt === 0 && !isFinal(job.state)) {
      return;
    } else {
      try {
        const { data } = await this._api.log(this.id);
        if (output !== this._output) {
          return;
        }
        output.add(data);
        this._isOutputComplete = data.complete;
        this._outputFailure = null;
      } catch (error) {
        this._outputFailure = describeFailure(error).message;
      }
    }
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (event?.schema_id !== JOB_SCHEMA || event.job_id !== this._jobId) {
      return;
    }
    const job = this._job;
    this._hasTurned ||=
      job === null ||
      job.state !== event.state ||
      (event.attempt !== undefined && event.attempt !== job.attempt);
    if (!this._isLooking()) {
      this._fetchedAt = 0;
      return;
    }
    this._gathering ??= setTimeout(
      () => {
        this._gathering = undefined;
        this._gatheredAt = Date.now();
        const hasTurned = this._hasTurned;
        this._hasTurned = false;
        if (hasTurned || this._failure !== null) {
          void this.refresh();
        } else {
          void this._lookBriefly();
        }
      },
      Math.max(GATHER_MS, this._gatheredAt + this._minimumMs - Date.now())
    );
  }

  private readonly _api: IQueueAPI;
  private readonly _forecasts: JobForecasts;
  private readonly _events: ISignal<unknown, Event.Emission>;
  private readonly _isConnected: () => boolean;
  private readonly _minimumMs: number;
  private readonly _poll: Poll;
  private _isActive = false;
  private _job: IJobRecord | null = null;
  private _origin: 'server' | 'ledger' = 'server';
  private _past: readonly IPastEvent[] = [];
  private _attempts: readonly IAttempt[] = [];
  private _series: readonly ISeries[] = [];
  private _failure: IFailure | null = null;
  private _isUnknown = false;
  private _looks = 0;
  private _fetchedAt = 0;
  private _output = new Output();
  private _outputFailure: string | null = null;
  private _isOutputComplete = false;
  private _hasTurned = false;
  private _gatheredAt = 0;
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The namespace of `JobViewModel`.
 */
export namespace JobViewModel {
  export interface IOptions {
    id: string;
    source: JobSource;
    api: IQueueAPI;

    /**
     * The server's event stream.
     */
    events: ISignal<unknown, Event.Emission>;

    /**
     * Whether the application has a connection to its server.
     */
    isConnected?: () => boolean;

    /**
     * The shortest time between two looks, seconds; see `QueueModel.minimumInterval`.
     */
    minimumInterval?: number;
  }
}

/**
 * What the server told, and what was heard here of attempts where that reaches back further:
 * a server that was started anew has forgotten what it had heard.
 */
function withHeard(
  told: readonly ISeries[],
  heard: readonly ISeries[]
): readonly ISeries[] {
  const known = new Map(told.map(one => [one.attempt, one]));
  for (const one of heard) {
    const other = known.get(one.attempt);
    if (
      other === undefined ||
      (!other.complete && other.seconds.length < one.seconds.length)
    ) {
      known.set(one.attempt, one);
    }
  }
  return [...known.values()].sort((a, b) => a.attempt - b.attempt);
}
