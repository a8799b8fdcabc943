/* Records as the server sends them, for specs. */

import type {
  IExpected,
  IForecast,
  IGroupLoad,
  IJobRecord,
  ILoad,
  IMeasured
} from '../api';

export const UNKNOWN: IMeasured = { value: null, source: null, age_s: null };

export function measured(value: number, source = 'passive declare'): IMeasured {
  return { value, source, age_s: 0.5 };
}

export function expected(changes: Partial<IExpected> = {}): IExpected {
  return {
    low: 720,
    middle: 1000,
    high: 1500,
    inside: 33,
    of: 40,
    at_once: false,
    missing: null,
    ...changes
  };
}

export function forecast(changes: Partial<IForecast> = {}): IForecast {
  return {
    ahead: 2,
    ahead_of_higher: 1,
    start: expected(),
    finish: expected({ low: 1500, middle: 2000, high: 3000 }),
    basis: '64 runs of the same task and config',
    sentences: [
      'Ahead of it: 1 of higher and 2 of its own priority.',
      'It starts in 12–25 min.'
    ],
    ...changes
  };
}

export function job(id: string, changes: Partial<IJobRecord> = {}): IJobRecord {
  return {
    job_id: id,
    state: 'queued',
    task: 'train_model',
    group: 'train',
    priority: 'normal',
    name: null,
    config: { model_type: 'resnet50', epochs: 10 },
    path: 'experiments/digits.ipynb',
    notebook: '/home/ada/experiments/digits.ipynb',
    ledger: '/home/ada/experiments/digits.jobs.jsonl',
    user: 'ada',
    submitted_at: '2026-11-21T10:00:00Z',
    started_at: null,
    ended_at: null,
    updated_at: '2026-11-21T10:00:00Z',
    next_attempt_at: null,
    hold: null,
    attempt: 0,
    max_attempts: 3,
    worker: null,
    progress: null,
    metrics: {},
    result: null,
    reason: null,
    cancelling: false,
    retry_of: null,
    duplicates: 0,
    log_tail: null,
    ...changes
  };
}

export function group(
  name: string,
  changes: Partial<IGroupLoad> = {}
): IGroupLoad {
  return {
    name,
    queue: null,
    waiting_by_priority: {
      high: measured(1),
      normal: measured(2),
      low: measured(0)
    },
    waiting: measured(3),
    running: measured(2, 'heartbeats'),
    workers: measured(2, 'heartbeats'),
    slots: measured(4, 'heartbeats'),
    free: measured(2, 'heartbeats'),
    dead: measured(0),
    arrival_rate: UNKNOWN,
    completion_rate: UNKNOWN,
    retrying: measured(0, 'events'),
    oldest: UNKNOWN,
    held: measured(0, 'events'),
    submitted_rates: {},
    ended_rates: {},
    start: null,
    worker_list: [],
    ...changes
  };
}

export function load(changes: Partial<ILoad> = {}): ILoad {
  return {
    timestamp: '2026-11-21T10:00:00Z',
    broker: {
      state: 'up',
      location: 'amqp://127.0.0.1:5672/aiqueue',
      version: '3.10.8',
      message: null,
      alarms: 'none',
      memory: measured(0.4),
      disk_free: measured(2 ** 30)
    },
    groups: [group('train')],
    retrying: measured(0),
    notes: [],
    history: {},
    version: '0.1.0',
    ...changes
  };
}
