import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { QueueAPI } from '../api';
import { CellBadges } from '../badges/badges';
import { jobsIn, shareOut } from '../badges/cells';
import type { ISeen } from '../badges/model';
import { BadgesModel } from '../badges/model';
import { JOB_SCHEMA } from '../events';
import { FakeServer } from './fakeServer';
import { job } from './records';
import { pass, settle, stopTime } from './timeline';

const PATH = 'experiments/digits.ipynb';

/** Ids as they are made: `id(2)` is newer than `id(1)`. */
function id(number: number): string {
  return `01m81wqh8ewacbys0r0wq${String(number).padStart(5, '0')}`;
}

describe('jobsIn', () => {
  it('finds the job that a cell shows', () => {
    const html = `<div class="aiq-card"><span class="aiq-id">${id(1)}</span>`;
    expect(
      jobsIn({
        source: '%submit_train',
        outputs: [{ 'text/html': html, 'text/plain': id(2) }]
      })
    ).toEqual([id(1)]);
    expect(
      jobsIn({
        source: 'print(client.submit("t", {}).id)',
        outputs: [{ 'application/vnd.jupyter.stdout': [`${id(3)}\n`] }]
      })
    ).toEqual([id(3)]);
  });

  it('knows that a cell that names a job has not submitted it', () => {
    const outputs = [{ 'text/plain': `${id(2)}, retry of ${id(1)}` }];
    expect(jobsIn({ source: `%job_retry ${id(1)}`, outputs })).toEqual([id(2)]);
    expect(
      jobsIn({ source: `%job ${id(1)}`, outputs: [{ 'text/plain': id(1) }] })
    ).toEqual([]);
  });

  it('takes tables for lists, unless the cell submits', () => {
    const outputs = [{ 'text/html': `<table class="aiq-t"><td>${id(1)}` }];
    expect(jobsIn({ source: '%jobs', outputs })).toEqual([]);
    expect(jobsIn({ source: 'client.submit_many(all)', outputs })).toEqual([
      id(1)
    ]);
  });

  it('finds nothing in what only looks like it', () => {
    const text = `${id(1)}x commit 0f3c2b1a99aabbccddeeff00112233445566778899 ${'9'.repeat(26)}`;
    expect(jobsIn({ source: '', outputs: [{ 'text/plain': text }] })).toEqual(
      []
    );
    expect(jobsIn({ source: '', outputs: [{ 'image/png': id(1) }] })).toEqual(
      []
    );
  });

  it('gives a job to the first cell that shows it', () => {
    expect(shareOut([[], ['a', 'b'], ['b', 'c'], ['a']])).toEqual([
      [],
      ['a', 'b'],
      ['c'],
      []
    ]);
  });
});

describe('BadgesModel', () => {
  let server: FakeServer;
  let stream: Signal<unknown, Event.Emission>;
  let model: BadgesModel;
  let changes: number;
  let isHidden: boolean;

  function tell(changed: Record<string, unknown>): void {
    stream.emit({
      schema_id: JOB_SCHEMA,
      path: PATH,
      updated_at: new Date().toISOString(),
      ...changed
    } as unknown as Event.Emission);
  }

  /** Let minutes pass, in steps of some seconds. */
  async function minutes(count: number): Promise<void> {
    for (let step = 0; step < count * 12; step += 1) {
      await jest.advanceTimersByTimeAsync(5000);
      await settle();
    }
  }

  beforeEach(() => {
    stopTime('2026-11-21T10:01:00Z');
    isHidden = false;
    jest.spyOn(document, 'hidden', 'get').mockImplementation(() => isHidden);
    server = new FakeServer();
    server.install();
    stream = new Signal<unknown, Event.Emission>({});
    model = new BadgesModel({
      api: new QueueAPI(server.settings),
      events: stream,
      isConnected: () => true,
      path: () => PATH
    });
    changes = 0;
    model.changed.connect(() => (changes += 1));
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('asks once for all jobs of a notebook, and then listens', async () => {
    server.jobs = [job(id(2), { state: 'running', progress: 0.5 }), job(id(1))];
    model.setActive(true);
    model.want([id(1), id(2)]);
    await pass(1500);
    expect(server.taken()).toEqual([
      'jobs?notebook=experiments%2Fdigits.ipynb&limit=200&offset=0'
    ]);
    expect(model.find(id(2))).toMatchObject({
      state: 'running',
      progress: 0.5
    });

    tell({ job_id: id(1), state: 'running', progress: 0.1 });

    expect(model.find(id(1))).toMatchObject({
      state: 'running',
      progress: 0.1
    });
    expect(changes).toBe(2);
    expect(server.taken()).toEqual([]);
  });

  it('does not ask about a submit that it has heard of', async () => {
    model.setActive(true);
    model.want([id(1)]);
    tell({ job_id: id(1), state: 'queued' });
    await pass(5000);
    tell({ job_id: id(2), state: 'queued' });
    model.want([id(1), id(2)]);
    await pass(5000);
    expect(server.taken()).toEqual([]);
    expect(model.find(id(2))?.state).toBe('queued');
  });

  it('asks nothing when no cell has submitted anything', async () => {
    model.setActive(true);
    model.want([]);
    await minutes(5);
    expect(server.taken()).toEqual([]);
  });

  it('asks nothing while nobody can see the notebook', async () => {
    server.jobs = [job(id(1), { state: 'running' })];
    model.want([id(1)]);
    await minutes(2);
    expect(server.taken()).toEqual([]);
    isHidden = true;
    model.setActive(true);
    await minutes(2);
    expect(server.taken()).toEqual([]);

    isHidden = false;
    document.dispatchEvent(new window.Event('visibilitychange'));
    await pass(100);
    expect(server.taken()).toHaveLength(1);

    model.setActive(false);
    await minutes(5);
    expect(server.taken()).toEqual([]);
  });

  it('looks at unfinished jobs once a minute, in case of missed events', async () => {
    server.jobs = [job(id(1), { state: 'running' })];
    model.setActive(true);
    model.want([id(1)]);
    await pass(1500);
    server.taken();
    server.change(id(1), {
      state: 'succeeded',
      updated_at: '2027-01-01T00:00:00Z'
    });
    await minutes(2);
    expect(model.find(id(1))?.state).toBe('succeeded');
    expect(server.taken().length).toBeLessThanOrEqual(2);
    await minutes(5);
    expect(server.taken()).toEqual([]);
  });

  it('asks once about jobs of another notebook', async () => {
    server.jobs = [job(id(1), { path: 'other.ipynb' })];
    model.setActive(true);
    model.want([id(1)]);
    await minutes(5);
    expect(server.taken()).toHaveLength(1);
    expect(model.find(id(1))).toBeUndefined();
  });

  it('reads on until the oldest job that is named', async () => {
    server.jobs = Array.from({ length: 450 }, (_, i) =>
      job(id(450 - i), { state: 'succeeded' })
    );
    model.setActive(true);
    model.want([id(100)]);
    await pass(1500);
    expect(server.taken()).toHaveLength(2);
    expect(model.find(id(100))?.state).toBe('succeeded');
  });

  it('believes what is newer', async () => {
    server.jobs = [job(id(1), { updated_at: '2026-11-21T10:00:00Z' })];
    model.setActive(true);
    tell({
      job_id: id(1),
      state: 'running',
      updated_at: '2026-11-21T10:00:05Z'
    });
    model.want([id(1), id(2)]);
    await pass(1500);
    expect(server.taken()).toHaveLength(1);
    expect(model.find(id(1))?.state).toBe('running');
  });

  it('backs off while nobody answers', async () => {
    server.failures.set('jobs', [503, { message: 'Away.', reason: null }]);
    model.setActive(true);
    model.want([id(1)]);
    await minutes(10);
    expect(server.taken().length).toBeLessThan(8);
    server.failures.clear();
    server.jobs = [job(id(1))];
    await minutes(10);
    expect(model.find(id(1))?.state).toBe('queued');
  });
});

describe('CellBadges', () => {
  let opened: string[];
  let badges: CellBadges;

  function seen(number: number, changes: Partial<ISeen> = {}): ISeen {
    return { ...job(id(number)), ...changes };
  }

  function texts(): (string | null)[] {
    return [...badges.node.children].map(node => node.textContent);
  }

  beforeEach(() => {
    opened = [];
    badges = new CellBadges({
      onOpen: one => opened.push(one),
      trans: nullTranslator.load('jupyter_aiqueue')
    });
  });

  it('says state, progress and the end of the id', () => {
    badges.put([seen(1)]);
    expect(texts()[0]).toBe(`queued${id(1).slice(-8)}`);
    badges.put([seen(1, { state: 'running', progress: 0.25 })]);
    expect(texts()[0]).toContain('running 25 %');
    badges.put([seen(1, { state: 'running', cancelling: true })]);
    expect(texts()[0]).toContain('cancelling');
    expect(badges.node.querySelector('svg')).not.toBeNull();
  });

  it('touches nothing that is as it was', () => {
    badges.put([seen(1), seen(2)]);
    const before = [...badges.node.querySelectorAll('*')];
    badges.put([seen(1), seen(2)]);
    expect([...badges.node.querySelectorAll('*')]).toEqual(before);
  });

  it('counts what would be too many', () => {
    badges.put([6, 5, 4, 3, 2, 1].map(number => seen(number)));
    expect(badges.node.querySelectorAll('button')).toHaveLength(4);
    expect(texts()[4]).toBe('2 more');
    badges.put([seen(7), seen(6)]);
    expect(texts().map(text => text?.slice(-1))).toEqual(['7', '6', '']);
  });

  it('opens a job', () => {
    badges.put([seen(1)]);
    badges.node.querySelector('button')?.click();
    expect(opened).toEqual([id(1)]);
  });
});
