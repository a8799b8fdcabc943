import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IJobPage, IJobRecord, IQueueAPI } from './api';
import type { IJobEvent } from './events';
import type { IFailure } from './failure';
import { describeFailure } from './failure';
import { JobForecasts } from './forecasts';
import { JobActions } from './jobActions';
import { Bulk } from './jobList/bulk';
import { JobList } from './jobList/model';
import { fetchJobs, fetchPages, fetchUnfinished } from './jobList/pages';
import { JobLog } from './jobLog';
import { JobTable } from './jobTable';
import { isFinal } from './state';

/**
 * Whose jobs are listed: those of the current notebook, or of all notebooks.
 */
export type Scope = 'notebook' | 'all';

/**
 * Jobs that are asked for first, so that something is seen at once.
 */
const PAGE = 100;

/**
 * Jobs that are listed at most; "more" lists so many more.
 */
const LISTED = 10_000;

/**
 * Changes that arrive within this time are fetched together, milliseconds.
 */
const GATHER_MS = 250;

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
   * Which of the known jobs are listed, and which of them are selected.
   */
  readonly list = new JobList(
    () => this._table,
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
    return this._isKnown ? this._table.records : null;
  }

  /**
   * How many jobs there are in scope, also those that are not listed.
   */
  get total(): number {
    return this._total;
  }

  /**
   * Whether older jobs are on their way.
   */
  get isLoading(): boolean {
    return this._isLoading;
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
    this._fetchedAt = 0;
  }

  /**
   * Whether the list has to be fetched now.
   *
   * @param isLive - Whether the event stream is known to work.
   */
  isDue(isLive: boolean): boolean {
    const unfinished = this._unfinished().length;
    const isUnsure = !isLive && unfinished > 0;
    // So many are asked for that it has to be done less often.
    const patience = Math.max(1, unfinished / 1000);
    const limit = (isUnsure ? SILENT_MS : SAFETY_MS) * patience;
    return this._failure !== null || Date.now() - this._fetchedAt > limit;
  }

  /**
   * Fetch the list: resolves when the newest jobs are there, and what is missing of the others
   * follows. Never throws: see `failure`.
   */
  async fetch(): Promise<void> {
    const number = ++this._fetches;
    const notebook = this._scope === 'notebook' ? this._notebook : undefined;
    this._isLoading = false;
    if (notebook === null) {
      // No notebook is open, so it has no jobs; the view says so.
      this._isKnown = true;
      this._fetchedAt = Date.now();
      this._changed.emit();
      return;
    }
    this._isFetching = true;
    await this._try(number, async () => {
      const limit = Math.min(PAGE, this._limit);
      const query = { notebook, limit, offset: 0 };
      const page = (await this._api.jobs(query)).data;
      if (number === this._fetches) {
        this._takeFirst(page, number, notebook);
      }
    });
    if (number === this._fetches) {
      this._isFetching = false;
      this._openNow();
      this._changed.emit();
    }
  }

  /**
   * List more of the older jobs.
   */
  async fetchMore(): Promise<void> {
    this._limit += LISTED;
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
   *
   * @param opens - Whether the details of the new job are opened.
   */
  async retry(id: string, opens = true): Promise<void> {
    await this.actions.run(id, 'retry', async () => {
      const { job } = (await this._api.retry(id)).data;
      this._put(job);
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
      this._forget(id);
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
    this._limit = LISTED;
    this._isWhole = false;
    this._isLoading = false;
    this._news.clear();
    this.list.restart();
    const toOpen = this._toOpen;
    this.select(null);
    this._toOpen = toOpen;
    this.expire();
    this._changed.emit();
    if (this._isLooking()) {
      void this.fetch();
    }
  }

  /**
   * Take in the newest jobs, and see to the others.
   */
  private _takeFirst(
    page: IJobPage,
    number: number,
    notebook: string | undefined
  ): void {
    const table = this._table;
    const listed = Math.min(page.total, this._limit);
    const isAll = page.jobs.length >= listed;
    if (isAll) {
      table.replace(page.jobs);
    } else {
      page.jobs.forEach(job => table.put(job));
    }
    this._total = page.total;
    this._troubles = page.troubles;
    this._isKnown = true;
    this._failure = null;
    this._fetchedAt = Date.now();
    if (isAll) {
      this._isWhole = true;
    } else if (
      this._isWhole &&
      table.size >= listed &&
      table.size <= page.total
    ) {
      // No job has come or gone unseen; those that are over do not change.
      void this._try(number, () => this._catchUp(page.jobs, notebook));
    } else {
      this._isLoading = true;
      void this._try(number, () =>
        this._fetchRest(page.jobs, number, notebook)
      );
    }
  }

  /**
   * Fetch all older jobs.
   */
  private async _fetchRest(
    first: readonly IJobRecord[],
    number: number,
    notebook: string | undefined
  ): Promise<void> {
    const table = this._table;
    const gone = new Set(table.records.map(({ job_id }) => job_id));
    first.forEach(({ job_id }) => gone.delete(job_id));
    const query = { notebook, offset: first.length };
    for await (const page of fetchPages(this._api, query, this._limit)) {
      if (number !== this._fetches) {
        return;
      }
      if (!this._isLooking()) {
        this._isLoading = false;
        this.expire();
        return;
      }
      for (const job of page.jobs) {
        table.put(job);
        gone.delete(job.job_id);
      }
      this._total = page.total;
      this._openNow();
      this._changed.emit();
    }
    if (number === this._fetches) {
      gone.forEach(id => table.remove(id));
      this._isWhole = true;
      this._isLoading = false;
      this._changed.emit();
    }
  }

  /**
   * Fetch what may have changed of the older jobs: those that were not over.
   */
  private async _catchUp(
    first: readonly IJobRecord[],
    notebook: string | undefined
  ): Promise<void> {
    const table = this._table;
    const unsure = new Set(this._unfinished().map(({ job_id }) => job_id));
    first.forEach(({ job_id }) => unsure.delete(job_id));
    if (unsure.size === 0) {
      return;
    }
    for (const job of await fetchUnfinished(this._api, notebook)) {
      unsure.delete(job.job_id);
      if (table === this._table) {
        this._put(job);
      }
    }
    await this._fetchJobs([...unsure]);
    this._changed.emit();
  }

  private _unfinished(): readonly IJobRecord[] {
    return this._table.records.filter(({ state }) => !isFinal(state));
  }

  /**
   * Do a part of a fetch; what goes wrong is its failure, unless a newer one has begun.
   */
  private async _try(number: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (number === this._fetches) {
        this._failure = describeFailure(error);
        this._isLoading = false;
        this._changed.emit();
      }
    }
  }

  private _openNow(): void {
    const id = this._toOpen;
    if (id !== null && this.find(id) !== undefined) {
      this.select(id);
    }
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
    try {
      await this._fetchJobs(ids);
    } catch {
      this.expire();
    }
    this._changed.emit();
    const selected = this._selected;
    const job = selected && ids.includes(selected.id) && this.find(selected.id);
    if (job && job.state !== 'running') {
      await selected.fetch();
    }
  }

  /**
   * Fetch these jobs; those that are not there any more are forgotten.
   */
  private async _fetchJobs(ids: readonly string[]): Promise<void> {
    const table = this._table;
    const notebook =
      this._scope === 'notebook' ? (this._notebook ?? undefined) : undefined;
    const gone = new Set(ids);
    for (const job of await fetchJobs(this._api, notebook, ids)) {
      gone.delete(job.job_id);
      if (table === this._table) {
        this._put(job);
      }
    }
    if (table === this._table) {
      gone.forEach(id => this._forget(id));
    }
  }

  private _forget(id: string): void {
    if (this._table.remove(id)) {
      this._total -= 1;
    }
    if (this._selected?.id === id) {
      this.select(null);
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
  private _limit = LISTED;
  private _isWhole = false;
  private _isLoading = false;
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
  private _toOpen: string | null = null;
  private _changed = new Signal<this, void>(this);
}
