import type { IJobPage, IJobRecord, IQueueAPI } from '../api';
import type { IJobEvent } from '../events';
import type { IFailure } from '../failure';
import { describeFailure } from '../failure';
import { JobTable } from '../jobTable';
import { isFinal } from '../state';
import { fetchJobs, fetchPages, fetchUnfinished } from './pages';

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
export const GATHER_MS = 250;

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
 * What somebody wants to hear of the known jobs.
 */
export interface IListener {
  /**
   * Something that is shown has changed.
   */
  onChange: () => void;

  /**
   * The record of a job is not there any more.
   */
  onGone: (id: string) => void;

  /**
   * These jobs have been fetched because they had changed.
   */
  onNews: (ids: readonly string[]) => void;
}

const NOBODY: IListener = {
  onChange: () => undefined,
  onGone: () => undefined,
  onNews: () => undefined
};

/**
 * The jobs of one notebook, or of all, as the server knows them: the newest are fetched first,
 * older ones follow, and what changes is fetched together.
 */
export class KnownJobs {
  /**
   * @param _notebook - Path of the notebook; undefined for all, null when there is none.
   * @param _isLooking - Whether anybody can see the jobs.
   * @param _minimumInterval - The shortest time between two fetches of news, seconds.
   */
  constructor(
    private readonly _api: IQueueAPI,
    private readonly _notebook: string | null | undefined,
    private readonly _isLooking: () => boolean,
    private readonly _minimumInterval: () => number,
    private _listener: IListener
  ) {}

  readonly table = new JobTable();

  /**
   * Whether the newest jobs have been told.
   */
  get isKnown(): boolean {
    return this._isKnown;
  }

  /**
   * How many jobs there are, also those that are not listed.
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
   * Why the last look failed, or null.
   */
  get failure(): IFailure | null {
    return this._failure;
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
    const notebook = this._notebook;
    this._isLoading = false;
    if (notebook === null) {
      // No notebook is open, so it has no jobs; the view says so.
      this._isKnown = true;
      this._fetchedAt = Date.now();
      this._listener.onChange();
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
      this._listener.onChange();
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
   * Take in that a job has changed: what the event says is shown at once, the rest is
   * fetched together with other changes.
   */
  onEvent(event: IJobEvent): void {
    if (this.table.apply(event)) {
      this._listener.onChange();
    } else if (!this._isMine(event.path ?? null)) {
      return;
    }
    this._news.add(event.job_id);
    this._gather();
  }

  /**
   * Take in a job as an answer told it.
   */
  put(job: IJobRecord): void {
    const isKnown = this.table.get(job.job_id) !== undefined;
    if (isKnown || this._isMine(job.path)) {
      this.table.put(job);
      this._total += isKnown ? 0 : 1;
    }
  }

  /**
   * Forget a job whose record is not there any more.
   */
  forget(id: string): void {
    if (this.table.remove(id)) {
      this._total -= 1;
    }
    this._listener.onGone(id);
  }

  /**
   * Ask for nothing more; what is still on its way is not told.
   */
  dispose(): void {
    clearTimeout(this._gathering);
    this._fetches += 1;
    this._listener = NOBODY;
  }

  /**
   * Take in the newest jobs, and see to the others.
   */
  private _takeFirst(
    page: IJobPage,
    number: number,
    notebook: string | undefined
  ): void {
    const table = this.table;
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
    const table = this.table;
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
      this._listener.onChange();
    }
    if (number === this._fetches) {
      gone.forEach(id => table.remove(id));
      this._isWhole = true;
      this._isLoading = false;
      this._listener.onChange();
    }
  }

  /**
   * Fetch what may have changed of the older jobs: those that were not over.
   */
  private async _catchUp(
    first: readonly IJobRecord[],
    notebook: string | undefined
  ): Promise<void> {
    const unsure = new Set(this._unfinished().map(({ job_id }) => job_id));
    first.forEach(({ job_id }) => unsure.delete(job_id));
    if (unsure.size === 0) {
      return;
    }
    for (const job of await fetchUnfinished(this._api, notebook)) {
      unsure.delete(job.job_id);
      this.put(job);
    }
    await this._fetchJobs([...unsure]);
    this._listener.onChange();
  }

  private _unfinished(): readonly IJobRecord[] {
    return this.table.records.filter(({ state }) => !isFinal(state));
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
        this._listener.onChange();
      }
    }
  }

  private _isMine(path: string | null): boolean {
    return (
      this._notebook === undefined || (path !== null && path === this._notebook)
    );
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
        this._gatheredAt + this._minimumInterval() * 1000 - Date.now()
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
    this._listener.onChange();
    this._listener.onNews(ids);
  }

  /**
   * Fetch these jobs; those that are not there any more are forgotten.
   */
  private async _fetchJobs(ids: readonly string[]): Promise<void> {
    const notebook = this._notebook ?? undefined;
    const gone = new Set(ids);
    for (const job of await fetchJobs(this._api, notebook, ids)) {
      gone.delete(job.job_id);
      this.put(job);
    }
    gone.forEach(id => this.forget(id));
  }

  private _isKnown = false;
  private _failure: IFailure | null = null;
  private _troubles: readonly string[] = [];
  private _total = 0;
  private _limit = LISTED;
  private _isWhole = false;
  private _isLoading = false;

  private _fetches = 0;
  private _isFetching = false;
  private _fetchedAt = 0;
  private _news = new Set<string>();
  private _gatheredAt = 0;
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}
