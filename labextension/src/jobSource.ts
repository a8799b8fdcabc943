import type { Contents } from '@jupyterlab/services';

import type { IJobRecord, IQueueAPI } from './api';
import type { IFailure } from './failure';
import { describeFailure } from './failure';
import type { IJobHistory } from './history';
import { Ledger } from './ledger/ledger';

/**
 * A job and its past, and where they come from: the server extension, or a ledger file that
 * this page has read itself.
 */
export interface ISighting {
  readonly job: IJobRecord;
  readonly history: IJobHistory;
  readonly origin: 'server' | 'ledger';

  /**
   * The server's clock when it answered, if it said.
   */
  readonly date: string | null;
}

/**
 * Reads ledger files through the contents service.
 */
export type IFiles = Pick<Contents.IManager, 'get'>;

/**
 * Nobody knows the job.
 */
export class UnknownJob extends Error {
  constructor(id: string) {
    super(`No job ${id} is recorded here.`);
    this.name = 'UnknownJob';
  }
}

/**
 * Finds one job: at the server extension, else in the ledger that it was opened from.
 */
export class JobSource {
  /**
   * @param ledger - Path of that ledger below the server's root, or null.
   */
  constructor(
    private readonly _api: IQueueAPI,
    private readonly _files: IFiles,
    readonly ledger: string | null
  ) {}

  /**
   * A job and its past.
   *
   * @throws UnknownJob when nobody knows it.
   * @throws Whatever the server's answer was, when there is no ledger to read instead.
   */
  async look(id: string): Promise<ISighting> {
    if (!this._isFileOnly) {
      try {
        const [job, history] = await Promise.all([
          this._api.job(id),
          this._api.history(id)
        ]);
        return {
          job: job.data.job,
          history: history.data,
          origin: 'server',
          date: job.date
        };
      } catch (error) {
        const failure = describeFailure(error);
        if (!isMissing(failure)) {
          throw error;
        }
        if (this.ledger === null) {
          throw isUnknown(failure) ? new UnknownJob(id) : error;
        }
        // A server without the extension need not be asked again and again.
        this._isFileOnly = !isUnknown(failure);
      }
    }
    return this._read(id, this.ledger ?? '');
  }

  private async _read(id: string, path: string): Promise<ISighting> {
    const file = await this._files.get(path, {
      content: true,
      format: 'text',
      type: 'file'
    });
    const ledger = new Ledger(path, 'all');
    ledger.read(String(file.content), id);
    const job = ledger.find(id);
    if (job === undefined) {
      throw new UnknownJob(id);
    }
    return { job, history: ledger.history(id), origin: 'ledger', date: null };
  }

  private _isFileOnly = false;
}

/**
 * Whether the server cannot know: it has no extension, or it has and knows no such job.
 */
function isMissing(failure: IFailure): boolean {
  return failure.kind === 'no-extension';
}

function isUnknown(failure: IFailure): boolean {
  return failure.reason === 'unknown-job';
}
