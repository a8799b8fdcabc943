import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IJobRecord, IQueueAPI } from './api';
import type { IJobEvent } from './events';
import type { IFailure } from './failure';
import { JobForecasts } from './forecasts';
import { JobActions } from './jobActions';
import { Bulk } from './jobList/bulk';
import { GATHER_MS, KnownJobs } from './jobList/known';
import { JobList } from './jobList/model';
import { JobLog } from './jobLog';

/**
 * Whose jobs are listed: those of the current notebook, or of all notebooks.
 */
export type Scope = 'notebook' | 'all';

/**
 * The jobs in scope: the list, the job whose details are open, and what is done with them.
 */
export class JobsModel {
  constructor(
    private readonly _api: IQueueAPI,
    private readonly _isLooking: () => boolean
  ) {
    this.forecasts = new JobForecasts(_api, () => this._changed.emit());
    this._known = this._inScope();
  }

  /**
   * What is expected of jobs that wait.
   */
  readonly forecasts: JobForecasts;

  /**
   * What is being done with jobs.
   */
  readonly actions = new JobActions(() => this._changed.emit());

  /**
   * The shortest time between two fetches of what has changed, seconds.
   */
  minimumInterval = 0;

  /**
   * Which of the known jobs are listed, and which of them are selected.
   */
  readonly list = new JobList(
    () => this._known.table,
    () => this._changed.emit()
  );

  /**
   * What is being done with several jobs.
   */
  readonly bulk = new Bulk(this, () => this._changed.emit());

  /**
   * Emitted when something that is shown has changed.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * The known jobs in scope, newest first, or null before the first answer. The newest are known
   * first; more follow while `isLoading`.
   */
  get records(): readonly IJobRecord[] | null {
    return this._known.isKnown ? this._known.table.records : null;
  }

  /**
   * How many jobs there are in scope, also those that are not listed.
   */
  get total(): number {
    return this._known.total;
  }

  /**
   * Whether older jobs are on their way.
   */
  get isLoading(): boolean {
    return this._known.isLoading;
  }

  /**
   * What keeps jobs from being recorded now, one sentence each.
   */
  get troubles(): readonly string[] {
    return this._known.troubles;
  }

  /**
   * Why the last look at the list failed, or null.
   */
  get failure(): IFailure | null {
    return this._known.failure;
  }

  get scope(): Scope {
    return this._scope;
  }

  set scope(scope: Scope) {
    if (scope !== this._scope) {
      this._scope = scope;
      this._restart();
    }
  }

  /**
   * Path of the current notebook below the server's root, without a drive, or null.
   */
  get notebook(): string | null {
    return this._notebook;
  }

  set notebook(path: string | null) {
    if (path === this._notebook) {
      return;
    }
    this._notebook = path;
    if (this._scope === 'notebook') {
      this._restart();
    } else {
      this._changed.emit();
    }
  }

  /**
   * Output of the job whose details are open, or null.
   */
  get selected(): JobLog | null {
    return this._selected;
  }

  find(id: string): IJobRecord | undefined {
    return this._known.table.get(id);
  }

  /**
   * Open the details of a job, or close them with null.
   */
  select(id: string | null): void {
    if (id === (this._selected?.id ?? null)) {
      return;
    }
    this._toOpen = null;
    this._selected?.changed.disconnect(this._emit, this);
    this._selected = id === null ? null : new JobLog(id, this._api);
    this._selected?.changed.connect(this._emit, this);
    this._changed.emit();
    void this._selected?.fetch();
    void this.fetchForecasts();
  }

  /**
   * Id of the job whose details are open, or will be when it is listed; or null.
   */
  get open(): string | null {
    return this._selected?.id ?? this._toOpen;
  }

  /**
   * Open the details of a job when it is listed.
   */
  openLater(id: string): void {
    this._toOpen = id;
  }

  /**
   * Make the list due: it is fetched with the next look.
   */
  expire(): void {
    this._known.expire();
  }

  /**
   * Whether the list has to be fetched now.
   *
   * @param isLive - Whether the event stream is known to work.
   */
  isDue(isLive: boolean): boolean {
    return this._known.isDue(isLive);
  }

  /**
   * Fetch the list: resolves when the newest jobs are there, and what is missing of the others
   * follows. Never throws: see `failure`.
   */
  async fetch(): Promise<void> {
    await this._known.fetch();
  }

  /**
   * List more of the older jobs.
   */
  async fetchMore(): Promise<void> {
    await this._known.fetchMore();
  }

  /**
   * Take in that a job has changed: what the event says is shown at once, the rest is
   * fetched together with other changes.
   */
  onEvent(event: IJobEvent): void {
    this._known.onEvent(event);
  }

  /**
   * Refresh the output of the selected job while there may be more of it.
   */
  async fetchLog(): Promise<void> {
    const job = this._selected && this.find(this._selected.id);
    if (job && job.attempt > 0 && !this._selected?.isFetching) {
      await this._selected?.fetch();
    }
  }

  /**
   * Ask what is expected of the jobs that wait, as far as somebody sees them.
   */
  async fetchForecasts(): Promise<void> {
    if (this._isLooking()) {
      const open = this._selected?.id ?? null;
      await this.forecasts.fetch(this._known.table.records, open);
    }
  }

  /**
   * Say whether somebody sees the row of a job that waits.
   */
  see(id: string, isSeen: boolean): void {
    this.forecasts.see(id, isSeen);
    if (isSeen && this.forecasts.get(id) === null) {
      // Rows come into sight together.
      this._seeing ??= setTimeout(() => {
        this._seeing = undefined;
        void this.fetchForecasts();
      }, GATHER_MS);
    }
  }

  /**
   * Ask for the end of a job. Never throws: see `actions`.
   */
  async cancel(id: string): Promise<void> {
    await this.actions.run(id, 'cancel', async () => {
      this._known.put((await this._api.cancel(id)).data.job);
    });
  }

  /**
   * Put a held job in line. Never throws: see `actions`.
   */
  async release(id: string): Promise<void> {
    await this.actions.run(id, 'release', async () => {
      this._known.put((await this._api.release(id)).data.job);
    });
  }

  /**
   * Submit a job again. Never throws: see `actions`.
   *
   * @param opens - Whether the details of the new job are opened.
   */
  async retry(id: string, opens = true): Promise<void> {
    await this.actions.run(id, 'retry', async () => {
      const { job } = (await this._api.retry(id)).data;
      this._known.put(job);
      if (opens) {
        this.select(job.job_id);
      }
    });
  }

  /**
   * Remove the record of a job that is over. Never throws: see `actions`.
   */
  async remove(id: string): Promise<void> {
    await this.actions.run(id, 'remove', async () => {
      await this._api.remove(id);
      this._known.forget(id);
    });
  }

  dispose(): void {
    clearTimeout(this._seeing);
    this._known.dispose();
    this._selected?.changed.disconnect(this._emit, this);
    Signal.clearData(this);
  }

  private _restart(): void {
    this._known.dispose();
    this._known = this._inScope();
    this.list.restart();
    const toOpen = this._toOpen;
    this.select(null);
    this._toOpen = toOpen;
    this._changed.emit();
    if (this._isLooking()) {
      void this.fetch();
    }
  }

  private _inScope(): KnownJobs {
    return new KnownJobs(
      this._api,
      this._scope === 'all' ? undefined : this._notebook,
      this._isLooking,
      () => this.minimumInterval,
      {
        onChange: () => this._onChange(),
        onGone: id => this._onGone(id),
        onNews: ids => void this._onNews(ids)
      }
    );
  }

  private _onChange(): void {
    const id = this._toOpen;
    if (id !== null && this.find(id) !== undefined) {
      this.select(id);
    }
    this._changed.emit();
  }

  private _onGone(id: string): void {
    if (this._selected?.id === id) {
      this.select(null);
    }
  }

  private async _onNews(ids: readonly string[]): Promise<void> {
    const selected = this._selected;
    const job = selected && ids.includes(selected.id) && this.find(selected.id);
    if (job && job.state !== 'running') {
      await selected.fetch();
    }
  }

  private _emit(): void {
    this._changed.emit();
  }

  private _known: KnownJobs;
  private _scope: Scope = 'notebook';
  private _notebook: string | null = null;
  private _seeing: ReturnType<typeof setTimeout> | undefined;

  private _selected: JobLog | null = null;
  private _toOpen: string | null = null;
  private _changed = new Signal<this, void>(this);
}
