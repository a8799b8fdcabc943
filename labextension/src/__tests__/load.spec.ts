import type { IGroupNumbers, ILoadEvent } from '../events';
import { LOAD_SCHEMA } from '../events';
import { withEvent } from '../load';
import { group, load } from './records';

function event(timestamp: string, groups: IGroupNumbers[]): ILoadEvent {
  return { schema_id: LOAD_SCHEMA, timestamp, broker_state: 'up', groups };
}

describe('a load with the numbers of an event', () => {
  const before = load({ groups: [group('train'), group('infer')] });

  it('has the new numbers and keeps the rest', () => {
    const after = withEvent(
      before,
      event('2026-11-21T10:00:02Z', [{ name: 'train', waiting: 7, running: 4 }])
    );
    const [train, infer] = after.groups;
    expect(after.timestamp).toBe('2026-11-21T10:00:02Z');
    expect(train.waiting).toEqual({
      value: 7,
      source: 'passive declare',
      age_s: 0
    });
    expect(train.running.value).toBe(4);
    expect(train.slots.value).toBe(4);
    expect(infer).toBe(before.groups[1]);
  });

  it('has the priorities of the event', () => {
    const waiting_by_priority = { high: 0, normal: 7, low: null };
    const [train] = withEvent(
      before,
      event('2026-11-21T10:00:02Z', [
        { name: 'train', waiting: 7, waiting_by_priority, held: 3 }
      ])
    ).groups;
    expect(train.waiting_by_priority.normal).toEqual({
      value: 7,
      source: 'passive declare',
      age_s: 0
    });
    expect(train.waiting_by_priority.low.value).toBeNull();
    expect(train.held.value).toBe(3);
    expect(train.retrying).toBe(before.groups[0].retrying);
  });

  it('does not show priorities that no longer add up', () => {
    const after = withEvent(
      before,
      event('2026-11-21T10:00:02Z', [{ name: 'train', waiting: 7 }])
    );
    expect(after.groups[0].waiting_by_priority).toEqual({});
  });

  it('takes unknown for unknown, not for 0', () => {
    const after = withEvent(
      before,
      event('2026-11-21T10:00:02Z', [{ name: 'train', running: null }])
    );
    expect(after.groups[0].running.value).toBeNull();
  });

  it('has a group that was not there before', () => {
    const after = withEvent(
      before,
      event('2026-11-21T10:00:02Z', [{ name: 'new', waiting: 1 }])
    );
    expect(after.groups.map(({ name }) => name)).toEqual([
      'train',
      'infer',
      'new'
    ]);
    expect(after.groups[2].workers.value).toBeNull();
  });

  it('is the load itself when the event is older', () => {
    const late = event('2026-11-21T09:59:59Z', [{ name: 'train', waiting: 9 }]);
    expect(withEvent(before, late)).toBe(before);
  });
});
