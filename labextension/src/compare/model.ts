import type { Event } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';

import type { IJobRecord } from '../api';
import { JOB_SCHEMA, readEvent } from '../events';
import type { IFailure } from '../failure';
import { describeFailure } from '../failure';
import type { ISeries } from '../history';
import { withLive } from '../history';
import type { JobSource } from '../jobSource';
import { isFinal } from '../state';

/**
 * Changes that arrive within this time are fetched together, milliseconds.
 */
const GATHER_MS = 1000;

/**
 * One of the compared jobs: what is known of it, or why nothing is.
 */
export interface ICompared {
  readonly id: string;

  /**
   * A letter that stands for it in charts.
   */
  readonly mark: string;
  readonly job: IJobRecord | null;

  /**
   * How the metrics of its newest attempt went, if that is known.
   */
  readonly series: ISeries | null;
  readonly failure: IFailure | null;
}

/**
 * Several jobs side by side. They are fetched when somebody begins to look, and again when
 * they change.
 */
export class CompareModel extends VDomModel {
  constructor(options: CompareModel.IOptions) {
    super();
    this._source = options.source;
    this._events = options.events;
    this._compared = [...new Set(options.ids)].map((id, i) => ({
      id,
      mark: String.fromCharCode(65 + i),
      job: null,
      series: null,
      failure: null
    }));
    this._events.connect(this._onEvent, this);
  }

  /**
   * The jobs, in the order in which they were named.
   */
  get compared(): readonly ICompared[] {
    return this._compared;
  }

  /**
   * Path of the ledger that is read when the server does not know the jobs, or null.
   */
  get ledger(): string | null {
    return this._source.ledger;
  }

  /**
   * Whether the first answers are still on their way.
   */
  get isLoading(): boolean {
    return this._compared.some(
      ({ job, failure }) => job === null && failure === null
    );
  }

  /**
   * Say whether somebody looks. When nobody does, nothing is asked.
   */
  setActive(isActive: boolean): void {
    if (this.isDisposed || isActive === this._isActive) {
      return;
    }
    this._isActive = isActive;
    if (isActive) {
      for (const { id, job } of this._compared) {
        if (job === null || !isFinal(job.state)) {
          this._news.add(id);
        }
      }
      void this._fetch();
    }
  }

  /**
   * Ask for everything now.
   */
  async refresh(): Promise<void> {
    this._news = new Set(this._compared.map(({ id }) => id));
    await this._fetch();
  }

  /**
   * Leave a job out.
   */
  remove(id: string): void {
    this._compared = this._compared.filter(one => one.id !== id);
    this.stateChanged.emit();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      clearTimeout(this._gathering);
      this._events.disconnect(this._onEvent, this);
      super.dispose();
    }
  }

  private async _fetch(): Promise<void> {
    const ids = [...this._news];
    this._news.clear();
    await Promise.all(ids.map(id => this._look(id)));
    if (!this.isDisposed && ids.length > 0) {
      this.stateChanged.emit();
    }
  }

  private async _look(id: string): Promise<void> {
    let news: Partial<ICompared>;
    try {
      const { job, history } = await this._source.look(id);
      const series =
        job.state === 'running'
          ? withLive(history.series, job)
          : history.series;
      news = {
        job,
        series: series[series.length - 1] ?? null,
        failure: null
      };
    } catch (error) {
      news = { failure: describeFailure(error) };
    }
    this._compared = this._compared.map(one =>
      one.id === id ? { ...one, ...news } : one
    );
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (
      event?.schema_id !== JOB_SCHEMA ||
      !this._compared.some(({ id }) => id === event.job_id)
    ) {
      return;
    }
    this._news.add(event.job_id);
    this._gathering ??= setTimeout(() => {
      this._gathering = undefined;
      // Who does not look now is told when they look again.
      if (this._isActive && !document.hidden) {
        void this._fetch();
      }
    }, GATHER_MS);
  }

  private readonly _source: JobSource;
  private readonly _events: ISignal<unknown, Event.Emission>;
  private _compared: readonly ICompared[];
  private _isActive = false;
  private _news = new Set<string>();
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The namespace of `CompareModel`.
 */
export namespace CompareModel {
  export interface IOptions {
    ids: readonly string[];
    source: JobSource;

    /**
     * The server's event stream.
     */
    events: ISignal<unknown, Event.Emission>;
  }
}
