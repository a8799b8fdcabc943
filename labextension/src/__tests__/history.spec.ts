import type { IPastEvent, ISeries } from '../history';
import { attemptsOf, withLive } from '../history';
import { stretchesOf } from '../jobView/timeline';
import { job } from './records';

function at(second: number): string {
  return `2026-11-21T10:00:${String(second).padStart(2, '0')}Z`;
}

const TWICE: IPastEvent[] = [
  { event: 'submitted', timestamp: at(0) },
  { event: 'started', timestamp: at(2), attempt: 1, worker: 'w1' },
  {
    event: 'retrying',
    timestamp: at(5),
    attempt: 1,
    worker: 'w1',
    reason: 'exit code 1',
    result: { exit_code: 1 }
  },
  { event: 'started', timestamp: at(15), attempt: 2, worker: 'w2' }
];

describe('attemptsOf', () => {
  it('tells the executions apart, the running one last', () => {
    const [first, second] = attemptsOf(TWICE);
    expect(first).toMatchObject({
      attempt: 1,
      started_at: at(2),
      ended_at: at(5),
      end: 'retrying',
      worker: 'w1',
      result: { exit_code: 1 }
    });
    expect(second).toMatchObject({ attempt: 2, end: null, worker: 'w2' });
  });

  it('knows that what was cancelled in the queue never ran', () => {
    const events: IPastEvent[] = [
      { event: 'submitted', timestamp: at(0) },
      { event: 'cancelled', timestamp: at(1) }
    ];
    expect(attemptsOf(events)).toEqual([]);
  });
});

describe('stretchesOf', () => {
  it('tells waiting, running and pauses, up to now', () => {
    const now = Date.parse(at(20));
    const told = stretchesOf(TWICE, now).map(({ phase, from, to }) => [
      phase,
      (to - from) / 1000
    ]);
    expect(told).toEqual([
      ['waiting', 2],
      ['running', 3],
      ['pause', 10],
      ['running', 5]
    ]);
  });

  it('ends with the first end', () => {
    const events: IPastEvent[] = [
      ...TWICE,
      { event: 'succeeded', timestamp: at(30), attempt: 2 },
      { event: 'duplicate', timestamp: at(40), attempt: 1, of: 'succeeded' }
    ];
    const stretches = stretchesOf(events, null);
    expect(stretches[stretches.length - 1].to).toBe(Date.parse(at(30)));
  });
});

describe('withLive', () => {
  const running = job('a', {
    state: 'running',
    attempt: 1,
    started_at: at(0),
    updated_at: at(4),
    metrics: { loss: 0.5, note: 'warm' }
  });

  it('puts the numbers of a record at the end', () => {
    const once = withLive([], running);
    expect(once).toEqual([
      { attempt: 1, seconds: [4], metrics: { loss: [0.5] }, complete: false }
    ]);
    const next = { ...running, updated_at: at(6) };
    expect(
      withLive(once, { ...next, metrics: { loss: 0.4, accuracy: 0.9 } })
    ).toEqual([
      {
        attempt: 1,
        seconds: [4, 6],
        metrics: { loss: [0.5, 0.4], accuracy: [null, 0.9] },
        complete: false
      }
    ]);
  });

  it('puts nothing in twice, nor behind what a worker has told', () => {
    const once = withLive([], running);
    expect(withLive(once, running)).toBe(once);
    expect(withLive(once, { ...running, updated_at: at(9) })).toBe(once);
    const told: ISeries[] = [{ ...once[0], complete: true }];
    const news = { ...running, updated_at: at(9), metrics: { loss: 0.1 } };
    expect(withLive(told, news)).toBe(told);
  });
});
