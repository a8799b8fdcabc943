import { PathExt } from '@jupyterlab/coreutils';

import type { IJobRecord } from '../api';
import type { IJobHistory, ISeries } from '../history';
import type { ILedgerEvent } from './events';
import { isHeader, isRemoval, readLine } from './events';
import { isFinal } from '../state';
import { compareEvents, fold, isEnd } from './fold';

/**
 * How ledgers are called: `train.ipynb` has `train.jobs.jsonl`.
 */
export const SUFFIX = '.jobs.jsonl';

/**
 * The jobs of a ledger file. It is given the text of the file again and again, and reads
 * what was appended since.
 */
export class Ledger {
  /**
   * @param path - Path of the file below the server's root.
   * @param keep - Whether logs and curves are kept: a table has no use for them.
   */
  constructor(
    private readonly _path: string,
    private readonly _keep: 'all' | 'table'
  ) {}

  /**
   * The jobs, newest first. A record whose job has not changed is the same object as before.
   */
  get records(): readonly IJobRecord[] {
    this._records ??= [...this._jobs.values()]
      .map(({ record }) => record)
      .filter(record => !this._isRemoved(record))
      .sort((a, b) => (a.job_id < b.job_id ? 1 : -1));
    return this._records;
  }

  /**
   * Lines that mean nothing to us, blank ones apart.
   */
  get strangeLines(): number {
    return this._strange;
  }

  find(id: string): IJobRecord | undefined {
    const record = this._jobs.get(id)?.record;
    return record && !this._isRemoved(record) ? record : undefined;
  }

  /**
   * What happened to a job; empty if it is unknown.
   */
  history(id: string): IJobHistory {
    const events = (this.find(id) && this._jobs.get(id)?.events) ?? [];
    const series: ISeries[] = events.flatMap(({ attempt = 0, series }) =>
      series ? [{ ...series, attempt, complete: true }] : []
    );
    return { job_id: id, events, series };
  }

  /**
   * Take in the text of the file.
   *
   * @param only - Pass over events without this text.
   */
  read(text: string, only = ''): void {
    if (!text.startsWith(this._text)) {
      // Replaced or cut by somebody: start over.
      this._text = '';
      this._strange = 0;
      this._jobs.clear();
      this._ids.clear();
      this._removed.clear();
    }
    // A torn last line is not ours to read yet.
    const end = text.lastIndexOf('\n') + 1;
    const fresh = text.slice(this._text.length, end);
    this._text = text.slice(0, end);
    const changed = new Set<string>();
    for (const line of fresh.split('\n')) {
      if (line.trim() !== '' && (line.includes(only) || isFirst(line))) {
        this._take(line, changed);
      }
    }
    for (const id of changed) {
      const job = this._jobs.get(id);
      if (job !== undefined) {
        job.events.sort(compareEvents);
        job.record = this._place(fold(job.events));
      }
    }
    this._records = null;
  }

  private _take(line: string, changed: Set<string>): void {
    const read = readLine(line);
    if (read === null) {
      this._strange += 1;
      return;
    }
    if (isHeader(read)) {
      this._notebook = read.notebook ?? null;
      return;
    }
    if (isRemoval(read)) {
      this._removed.add(read.removed);
      return;
    }
    if (this._ids.has(read.id)) {
      return;
    }
    this._ids.add(read.id);
    const job = this._jobs.get(read.job_id);
    let event: ILedgerEvent = read;
    if (isEnd(event.event) && job?.events.some(old => isEnd(old.event))) {
      event = { ...event, event: 'duplicate', of: event.event };
    }
    if (this._keep === 'table') {
      event = { ...event, log: undefined, series: undefined };
    }
    if (job === undefined) {
      this._jobs.set(event.job_id, { events: [event], record: fold([event]) });
    } else {
      job.events.push(event);
    }
    changed.add(event.job_id);
  }

  private _isRemoved({ job_id, state }: IJobRecord): boolean {
    return this._removed.has(job_id) && isFinal(state);
  }

  /**
   * The record with where it lies: a ledger is beside its notebook, wherever both moved.
   */
  private _place(record: IJobRecord): IJobRecord {
    const stem = this._path.endsWith(SUFFIX)
      ? this._path.slice(0, -SUFFIX.length)
      : null;
    const path =
      stem === null || this._notebook === null
        ? null
        : stem + PathExt.extname(this._notebook);
    return { ...record, ledger: this._path, path };
  }

  private _text = '';
  private _notebook: string | null = null;
  private _strange = 0;
  private _ids = new Set<string>();
  private _removed = new Set<string>();
  private _jobs = new Map<
    string,
    { events: ILedgerEvent[]; record: IJobRecord }
  >();
  private _records: readonly IJobRecord[] | null = null;
}

/**
 * Whether a line looks like the header.
 */
function isFirst(line: string): boolean {
  return line.startsWith('{"ledger"');
}
