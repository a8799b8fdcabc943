/* A server extension in memory: it answers what `ServerConnection.makeRequest` asks. */

import { ServerConnection } from '@jupyterlab/services';

import type { IForecastReply, IJobRecord, ILoad, IRehearsal } from '../api';
import type { IJobHistory } from '../history';
import { job, load } from './records';

const BASE = 'http://localhost/hub/ada/';
const API = `${BASE}aiqueue/api/`;

export interface IRequest {
  readonly method: string;

  /**
   * Path and query below the API, as sent.
   */
  readonly path: string;
  readonly body: unknown;
}

type Answer = readonly [status: number, body: unknown];

/**
 * Holds the truth and counts the questions. `install` puts it in place of the network.
 */
export class FakeServer {
  readonly settings = ServerConnection.makeSettings({ baseUrl: BASE });
  readonly requests: IRequest[] = [];
  load: ILoad = load();
  jobs: IJobRecord[] = [];
  troubles: string[] = [];
  forecasts: Record<string, Omit<IForecastReply, 'job_id'>> = {};
  log: Record<string, { log: string; offset: number; complete: boolean }> = {};
  history: Record<string, IJobHistory> = {};

  /**
   * What is said of a job that is only rehearsed.
   */
  rehearsal: IRehearsal = {
    sentences: ['Nothing was sent.'],
    refusals: [],
    warnings: [],
    repeated: false,
    config: {}
  };

  /**
   * The `Date` header of answers.
   */
  date: string | null = null;

  /**
   * Answers that come instead of the usual ones, by the beginning of the path.
   */
  readonly failures = new Map<string, Answer>();

  /**
   * Called before an answer is given; an answer waits for what it returns.
   */
  delay: (request: IRequest) => Promise<void> | void = () => undefined;

  install(): jest.SpyInstance {
    return jest
      .spyOn(ServerConnection, 'makeRequest')
      .mockImplementation(async (url, init) => {
        if (!url.startsWith(API)) {
          throw new Error(`Not our API: ${url}`);
        }
        const request: IRequest = {
          method: init.method ?? 'GET',
          path: url.slice(API.length),
          body:
            typeof init.body === 'string' ? JSON.parse(init.body) : undefined
        };
        this.requests.push(request);
        const [status, body] = this._answer(request);
        await this.delay(request);
        if (status === 0) {
          throw new ServerConnection.NetworkError(new TypeError('cut off'));
        }
        return new Response(
          typeof body === 'string' ? body : JSON.stringify(body),
          { status, headers: this.date ? { Date: this.date } : {} }
        );
      });
  }

  /**
   * The paths asked for so far, and forget them.
   */
  taken(): string[] {
    return this.requests
      .splice(0)
      .map(({ method, path }) =>
        method === 'GET' ? path : `${method} ${path}`
      );
  }

  change(id: string, changes: Partial<IJobRecord>): IJobRecord {
    const record = { ...this._find(id), ...changes };
    this.jobs = this.jobs.map(other => (other.job_id === id ? record : other));
    return record;
  }

  private _answer({ body, method, path }: IRequest): Answer {
    for (const [prefix, answer] of this.failures) {
      if (path.startsWith(prefix)) {
        return answer;
      }
    }
    const [resource, query] = path.split('?');
    const parts = resource.split('/').map(decodeURIComponent);
    if (parts[0] === 'load') {
      return [200, this.load];
    }
    if (method === 'POST' && parts[1] === 'rehearse') {
      return [200, this.rehearsal];
    }
    if (method === 'POST' && parts.length === 1) {
      const fresh = job('fresh', { name: (body as { name: string }).name });
      this.jobs = [fresh, ...this.jobs];
      return [201, { job: fresh, place: 0, notes: [] }];
    }
    if (parts.length === 1) {
      return [200, this._page(new URLSearchParams(query))];
    }
    const id = parts[1];
    if (!this.jobs.some(record => record.job_id === id)) {
      return [404, { message: `No job ${id}.`, reason: 'unknown-job' }];
    }
    if (parts[2] === 'log') {
      return [200, this.log[id] ?? { log: '', offset: 0, complete: true }];
    }
    if (parts[2] === 'history') {
      return [200, this.history[id] ?? { job_id: id, events: [], series: [] }];
    }
    if (parts[2] === 'forecast') {
      const none = { forecast: null, missing: 'No worker is connected.' };
      return [200, { job_id: id, ...(this.forecasts[id] ?? none) }];
    }
    if (method === 'DELETE') {
      this.jobs = this.jobs.filter(record => record.job_id !== id);
      return [200, { job_id: id }];
    }
    if (method === 'POST' && parts[2] === 'release') {
      return [202, { job: this.change(id, { state: 'queued' }), message: '' }];
    }
    if (method === 'POST' && parts[2] === 'cancel') {
      return [202, { job: this.change(id, { cancelling: true }), message: '' }];
    }
    if (method === 'POST' && parts[2] === 'retry') {
      const again = job(`${id}-again`, {
        retry_of: id,
        path: this._find(id).path,
        submitted_at: '2026-11-21T12:00:00Z'
      });
      this.jobs = [again, ...this.jobs];
      return [201, { job: again }];
    }
    return [200, { job: this._find(id) }];
  }

  private _page(query: URLSearchParams): unknown {
    const notebook = query.get('notebook');
    const ids = query.getAll('id');
    const states = query.get('state')?.split(',');
    const jobs = this.jobs.filter(
      record =>
        (notebook === null || record.path === notebook) &&
        (ids.length === 0 || ids.includes(record.job_id)) &&
        (states === undefined || states.includes(record.state))
    );
    const limit = Number(query.get('limit'));
    const offset = Number(query.get('offset'));
    if (limit > 1000) {
      throw new Error(`The server refuses a limit of ${limit}`);
    }
    return {
      jobs: jobs.slice(offset, offset + limit),
      total: jobs.length,
      troubles: this.troubles
    };
  }

  private _find(id: string): IJobRecord {
    const record = this.jobs.find(other => other.job_id === id);
    if (record === undefined) {
      throw new Error(`The fake server has no job ${id}`);
    }
    return record;
  }
}
