import type { Event } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { QueueAPI } from '../api';
import { JOB_SCHEMA, LOAD_SCHEMA } from '../events';
import { QueueModel } from '../model';
import { joined, newest } from '../past';
import { FakeServer } from './fakeServer';
import { group, job, load } from './records';
import { pass, stopTime } from './timeline';

const NOW = '2026-11-21T10:00:00Z';

describe('what is asked, and when', () => {
  let server: FakeServer;
  let events: Signal<unknown, Event.Emission>;
  let model: QueueModel;

  const tell = (waiting: number, state = 'up') =>
    events.emit({
      schema_id: LOAD_SCHEMA,
      timestamp: '2026-11-21T10:00:30Z',
      broker_state: state,
      groups: [{ name: 'train', waiting }]
    } as unknown as Event.Emission);

  beforeEach(() => {
    stopTime(NOW);
    server = new FakeServer();
    server.install();
    events = new Signal<unknown, Event.Emission>({});
    model = new QueueModel({
      api: new QueueAPI(server.settings),
      events,
      interval: 5
    });
    model.jobs.scope = 'all';
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('a glance asks for the load once, and not again at once', async () => {
    await model.glance();
    await model.glance();
    expect(server.taken()).toEqual(['load']);
    await pass(60_000);
    expect(server.taken()).toEqual([]);
    await model.glance();
    expect(server.taken()).toEqual(['load']);
  });

  it('a glance asks nothing while the load is looked at', async () => {
    model.setActive(true);
    await pass(4000);
    server.taken();
    await model.glance();
    expect(server.taken()).toEqual([]);
  });

  it('what is pushed is known though nobody looks', async () => {
    tell(7);
    expect(model.load?.groups[0].waiting.value).toBe(7);
    expect(model.toldAt).toBeNull();
    tell(7, 'down');
    await pass(20_000);
    expect(server.taken()).toEqual([]);
  });

  it('a broker that comes back while nobody looks is known', async () => {
    server.load = load({
      broker: { ...load().broker, state: 'down', message: 'It is away.' }
    });
    await model.glance();
    tell(2);
    expect(model.load?.broker).toMatchObject({ state: 'up', message: null });
  });

  it('the administrator has the last word on the interval', async () => {
    server.load = { ...load(), minimum_refresh: 30 };
    model.setActive(true);
    await pass(100);
    server.taken();
    model.interval = 1;
    await pass(100);
    server.taken();
    await pass(29_000);
    expect(server.taken()).toEqual([]);
    await pass(2_000);
    expect(server.taken()).toContain('load');
  });

  it('changes of jobs are fetched no more often than that', async () => {
    server.load = { ...load(), minimum_refresh: 10 };
    server.jobs = [job('one', { state: 'running' })];
    model.setActive(true);
    await pass(100);
    server.taken();
    for (let i = 0; i < 9; i += 1) {
      events.emit({
        schema_id: JOB_SCHEMA,
        job_id: 'one',
        state: 'running',
        progress: i / 10
      } as unknown as Event.Emission);
      await pass(1000);
    }
    const isAbout = (path: string) => /^jobs\?.*\bone\b/.test(path);
    expect(server.taken().filter(isAbout)).toHaveLength(1);
    await pass(2000);
    expect(server.taken().filter(isAbout)).toHaveLength(1);
  });

  it('a load that is folded away is not asked for', async () => {
    model.setActive(true);
    await pass(100);
    server.taken();
    model.folds.toggle('load');
    await pass(30_000);
    expect(server.taken()).not.toContain('load');
    model.folds.toggle('load');
    await pass(100);
    expect(server.taken()).toContain('load');
  });

  it('of the past, only what came since is asked for', async () => {
    const point = (timestamp: string) => ({
      timestamp,
      waiting: 1,
      running: 1
    });
    const [first, second] = [
      point('2026-11-21T09:59:50+00:00'),
      point('2026-11-21T09:59:52+00:00')
    ];
    server.load = load({ history: { train: [first] } });
    await model.glance();
    server.load = load({ history: { train: [first, second] } });
    await pass(20_000);
    server.taken();
    await model.glance();
    expect(server.taken()).toEqual([
      'load?since=2026-11-21T09%3A59%3A50%2B00%3A00'
    ]);
    expect(model.load?.history.train).toEqual([first, second]);
  });

  it('groups that are not chosen are known, and not shown', async () => {
    server.load = load({ groups: [group('infer'), group('train')] });
    await model.glance();
    model.groups = ['train'];
    expect(model.load?.groups).toHaveLength(2);
  });
});

describe('the past', () => {
  const at = (seconds: number) =>
    new Date(Date.parse(NOW) + seconds * 1000).toISOString();
  const point = (seconds: number) => ({
    timestamp: at(seconds),
    waiting: seconds,
    running: 0
  });

  it('becomes coarse, and ends after an hour', () => {
    let past = {};
    for (let second = 0; second <= 7200; second += 2) {
      past = joined(past, { train: [point(second)] }, at(second));
    }
    const ages = (past as Record<string, { waiting: number }[]>).train.map(
      ({ waiting }) => 7200 - waiting
    );
    expect(ages[0]).toBeGreaterThan(3500);
    expect(ages[0]).toBeLessThanOrEqual(3600);
    expect(ages.length).toBeLessThan(270);
    expect(ages.slice(-3)).toEqual([4, 2, 0]);
    expect(newest(past)).toBe(at(7200));
  });

  it('has no end when there is none', () => {
    expect(newest({})).toBeUndefined();
  });
});
