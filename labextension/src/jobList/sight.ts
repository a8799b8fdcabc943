/**
 * What part of a list can be seen, pixels from the list's top.
 */
export interface ISight {
  readonly top: number;
  readonly height: number;
}

/**
 * What is seen changes in steps of so many pixels: in between nothing has to be drawn.
 */
const STEP = 200;

/**
 * The height that is assumed where nothing is laid out.
 */
const UNKNOWN_HEIGHT = 600;

/**
 * Watches which part of a list can be seen while something around it is scrolled.
 *
 * For `useSyncExternalStore`: what it tells is drawn before the browser paints.
 */
export class Sight {
  get = (): ISight => this._sight;

  subscribe = (onChange: () => void): (() => void) => {
    this._onChange = onChange;
    return () => {
      this._onChange = () => undefined;
    };
  };

  /**
   * Watch a list.
   *
   * @param list - It lies within an element that scrolls.
   * @returns Stops watching.
   */
  attach(list: HTMLElement, scroller: HTMLElement): () => void {
    this._list = list;
    this._scroller = scroller;
    const look = () => this.look();
    scroller.addEventListener('scroll', look, { passive: true });
    let observer: ResizeObserver | null = null;
    if (typeof ResizeObserver !== 'undefined') {
      observer = new ResizeObserver(look);
      // What is above the list may grow, too.
      [scroller, ...scroller.children].forEach(node => observer?.observe(node));
    }
    this.look();
    return () => {
      scroller.removeEventListener('scroll', look);
      observer?.disconnect();
      this._list = this._scroller = null;
    };
  }

  /**
   * Pixels of the list that are above what can be seen; negative if its beginning is below.
   */
  get above(): number {
    return this._list === null || this._scroller === null
      ? 0
      : this._scroller.getBoundingClientRect().top -
          this._list.getBoundingClientRect().top;
  }

  /**
   * Height of what can be seen.
   */
  get height(): number {
    return this._scroller?.clientHeight || UNKNOWN_HEIGHT;
  }

  scrollBy(pixels: number): void {
    if (this._scroller !== null && pixels !== 0) {
      this._scroller.scrollTop += pixels;
      this.look();
    }
  }

  look(): void {
    const top = Math.floor(this.above / STEP) * STEP;
    const height = this.height + STEP;
    if (top !== this._sight.top || height !== this._sight.height) {
      this._sight = { top, height };
      this._onChange();
    }
  }

  private _list: HTMLElement | null = null;
  private _scroller: HTMLElement | null = null;
  private _sight: ISight = { top: 0, height: UNKNOWN_HEIGHT };
  private _onChange: () => void = () => undefined;
}
