/**
 * Where the rows of a list are whose heights differ, in pixels from its top.
 *
 * Most rows are equally high; those that are not, because their details are open, are known by
 * their ids once they were measured.
 */
export class RowHeights {
  /**
   * The height of most rows.
   */
  get usual(): number {
    return this._usual ?? GUESS;
  }

  /**
   * Take in how high a row is; returns whether that is news.
   */
  measured(id: string, height: number): boolean {
    if (height <= 0) {
      return false; // not shown now
    }
    if (this._usual === null || height < this._usual - TOLERANCE) {
      this._usual = height;
      this._special.delete(id);
      return true;
    }
    const before = this._special.get(id) ?? this._usual;
    if (height - this._usual > TOLERANCE) {
      this._special.set(id, height);
    } else {
      this._special.delete(id);
    }
    return Math.abs(height - before) > TOLERANCE;
  }

  /**
   * The places of `count` rows.
   *
   * @param indexOf - The place of an id among them, or -1.
   */
  places(count: number, indexOf: (id: string) => number): RowPlaces {
    const extras: [number, number][] = [];
    for (const [id, height] of this._special) {
      const index = indexOf(id);
      if (index >= 0) {
        extras.push([index, height - this.usual]);
      }
    }
    return new RowPlaces(count, this.usual, extras);
  }

  private _usual: number | null = null;
  private _special = new Map<string, number>();
}

/**
 * The places of rows.
 */
export class RowPlaces {
  /**
   * @param _extras - Rows that are higher than usual, and by how much.
   */
  constructor(
    readonly count: number,
    private readonly _usual: number,
    private readonly _extras: readonly (readonly [number, number])[]
  ) {}

  /**
   * Where a row begins; after the last one, how high all are.
   */
  top(index: number): number {
    let top = index * this._usual;
    for (const [other, extra] of this._extras) {
      top += other < index ? extra : 0;
    }
    return top;
  }

  /**
   * The row that is at a height; the first or last one beyond the ends.
   */
  at(y: number): number {
    let [low, high] = [0, Math.max(0, this.count - 1)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.top(middle) <= y) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
}

/**
 * Two lines of text, until a row was measured.
 */
const GUESS = 46;

/**
 * Browsers round.
 */
const TOLERANCE = 0.5;
