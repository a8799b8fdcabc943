/**
 * Which sections are folded away.
 */
export class Folds {
  /**
   * @param _onChange - Called when a section was folded or unfolded.
   */
  constructor(private readonly _onChange: () => void) {}

  /**
   * Names of the folded sections.
   */
  get names(): readonly string[] {
    return [...this._names].sort();
  }

  set names(names: readonly string[]) {
    this._names = new Set(names);
    this._onChange();
  }

  has(name: string): boolean {
    return this._names.has(name);
  }

  toggle(name: string): void {
    if (!this._names.delete(name)) {
      this._names.add(name);
    }
    this._onChange();
  }

  private _names = new Set<string>();
}
