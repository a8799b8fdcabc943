import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/**
 * Differences below this are the `Date` header's own resolution, not a wrong clock.
 */
const RESOLUTION_MS = 1500;

/**
 * The server's clock, and a tick every second while somebody looks.
 *
 * Ages are differences between now and times that the server's side wrote down. A laptop
 * whose clock is minutes off would show wrong ages, so now is taken from the server.
 */
export class ServerClock {
  /**
   * Emitted every second between `start` and `stop`.
   */
  get ticked(): ISignal<this, void> {
    return this._ticked;
  }

  /**
   * Now, by the server's clock, in milliseconds since 1970.
   */
  now(): number {
    return Date.now() + this._offset;
  }

  /**
   * Milliseconds from a time that the server gave until now, not below 0.
   */
  since(time: string): number {
    return Math.max(0, this.now() - Date.parse(time));
  }

  /**
   * Learn from the `Date` header of an answer that has just arrived.
   */
  observe(date: string | null): void {
    const server = date === null ? NaN : Date.parse(date);
    if (!Number.isNaN(server)) {
      // The header is cut to whole seconds: half a second more is the best guess.
      const offset = server + 500 - Date.now();
      this._offset = Math.abs(offset) < RESOLUTION_MS ? 0 : offset;
    }
  }

  start(): void {
    if (this._timer === null) {
      this._timer = setInterval(() => this._ticked.emit(), 1000);
      this._ticked.emit();
    }
  }

  stop(): void {
    if (this._timer !== null) {
      clearInterval(this._timer);
      this._timer = null;
    }
  }

  private _offset = 0;
  private _timer: ReturnType<typeof setInterval> | null = null;
  private _ticked = new Signal<this, void>(this);
}
