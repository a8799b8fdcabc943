import type { IGroupLoad, ILoad, IMeasured } from './api';
import type { IGroupNumbers, ILoadEvent } from './events';

const UNKNOWN: IMeasured = { value: null, source: null, age_s: null };

/**
 * The load with the numbers of a newer event put in; what the event does not carry stays.
 *
 * An event that is older than the load changes nothing.
 */
export function withEvent(load: ILoad, event: ILoadEvent): ILoad {
  if (Date.parse(event.timestamp) <= Date.parse(load.timestamp)) {
    return load;
  }
  const news = new Map(event.groups.map(group => [group.name, group]));
  const groups = load.groups.map(group => {
    const numbers = news.get(group.name);
    news.delete(group.name);
    return numbers ? withNumbers(group, numbers) : group;
  });
  for (const numbers of news.values()) {
    groups.push(withNumbers(unknownGroup(numbers.name), numbers));
  }
  const broker =
    load.broker.state === event.broker_state
      ? load.broker
      : // Why it is down, or which version came up, is not in the event.
        { ...load.broker, state: event.broker_state, message: null };
  return { ...load, broker, timestamp: event.timestamp, groups };
}

/**
 * The groups that somebody wants to see, in that order; all of them if `names` is empty.
 */
export function chosenGroups(
  load: ILoad,
  names: readonly string[]
): readonly IGroupLoad[] {
  return names.length === 0
    ? load.groups
    : names.flatMap(name => load.groups.filter(group => group.name === name));
}

/**
 * A load of which nothing is known but what an event tells.
 */
export function loadOf(event: ILoadEvent): ILoad {
  return {
    timestamp: event.timestamp,
    broker: {
      state: event.broker_state,
      location: null,
      version: null,
      message: null,
      alarms: null,
      memory: UNKNOWN,
      disk_free: UNKNOWN
    },
    groups: event.groups.map(numbers =>
      withNumbers(unknownGroup(numbers.name), numbers)
    ),
    retrying: UNKNOWN,
    notes: [],
    history: {}
  };
}

function withNumbers(group: IGroupLoad, numbers: IGroupNumbers): IGroupLoad {
  const waiting = measured(numbers.waiting, group.waiting);
  return {
    ...group,
    waiting,
    waiting_by_priority: numbers.waiting_by_priority
      ? Object.fromEntries(
          Object.entries(numbers.waiting_by_priority).map(([name, value]) => [
            name,
            measured(value, group.waiting_by_priority[name] ?? group.waiting)
          ])
        )
      : // Priorities that no longer add up are not shown as if they did.
        waiting.value === group.waiting.value
        ? group.waiting_by_priority
        : {},
    running: measured(numbers.running, group.running),
    workers: measured(numbers.workers, group.workers),
    slots: measured(numbers.slots, group.slots),
    retrying: measured(numbers.retrying, group.retrying),
    held: measured(numbers.held, group.held)
  };
}

function measured(
  value: number | null | undefined,
  before: IMeasured
): IMeasured {
  return value === undefined
    ? before
    : { value, source: before.source ?? null, age_s: 0 };
}

function unknownGroup(name: string): IGroupLoad {
  return {
    name,
    queue: null,
    waiting_by_priority: {},
    waiting: UNKNOWN,
    running: UNKNOWN,
    workers: UNKNOWN,
    slots: UNKNOWN,
    free: UNKNOWN,
    dead: UNKNOWN,
    arrival_rate: UNKNOWN,
    completion_rate: UNKNOWN,
    retrying: UNKNOWN,
    oldest: UNKNOWN,
    held: UNKNOWN,
    submitted_rates: {},
    ended_rates: {},
    start: null,
    worker_list: []
  };
}
