import type { IJobLog } from '../api';

/**
 * Characters that are kept; of a longer output the end.
 */
const MOST = 1_000_000;

/**
 * Characters by which a text without a position is recognised in what is known.
 */
const SEAM = 200;

/**
 * The output of a job as far as this page has heard it. The server sends the end of it again
 * and again; here the ends are joined.
 */
export class Output {
  /**
   * What is known, without a gap; null before the first answer.
   */
  get text(): string | null {
    return this._text;
  }

  /**
   * Characters before `text` that are not known here; null when that is not known.
   */
  get missing(): number | null {
    return this._start;
  }

  /**
   * Take in an answer.
   */
  add(log: IJobLog): void {
    const joined =
      this._text === null
        ? null
        : log.offset === null
          ? this._joinBySeam(this._text, log.log)
          : this._joinByPlace(this._text, log.log, log.offset);
    if (joined === null) {
      this._text = log.log;
      this._start = log.offset;
    } else {
      this._text = joined;
    }
    const surplus = this._text.length - MOST;
    if (surplus > 0) {
      this._text = this._text.slice(surplus);
      this._start = this._start === null ? null : this._start + surplus;
    }
  }

  private _joinByPlace(
    text: string,
    news: string,
    offset: number
  ): string | null {
    if (this._start === null) {
      return null;
    }
    const known = this._start + text.length - offset;
    // Less than before: another attempt writes. A gap: too much was written meanwhile.
    return offset < this._start || known < 0 || known > news.length
      ? null
      : text + news.slice(known);
  }

  private _joinBySeam(text: string, news: string): string | null {
    const seam = text.slice(-SEAM);
    const at = seam === '' ? -1 : news.lastIndexOf(seam);
    return at < 0 ? null : text + news.slice(at + seam.length);
  }

  private _text: string | null = null;
  private _start: number | null = null;
}

/**
 * Where a text is found in another, whatever the case.
 *
 * @param most - How many places at most.
 */
export function findAll(
  text: string,
  wanted: string,
  most: number
): readonly number[] {
  const places: number[] = [];
  if (wanted !== '') {
    const [hay, needle] = [text.toLowerCase(), wanted.toLowerCase()];
    let at = hay.indexOf(needle);
    while (at >= 0 && places.length < most) {
      places.push(at);
      at = hay.indexOf(needle, at + needle.length);
    }
  }
  return places;
}
