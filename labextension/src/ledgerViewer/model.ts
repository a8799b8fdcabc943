import { VDomModel } from '@jupyterlab/ui-components';

import type { IJobRecord } from '../api';
import { ownText, searched } from '../jobList/search';
import { Ledger } from '../ledger/ledger';
import type { Column } from './columns';
import { columnId, columnsFor, sorted } from './columns';

/**
 * The table of a ledger file: its jobs, which of them are shown, and in which order.
 */
export class LedgerViewModel extends VDomModel {
  /**
   * @param path - Path of the file below the server's root.
   */
  constructor(path: string) {
    super();
    this._path = path;
    this._ledger = new Ledger(path, 'table');
  }

  get path(): string {
    return this._path;
  }

  /**
   * All jobs, newest first, or null before the file was read.
   */
  get records(): readonly IJobRecord[] | null {
    return this._isRead ? this._ledger.records : null;
  }

  /**
   * Lines of the file that mean nothing to us.
   */
  get strangeLines(): number {
    return this._ledger.strangeLines;
  }

  /**
   * The jobs that are shown, in their order.
   */
  get rows(): readonly IJobRecord[] {
    this._rows ??= this._arrange();
    return this._rows;
  }

  get columns(): readonly Column[] {
    this._columns ??= columnsFor(this._ledger.records);
    return this._columns;
  }

  /**
   * Column and direction that rows are ordered by; null is newest first.
   */
  get order(): {
    readonly column: string;
    readonly isDescending: boolean;
  } | null {
    return this._order;
  }

  /**
   * Words that shown jobs have.
   */
  get filter(): string {
    return this._filter;
  }

  set filter(text: string) {
    this._filter = text;
    this._rows = null;
    this.stateChanged.emit();
  }

  /**
   * Ids of the selected jobs.
   */
  get selected(): ReadonlySet<string> {
    return this._selected;
  }

  /**
   * Id of the row that the keyboard is at, or null.
   */
  get active(): string | null {
    return this._active;
  }

  /**
   * Take in the text of the file.
   */
  read(text: string): void {
    this._ledger.read(text);
    this._isRead = true;
    this._rows = null;
    this._columns = null;
    for (const id of this._selected) {
      if (this._ledger.find(id) === undefined) {
        this._selected.delete(id);
      }
    }
    this.stateChanged.emit();
  }

  /**
   * The file was renamed or moved.
   */
  moved(path: string, text: string): void {
    this._path = path;
    this._ledger = new Ledger(path, 'table');
    this.read(text);
  }

  /**
   * Order by a column: upwards, then downwards, then as before.
   */
  orderBy(column: string): void {
    if (this._order?.column !== column) {
      this._order = { column, isDescending: false };
    } else {
      this._order = this._order.isDescending
        ? null
        : { column, isDescending: true };
    }
    this._rows = null;
    this.stateChanged.emit();
  }

  /**
   * Select a job, or no longer.
   */
  toggle(id: string): void {
    if (!this._selected.delete(id)) {
      this._selected.add(id);
    }
    this._active = id;
    this.stateChanged.emit();
  }

  clearSelection(): void {
    this._selected.clear();
    this.stateChanged.emit();
  }

  /**
   * Move the keyboard's row by so many rows, or to the first one if there is none yet.
   *
   * @returns Its index, or -1 if there are no rows.
   */
  move(by: number): number {
    const { rows } = this;
    const at = rows.findIndex(row => row.job_id === this._active);
    const to = Math.min(
      rows.length - 1,
      Math.max(0, at < 0 ? (by < 0 ? rows.length - 1 : 0) : at + by)
    );
    this.activate(rows[to]?.job_id ?? null);
    return to;
  }

  activate(id: string | null): void {
    if (id !== this._active) {
      this._active = id;
      this.stateChanged.emit();
    }
  }

  private _arrange(): readonly IJobRecord[] {
    const rows = searched(this._ledger.records, this._filter, ownText);
    const order = this._order;
    const column =
      order && this.columns.find(one => columnId(one) === order.column);
    return order && column ? sorted(rows, column, order.isDescending) : rows;
  }

  private _path: string;
  private _ledger: Ledger;
  private _isRead = false;
  private _rows: readonly IJobRecord[] | null = null;
  private _columns: readonly Column[] | null = null;
  private _order: { column: string; isDescending: boolean } | null = null;
  private _filter = '';
  private _selected = new Set<string>();
  private _active: string | null = null;
}
