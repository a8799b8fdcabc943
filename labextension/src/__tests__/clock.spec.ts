import { ServerClock } from '../clock';
import { stopTime } from './timeline';

describe('ServerClock', () => {
  beforeEach(() => stopTime('2026-11-21T10:00:00Z'));

  afterEach(() => jest.useRealTimers());

  it('measures ages with the clock of the server', () => {
    const clock = new ServerClock();
    clock.observe('Sat, 21 Nov 2026 10:10:00 GMT');
    expect(clock.since('2026-11-21T10:09:55Z')).toBeCloseTo(5500, -2);
  });

  it("trusts the browser's clock within the resolution of the header", () => {
    const clock = new ServerClock();
    clock.observe('Sat, 21 Nov 2026 09:59:59 GMT');
    expect(clock.since('2026-11-21T09:59:58Z')).toBe(2000);
  });

  it('keeps what it knows when an answer has no date', () => {
    const clock = new ServerClock();
    clock.observe('Sat, 21 Nov 2026 11:00:00 GMT');
    clock.observe(null);
    clock.observe('nonsense');
    expect(clock.since('2026-11-21T10:00:00Z')).toBeGreaterThan(3_599_000);
  });

  it('never gives a negative age', () => {
    expect(new ServerClock().since('2026-11-21T10:00:09Z')).toBe(0);
  });

  it('ticks every second between start and stop', () => {
    const clock = new ServerClock();
    const ticked = jest.fn();
    clock.ticked.connect(ticked);
    clock.start();
    clock.start();
    jest.advanceTimersByTime(3000);
    clock.stop();
    jest.advanceTimersByTime(3000);
    // One at the start, three by the clock.
    expect(ticked).toHaveBeenCalledTimes(4);
    expect(jest.getTimerCount()).toBe(0);
  });
});
