/* Time that passes when a spec says so. */

/** The browser has no such function; Node.js runs it after everything that has arrived. */
const { setImmediate: nextTurn } = jest.requireActual<{
  setImmediate: (callback: () => void) => void;
}>('timers');

/**
 * Take over timers; call it before anything starts one.
 *
 * @param now - What the browser's clock shows.
 */
export function stopTime(now: string): void {
  jest.useFakeTimers({
    now: Date.parse(now),
    doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate']
  });
}

/**
 * Let time pass, and let every answer that comes meanwhile arrive.
 */
export async function pass(milliseconds: number): Promise<void> {
  const step = milliseconds > 2000 ? 250 : 50;
  for (let left = milliseconds; left >= 0; left -= step) {
    await jest.advanceTimersByTimeAsync(Math.min(step, left));
    await settle();
  }
}

/**
 * Let every answer that is on its way arrive.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise<void>(resolve => nextTurn(resolve));
  }
}
