import type { ServerConnection } from '@jupyterlab/services';

import type { IJobHistory } from './history';
import type { IReply } from './request';
import { request } from './request';

/**
 * Where a job is; `jupyter_aiqueue.core.job.State`.
 */
export type JobState =
  | 'held'
  | 'queued'
  | 'running'
  | 'retrying'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'dead';

/**
 * What one attempt came to. What is not known is missing or null, never 0.
 */
export interface IResult {
  readonly exit_code?: number | null;
  readonly duration_s?: number | null;
  readonly cpu_s?: number | null;
  readonly peak_memory_bytes?: number | null;
  readonly host?: string | null;
  readonly python?: string | null;
  readonly environment?: string | null;
  readonly git_commit?: string | null;
  readonly run_dir?: string | null;
  readonly log_file?: string | null;
}

/**
 * What is known of a job; `jupyter_aiqueue.core.job.JobRecord`. Times are ISO 8601, UTC.
 */
export interface IJobRecord {
  readonly job_id: string;
  readonly state: JobState;
  readonly task: string | null;
  readonly group: string | null;
  readonly priority: string | null;
  readonly name: string | null;
  readonly config: Readonly<Record<string, unknown>>;

  /**
   * Path of the notebook relative to the server's root, or null when it lies elsewhere.
   */
  readonly path: string | null;
  readonly notebook: string | null;
  readonly ledger: string | null;
  readonly user: string | null;
  readonly submitted_at: string | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly updated_at: string | null;
  readonly next_attempt_at: string | null;

  /**
   * What a held job waits for, as it was written.
   */
  readonly hold: string | null;
  readonly attempt: number;
  readonly max_attempts: number;

  /**
   * Seconds that one attempt may take; null leaves it to the worker.
   */
  readonly timeout?: number | null;
  readonly worker: string | null;

  /**
   * 0 to 1, or null when the experiment has not reported any.
   */
  readonly progress: number | null;
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly result: IResult | null;
  readonly reason: string | null;
  readonly cancelling: boolean;
  readonly retry_of: string | null;
  readonly duplicates: number;
  readonly log_tail: string | null;
}

/**
 * A number, where it comes from, and its age in seconds when the snapshot was taken.
 */
export interface IMeasured {
  readonly value: number | null;
  readonly source?: string | null;
  readonly age_s?: number | null;
}

/**
 * When something is expected, in seconds from the answer on: the 10, 50 and 90 % points.
 * `inside` of the last `of` outcomes were in the range that was told of them.
 */
export interface IExpected {
  readonly low: number | null;
  readonly middle: number | null;
  readonly high: number | null;
  readonly inside: number;
  readonly of: number;

  /**
   * A slot is free, and nobody waits for it.
   */
  readonly at_once: boolean;

  /**
   * Why nothing can be expected, or null.
   */
  readonly missing: string | null;
}

/**
 * What is expected of a job that waits in line.
 */
export interface IForecast {
  /**
   * Jobs of its own priority, and of higher ones, that are ahead of it.
   */
  readonly ahead: number;
  readonly ahead_of_higher: number;
  readonly start: IExpected;
  readonly finish: IExpected;
  readonly basis: string;

  /**
   * All of this, for people.
   */
  readonly sentences: readonly string[];
}

/**
 * A forecast, or one sentence that says why there is none.
 */
export interface IForecastReply {
  readonly job_id: string;
  readonly forecast: IForecast | null;
  readonly missing: string | null;
}

/**
 * One occupied slot of a worker.
 */
export interface IRunning {
  readonly job_id: string;
  readonly group: string;
  readonly task?: string | null;
  readonly name?: string | null;
  readonly user?: string | null;
  readonly since?: string | null;
  readonly progress?: number | null;
}

/**
 * One worker as its last heartbeat told.
 */
export interface IWorkerLoad {
  readonly worker: string;
  readonly state: string;
  readonly slots: number;
  readonly running: readonly IRunning[];

  /**
   * What it can run, by name.
   */
  readonly tasks?: readonly string[];
  readonly host?: string | null;
  readonly environment?: string | null;
  readonly age_s?: number | null;
}

/**
 * One worker group, or one plain queue (then `queue` is set).
 */
export interface IGroupLoad {
  readonly name: string;
  readonly queue: string | null;
  readonly waiting_by_priority: Readonly<Record<string, IMeasured>>;
  readonly waiting: IMeasured;
  readonly running: IMeasured;
  readonly workers: IMeasured;
  readonly slots: IMeasured;
  readonly free: IMeasured;
  readonly dead: IMeasured;
  readonly arrival_rate: IMeasured;
  readonly completion_rate: IMeasured;
  readonly retrying: IMeasured;

  /**
   * Seconds since the first of those that wait joined its line.
   */
  readonly oldest: IMeasured;
  readonly held: IMeasured;

  /**
   * Jobs per second that were submitted, and attempts per second that ended, over the last
   * 60, 600 and 3600 seconds.
   */
  readonly submitted_rates: Readonly<Record<string, IMeasured>>;
  readonly ended_rates: Readonly<Record<string, IMeasured>>;

  /**
   * The start of a job of normal priority that was submitted now; null when nobody says.
   */
  readonly start: IExpected | null;
  readonly worker_list: readonly IWorkerLoad[];
}

/**
 * The broker itself; `location` is an address without credentials.
 */
export interface IBrokerLoad {
  readonly state: string;
  readonly location: string | null;
  readonly version: string | null;
  readonly message: string | null;
  readonly alarms: string | null;

  /**
   * Of the memory at which publishers are blocked, the share in use, and bytes
   * free on the disk: of the node that is worst off.
   */
  readonly memory: IMeasured;
  readonly disk_free: IMeasured;
}

/**
 * One point of a group's recent past; null where it was not known.
 */
export interface IHistoryPoint {
  readonly timestamp: string;
  readonly waiting: number | null;
  readonly running: number | null;
}

/**
 * How busy the system is; `jupyter_aiqueue.core.load.Load` with its recent past.
 */
export interface ILoad {
  readonly timestamp: string;
  readonly broker: IBrokerLoad;
  readonly groups: readonly IGroupLoad[];
  readonly retrying: IMeasured;
  readonly notes: readonly string[];
  readonly history: Readonly<Record<string, readonly IHistoryPoint[]>>;

  /**
   * Seconds that a page leaves between two questions, at least: the administrator's word.
   */
  readonly minimum_refresh?: number;

  /**
   * Version of the Python package that answers.
   */
  readonly version?: string | null;
}

/**
 * Which jobs to list: those of a notebook (its path below the server's root) or all; only those
 * in some states (separated by commas); only those with some ids.
 */
export interface IJobSelection {
  readonly notebook?: string;
  readonly state?: string;
  readonly id?: readonly string[];
  readonly limit: number;
  readonly offset: number;
}

/**
 * The largest `limit` of a selection.
 */
export const MOST_JOBS = 1000;

/**
 * A page of jobs, newest first.
 */
export interface IJobPage {
  readonly jobs: readonly IJobRecord[];
  readonly total: number;

  /**
   * What keeps jobs from being recorded now, one sentence each.
   */
  readonly troubles: readonly string[];
}

/**
 * A job to submit; `jupyter_aiqueue.server.requests.Submission`.
 */
export interface ISubmission {
  /**
   * Null is the workers' default.
   */
  readonly task: string | null;

  /**
   * The config, as people write values.
   */
  readonly written: Readonly<Record<string, string>>;
  readonly group: string;
  readonly priority: string;
  readonly retries: number | null;

  /**
   * Seconds.
   */
  readonly timeout: number | null;
  readonly name: string | null;
  readonly when: string | null;
  readonly by: string | null;
  readonly expire: boolean;

  /**
   * Path of the notebook that it belongs to.
   */
  readonly notebook: string | null;

  /**
   * Whether it is meant though exactly this has succeeded before.
   */
  readonly again?: boolean;
}

/**
 * What the server says of a job that it has submitted.
 */
export interface ISubmitted {
  readonly job: IJobRecord;
  readonly place: number | null;

  /**
   * What the submitter should know, one sentence each.
   */
  readonly notes: readonly string[];
}

/**
 * What would become of a job, in sentences.
 */
export interface IRehearsal {
  readonly sentences: readonly string[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];

  /**
   * Whether exactly this has succeeded before.
   */
  readonly repeated: boolean;

  /**
   * The config, as it was read.
   */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * The output of a job, as far as it is known here.
 */
export interface IJobLog {
  readonly log: string;

  /**
   * Where the text begins in the whole output, characters; null when that is not known.
   */
  readonly offset: number | null;

  /**
   * Whether nothing will be added any more.
   */
  readonly complete: boolean;
}

/**
 * The server extension's API, one method per endpoint.
 *
 * Every method throws `RequestError` when the server refuses, and
 * `ServerConnection.NetworkError` when it does not answer.
 */
export interface IQueueAPI {
  /**
   * @param since - Until when its past is known; the answer has what came after it.
   */
  load(since?: string): Promise<IReply<ILoad>>;
  jobs(options: IJobSelection): Promise<IReply<IJobPage>>;
  job(id: string): Promise<IReply<{ job: IJobRecord }>>;
  submit(wanted: ISubmission): Promise<IReply<ISubmitted>>;
  rehearse(wanted: ISubmission): Promise<IReply<IRehearsal>>;
  cancel(id: string): Promise<IReply<{ job: IJobRecord; message: string }>>;
  release(id: string): Promise<IReply<{ job: IJobRecord; message: string }>>;

  /**
   * Submit a job again.
   *
   * @param written - Config values that replace or add to the old ones, as people write them.
   */
  retry(
    id: string,
    written?: Readonly<Record<string, string>>
  ): Promise<IReply<{ job: IJobRecord }>>;

  /**
   * Remove the record of a job that is over.
   */
  remove(id: string): Promise<IReply<{ job_id: string }>>;
  history(id: string): Promise<IReply<IJobHistory>>;
  forecast(id: string): Promise<IReply<IForecastReply>>;
  log(id: string): Promise<IReply<IJobLog>>;
}

/**
 * The API over the connection of the running application.
 */
export class QueueAPI implements IQueueAPI {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  load(since?: string): Promise<IReply<ILoad>> {
    return request(this._settings, ['load'], { since });
  }

  jobs(options: IJobSelection): Promise<IReply<IJobPage>> {
    return request(this._settings, ['jobs'], { ...options });
  }

  job(id: string): Promise<IReply<{ job: IJobRecord }>> {
    return request(this._settings, ['jobs', id]);
  }

  submit(wanted: ISubmission): Promise<IReply<ISubmitted>> {
    return request(this._settings, ['jobs'], {}, post({ ...wanted }));
  }

  rehearse(wanted: ISubmission): Promise<IReply<IRehearsal>> {
    return request(
      this._settings,
      ['jobs', 'rehearse'],
      {},
      post({ ...wanted })
    );
  }

  cancel(id: string): Promise<IReply<{ job: IJobRecord; message: string }>> {
    return request(this._settings, ['jobs', id, 'cancel'], {}, post({}));
  }

  release(id: string): Promise<IReply<{ job: IJobRecord; message: string }>> {
    return request(this._settings, ['jobs', id, 'release'], {}, post({}));
  }

  forecast(id: string): Promise<IReply<IForecastReply>> {
    return request(this._settings, ['jobs', id, 'forecast']);
  }

  retry(
    id: string,
    written: Readonly<Record<string, string>> = {}
  ): Promise<IReply<{ job: IJobRecord }>> {
    return request(
      this._settings,
      ['jobs', id, 'retry'],
      {},
      post({ written })
    );
  }

  remove(id: string): Promise<IReply<{ job_id: string }>> {
    return request(this._settings, ['jobs', id], {}, { method: 'DELETE' });
  }

  history(id: string): Promise<IReply<IJobHistory>> {
    return request(this._settings, ['jobs', id, 'history']);
  }

  log(id: string): Promise<IReply<IJobLog>> {
    return request(this._settings, ['jobs', id, 'log']);
  }
}

function post(body: Readonly<Record<string, unknown>>): RequestInit {
  return { method: 'POST', body: JSON.stringify(body) };
}
