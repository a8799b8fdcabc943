import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IJobPage, IJobRecord, IQueueAPI } from './api';
import { MOST_JOBS } from './api';
import type { IJobEvent } from './events';
import type { IFailure } from './failure';
import { describeFailure } from './failure';
import { JobForecasts } from './forecasts';
import { JobActions } from './jobActions';
import { JobLog } from './jobLog';
import { JobTable } from './jobTable';
import { RequestError } from './request';
import { isFinal } from './state';

/**
 * Whose jobs are listed: those of the current notebook, or of all notebooks.
 */
export type Scope = 'notebook' | 'all';

/**
 * Jobs that are asked for at once; "more" asks for so many more.
 */
const PAGE = 100;

/**
 * Changes that arrive within this time are fetched together, milliseconds.
 */
const GATHER_MS = 250;

/**
 * When more jobs than this have changed, the list is fetched instead of each of them.
 */
const FEW_JOBS = 8;

/**
 * The list is fetched at least so often, whatever the events say, milliseconds.
 */
const SAFETY_MS = 60_000;

/**
 * The same while there are unfinished jobs and no events, milliseconds: perhaps nothing
 * happens, perhaps the event stream is interrupted.
 */
const SILENT_MS = 20_000;

/**
 * The jobs in scope: the list, the job whose details are open, and what is done with them.
 */
export class JobsModel {
  constructor(
    private readonly _api: IQueueAPI,
    private readonly _isLooking: () => boolean
  ) {
    this.forecasts = new JobForecasts(_api, () => this._changed.emit());
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
   * Emitted when something that is shown has changed.
   */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * The jobs in scope, newest first, or null before the first answer.
   */
  get records(): readonly IJobRecord[] | null {
    return this._isKnown ? this._table.records : null;
  }

  /**
   * How many jobs there are in scope, also those that are not listed.
   */
  get total(): number {
    return this._total;
  }

  /**
   * What keeps jobs from being recorded now, one sentence each.
   */
  get troubles(): readonly string[] {
    return this._troubles;
  }

  /**
   * Why the last look at the list failed, or null.
   */
  get failure(): IFailure | null {
    return this._failure;
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
    return this._table.get(id);
  }

  /**
   * Open the details of a job, or close them with null.
   */
  select(id: string | null): void {
    if (id === (this._selected?.id ?? null)) {
      return;
    }
    this._selected?.changed.disconnect(this._emit, this);
    this._selected = id === null ? null : new JobLog(id, this._api);
    this._selected?.changed.connect(this._emit, this);
    this._changed.emit();
    void this._selected?.fetch();
    void this.fetchForecasts();
  }

  /**
   * Make the list due: it is fetched with the next look.
   */
  expire(): void {
    this._fetchedAt = 0;
  }

  /**
   * Whether the list has to be fetched now.
   *
   * @param isLive - Whether the event stream is known to work.
   */
  isDue(isLive: boolean): boolean {
    const isUnsure =
      !isLive && this._table.records.some(job => !isFinal(job.state));
    const limit = isUnsure ? SILENT_MS : SAFETY_MS;
    return this._failure !== null || Date.now() - this._fetchedAt > limit;
  }

  /**
   * Fetch the list. Never throws: see `failure`.
   */
  async fetch(): Promise<void> {
    const number = ++this._fetches;
    const notebook = this._scope === 'notebook' ? this._notebook : undefined;
    if (notebook === null) {
      // No notebook is open, so it has no jobs; the view says so.
      this._isKnown = true;
      this._fetchedAt = Date.now();
      this._changed.emit();
      return;
    }
    this._isFetching = true;
    try {
      const page = await this._fetchUpTo(this._limit, notebook);
      if (number === this._fetches) {
        this._table.replace(page.jobs);
        this._total = page.total;
        this._troubles = page.troubles;
        this._isKnown = true;
        this._failure = null;
        this._fetchedAt = Date.now();
      }
    } catch (error) {
      if (number === this._fetches) {
        this._failure = describeFailure(error);
      }
    }
    if (number === this._fetches) {
      this._isFetching = false;
      this._changed.emit();
    }
  }

  /**
   * List more of the older jobs.
   */
  async fetchMore(): Promise<void> {
    this._limit += PAGE;
    await this.fetch();
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
      await this.forecasts.fetch(this._table.records, open);
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
   * Take in that a job has changed: what the event says is shown at once, the rest is
   * fetched together with other changes.
   */
  onEvent(event: IJobEvent): void {
    if (this._table.apply(event)) {
      this._changed.emit();
    } else if (!this._isInScope(event.path ?? null)) {
      return;
    }
    this._news.add(event.job_id);
    this._gather();
  }

  /**
   * Ask for the end of a job. Never throws: see `actions`.
   */
  async cancel(id: string): Promise<void> {
    await this.actions.run(id, 'cancel', async () => {
      this._put((await this._api.cancel(id)).data.job);
    });
  }

  /**
   * Put a held job in line. Never throws: see `actions`.
   */
  async release(id: string): Promise<void> {
    await this.actions.run(id, 'release', async () => {
      this._put((await this._api.release(id)).data.job);
    });
  }

  /**
   * Submit a job again. Never throws: see `actions`.
   */
  async retry(id: string): Promise<void> {
    await this.actions.run(id, 'retry', async () => {
      const { job } = (await this._api.retry(id)).data;
      this._put(job);
      this.select(job.job_id);
    });
  }

  dispose(): void {
    clearTimeout(this._gathering);
    clearTimeout(this._seeing);
    this._fetches += 1;
    this._selected?.changed.disconnect(this._emit, this);
    Signal.clearData(this);
  }

  private _restart(): void {
    this._table = new JobTable();
    this._isKnown = false;
    this._failure = null;
    this._troubles = [];
    this._total = 0;
    this._limit = PAGE;
    this._news.clear();
    this.select(null);
    this.expire();
    this._changed.emit();
    if (this._isLooking()) {
      void this.fetch();
    }
  }

  /**
   * The newest jobs up to `limit`, in as many requests as the server needs for them.
   */
  private async _fetchUpTo(
    limit: number,
    notebook: string | undefined
  ): Promise<IJobPage> {
    const jobs: IJobRecord[] = [];
    let page: IJobPage;
    do {
      const offset = jobs.length;
      const part = Math.min(limit - offset, MOST_JOBS);
      page = (await this._api.jobs({ notebook, limit: part, offset })).data;
      jobs.push(...page.jobs);
    } while (page.jobs.length > 0 && jobs.length < Math.min(limit, page.total));
    return { ...page, jobs };
  }

  private _isInScope(path: string | null): boolean {
    return this._scope === 'all' || (path !== null && path === this._notebook);
  }

  private _gather(): void {
    this._gathering ??= setTimeout(
      () => {
        this._gathering = undefined;
        if (this._isFetching) {
          // The list on its way may be older than the news: the news go on top of it.
          this._gather();
        } else {
          this._gatheredAt = Date.now();
          void this._fetchNews();
        }
      },
      Math.max(
        GATHER_MS,
        this._gatheredAt + this.minimumInterval * 1000 - Date.now()
      )
    );
  }

  private async _fetchNews(): Promise<void> {
    const ids = [...this._news];
    this._news.clear();
    if (!this._isLooking()) {
      this.expire();
      return;
    }
    if (ids.length > FEW_JOBS) {
      await this.fetch();
      return;
    }
    await Promise.all(ids.map(id => this._fetchJob(id)));
    this._changed.emit();
    const selected = this._selected;
    const job = selected && ids.includes(selected.id) && this.find(selected.id);
    if (job && job.state !== 'running') {
      await selected.fetch();
    }
  }

  private async _fetchJob(id: string): Promise<void> {
    const table = this._table;
    try {
      const { job } = (await this._api.job(id)).data;
      if (table === this._table) {
        this._put(job);
      }
    } catch (error) {
      if (!(error instanceof RequestError && error.status === 404)) {
        this.expire();
      } else if (table === this._table && table.remove(id)) {
        this._total -= 1;
      }
    }
  }

  private _put(job: IJobRecord): void {
    const isKnown = this._table.get(job.job_id) !== undefined;
    if (isKnown || this._isInScope(job.path)) {
      this._table.put(job);
      this._total += isKnown ? 0 : 1;
    }
  }

  private _emit(): void {
    this._changed.emit();
  }

  private _table = new JobTable();
  private _isKnown = false;
  private _failure: IFailure | null = null;
  private _troubles: readonly string[] = [];
  private _total = 0;
  private _limit = PAGE;
  private _scope: Scope = 'notebook';
  private _notebook: string | null = null;

  private _fetches = 0;
  private _isFetching = false;
  private _fetchedAt = 0;
  private _news = new Set<string>();
  private _gatheredAt = 0;
  private _gathering: ReturnType<typeof setTimeout> | undefined;
  private _seeing: ReturnType<typeof setTimeout> | undefined;

  private _selected: JobLog | null = null;
  private _changed = new Signal<this, void>(this);
}
