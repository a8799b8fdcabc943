import type { IJobRecord, JobState } from '../api';
import type { JobTable } from '../jobTable';
import { ordered, type Order } from './order';
import { searched } from './search';

/**
 * Which of the known jobs are listed, in which order, and which of them are selected.
 */
export class JobList {
  /**
   * @param _table - Gives the known jobs.
   * @param _onChange - Called when something that is shown has changed.
   */
  constructor(
    private readonly _table: () => JobTable,
    private readonly _onChange: () => void
  ) {}

  /**
   * The jobs that are listed, in their order. The same array until something changes.
   */
  get rows(): readonly IJobRecord[] {
    this._arrange();
    return this._rows;
  }

  /**
   * How many jobs fit the text, by state; those in other states than the chosen ones, too.
   */
  get counts(): ReadonlyMap<JobState, number> {
    this._arrange();
    return this._counts;
  }

  /**
   * The place of a job among the rows, or -1.
   */
  indexOf(id: string): number {
    const { rows } = this;
    this._places ??= new Map(rows.map((row, i) => [row.job_id, i]));
    return this._places.get(id) ?? -1;
  }

  /**
   * Words that listed jobs have.
   */
  get text(): string {
    return this._text;
  }

  set text(text: string) {
    if (text !== this._text) {
      this._text = text;
      this._search();
    }
  }

  /**
   * States that listed jobs are in; none means any.
   */
  get states(): ReadonlySet<JobState> {
    return this._states;
  }

  set states(states: ReadonlySet<JobState>) {
    this._states = states;
    this._search();
  }

  get order(): Order {
    return this._order;
  }

  set order(order: Order) {
    if (order !== this._order) {
      this._order = order;
      this._search();
    }
  }

  get isFiltered(): boolean {
    return this._text.trim() !== '' || this._states.size > 0;
  }

  /**
   * Another number after every change of text, states or order.
   */
  get question(): number {
    return this._question;
  }

  /**
   * List every job again.
   */
  showAll(): void {
    this._text = '';
    this._states = new Set();
    this._search();
  }

  toggleState(state: JobState): void {
    const states = new Set(this._states);
    if (!states.delete(state)) {
      states.add(state);
    }
    this.states = states;
  }

  // -- the selection -----------------------------------------------------------------------

  /**
   * The selected jobs, as far as they are listed: nothing happens to what is not seen.
   */
  get selection(): readonly IJobRecord[] {
    return this._selected.size === 0
      ? []
      : this.rows.filter(row => this._selected.has(row.job_id));
  }

  isSelected(id: string): boolean {
    return this._selected.has(id);
  }

  /**
   * Select a job, or no longer.
   */
  toggle(id: string): void {
    if (!this._selected.delete(id)) {
      this._selected.add(id);
    }
    this._anchor = id;
    this._active = id;
    this._onChange();
  }

  /**
   * Select everything from the job that was toggled last to this one.
   */
  extendTo(id: string): void {
    const to = this.indexOf(id);
    const from = this._anchor === null ? to : this.indexOf(this._anchor);
    if (from < 0 || to < 0) {
      this.toggle(id);
      return;
    }
    const range = this.rows.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const { job_id } of range) {
      this._selected.add(job_id);
    }
    this._anchor ??= id;
    this._active = id;
    this._onChange();
  }

  selectAll(): void {
    this._selected = new Set(this.rows.map(({ job_id }) => job_id));
    this._onChange();
  }

  clearSelection(): void {
    this._selected = new Set();
    this._anchor = null;
    this._onChange();
  }

  // -- the keyboard ------------------------------------------------------------------------

  /**
   * Id of the row that the keyboard is at, or null.
   */
  get active(): string | null {
    return this._active;
  }

  activate(id: string | null): void {
    if (id !== this._active) {
      this._active = id;
      this._onChange();
    }
  }

  /**
   * Move the keyboard's row by so many rows, or to the first one if there is none yet.
   *
   * @returns Its place, or -1 if there are no rows.
   */
  move(by: number): number {
    const { rows } = this;
    const at = this._active === null ? -1 : this.indexOf(this._active);
    const wanted = at < 0 ? (by < 0 ? rows.length - 1 : 0) : at + by;
    const to = Math.min(rows.length - 1, Math.max(0, wanted));
    this.activate(rows[to]?.job_id ?? null);
    return to;
  }

  /**
   * Other jobs are listed from now on: nothing of them is selected.
   */
  restart(): void {
    this._selected = new Set();
    this._anchor = null;
    this._active = null;
    this._ordered = [];
  }

  private _search(): void {
    this._question += 1;
    this._seen = null;
    this._onChange();
  }

  private _arrange(): void {
    const table = this._table();
    const seen = this._seen;
    if (seen?.table === table && seen.revision === table.revision) {
      return;
    }
    this._ordered = ordered(table.records, this._order, this._ordered);
    const found = searched(this._ordered, this._text);
    this._counts = new Map();
    for (const { state } of found) {
      this._counts.set(state, (this._counts.get(state) ?? 0) + 1);
    }
    this._rows =
      this._states.size === 0
        ? found
        : found.filter(({ state }) => this._states.has(state));
    this._places = null;
    this._seen = { table, revision: table.revision };
    for (const id of this._selected) {
      if (table.get(id) === undefined) {
        this._selected.delete(id);
      }
    }
  }

  private _text = '';
  private _states: ReadonlySet<JobState> = new Set();
  private _order: Order = 'newest';
  private _question = 0;

  private _seen: { table: JobTable; revision: number } | null = null;
  private _ordered: readonly IJobRecord[] = [];
  private _rows: readonly IJobRecord[] = [];
  private _counts = new Map<JobState, number>();
  private _places: Map<string, number> | null = null;

  private _selected = new Set<string>();
  private _anchor: string | null = null;
  private _active: string | null = null;
}
