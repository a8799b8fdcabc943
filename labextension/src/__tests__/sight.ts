/* Which rows can be seen, as a spec says: nothing is laid out here. */

type Callback = (entries: { isIntersecting: boolean }[]) => void;

/**
 * Takes the place of the browser's `IntersectionObserver`.
 */
export class Sight {
  constructor() {
    const watched = this._watched;
    window.IntersectionObserver = class {
      constructor(private readonly _callback: Callback) {}

      observe(node: HTMLElement): void {
        watched.set(node, this._callback);
      }

      disconnect(): void {
        for (const [node, callback] of watched) {
          if (callback === this._callback) {
            watched.delete(node);
          }
        }
      }
    } as unknown as typeof IntersectionObserver;
  }

  /**
   * Bring the rows of jobs into sight, if anybody wants to know.
   */
  show(...ids: string[]): void {
    for (const [node, callback] of this._watched) {
      if (ids.includes(node.dataset.aiqJob ?? '')) {
        callback([{ isIntersecting: true }]);
      }
    }
  }

  private readonly _watched = new Map<HTMLElement, Callback>();
}
