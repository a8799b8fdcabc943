import type { Event } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { QueueAPI } from '../api';
import { JOB_SCHEMA, LOAD_SCHEMA } from '../events';
import { QueueModel } from '../model';
import { FakeServer } from './fakeServer';
import { job, load } from './records';
import { pass, settle, stopTime } from './timeline';

const NOTEBOOK = 'experiments/digits.ipynb';
const HERE = 'jobs?notebook=experiments%2Fdigits.ipynb';
const NOW = '2026-11-21T10:00:00Z';
const LATER = '2026-11-21T10:00:09Z';

describe('QueueModel', () => {
  let server: FakeServer;
  let events: Signal<unknown, Event.Emission>;
  let model: QueueModel;
  let isConnected: boolean;

  const emit = (data: { schema_id: string } & Record<string, unknown>) =>
    events.emit(data as Event.Emission);
  const states = () =>
    model.jobs.records?.map(record => `${record.job_id} ${record.state}`);

  /** Open the sidebar and wait for the first answers. */
  async function look(): Promise<void> {
    model.setActive(true);
    await pass(100);
    server.taken();
  }

  beforeEach(() => {
    stopTime(NOW);
    server = new FakeServer();
    server.install();
    server.jobs = [job('one'), job('other', { path: 'other.ipynb' })];
    events = new Signal<unknown, Event.Emission>({});
    isConnected = true;
    model = new QueueModel({
      api: new QueueAPI(server.settings),
      events,
      interval: 5,
      isConnected: () => isConnected
    });
    model.jobs.notebook = NOTEBOOK;
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  describe('looking', () => {
    it('asks nothing before somebody looks', async () => {
      await pass(20_000);
      expect(server.taken()).toEqual([]);
    });

    it('asks for the load and the jobs when somebody looks', async () => {
      model.setActive(true);
      await pass(100);
      expect(server.taken()).toEqual(['load', `${HERE}&limit=100&offset=0`]);
      expect(model.load?.groups[0].waiting.value).toBe(3);
      expect(states()).toEqual(['one queued']);
    });

    it('asks again after the interval; a new one counts at once', async () => {
      server.jobs = [];
      await look();
      await pass(11_000);
      expect(server.taken()).toEqual(['load', 'load']);
      model.interval = 20;
      await pass(19_000);
      expect(server.taken()).toEqual(['load']);
      await pass(2_000);
      expect(server.taken()).toEqual(['load']);
    });

    it('stops when nobody looks any more', async () => {
      await look();
      model.setActive(false);
      await pass(60_000);
      expect(server.taken()).toEqual([]);
    });

    it('stops while the application has lost its server', async () => {
      await look();
      isConnected = false;
      await pass(30_000);
      expect(server.taken()).toEqual([]);
      isConnected = true;
      await pass(5_100);
      expect(server.taken()).toContain('load');
    });

    it('leaves no timer behind when it is disposed', async () => {
      await look();
      emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'running' });
      model.dispose();
      await pass(20_000);
      expect(server.taken()).toEqual([]);
      expect(jest.getTimerCount()).toBe(0);
    });
  });

  describe('failing', () => {
    it('asks less and less often while it fails', async () => {
      // How long it waits is drawn by lot.
      const lot = jest.spyOn(Math, 'random').mockReturnValue(0.5);
      server.failures.set('load', [500, { message: 'Unhandled error' }]);
      await look();
      await pass(120_000);
      // Every 5 s would be 24.
      const failed = server.taken().length;
      expect(failed).toBeGreaterThan(0);
      expect(failed).toBeLessThan(10);
      expect(model.failure?.message).toBe('Unhandled error');

      server.failures.clear();
      await pass(61_000);
      expect(model.failure).toBeNull();
      server.taken();
      await pass(11_000);
      expect(server.taken().length).toBeGreaterThanOrEqual(2);
      lot.mockRestore();
    });

    it('keeps what it knew, and knows that it is old', async () => {
      await look();
      server.failures.set('load', [0, '']);
      await pass(6_000);
      expect(model.failure?.kind).toBe('no-server');
      expect(model.load?.timestamp).toBe(NOW);
      expect(model.clock.since(NOW)).toBeGreaterThan(6_000);
    });

    it('does not ask for jobs of a server that does not know us', async () => {
      server.failures.set('', [404, 'no']);
      model.setActive(true);
      await pass(100);
      expect(server.taken()).toEqual(['load']);
      expect(model.failure?.kind).toBe('no-extension');
    });

    it('lists recorded jobs when no broker is configured', async () => {
      const body = { message: 'No broker.', reason: 'no-broker' };
      server.failures.set('load', [503, body]);
      model.setActive(true);
      await pass(100);
      expect(model.failure?.reason).toBe('no-broker');
      expect(states()).toEqual(['one queued']);
    });

    it('says why the jobs cannot be listed, and tries again', async () => {
      server.failures.set('jobs', [500, { message: 'Disk error' }]);
      await look();
      expect(model.jobs.failure?.message).toBe('Disk error');
      expect(model.jobs.records).toBeNull();
      server.failures.clear();
      await pass(30_000);
      expect(model.jobs.failure).toBeNull();
      expect(states()).toEqual(['one queued']);
    });

    it('does not let an overtaken answer replace a newer one', async () => {
      await look();
      let release: () => void = () => undefined;
      server.delay = () =>
        new Promise<void>(resolve => {
          release = resolve;
        });
      await pass(5_000);
      expect(server.taken()).toEqual(['load']);
      server.delay = () => undefined;
      server.load = load({ timestamp: LATER });
      void model.refresh();
      await pass(100);
      release();
      await pass(100);
      expect(model.load?.timestamp).toBe(LATER);
    });
  });

  describe('job events', () => {
    it('are shown at once, and the whole record soon after', async () => {
      await look();
      server.change('one', {
        state: 'running',
        worker: 'gpu-1',
        updated_at: LATER
      });
      emit({
        schema_id: JOB_SCHEMA,
        job_id: 'one',
        state: 'running',
        progress: 0.25,
        path: NOTEBOOK,
        updated_at: LATER,
        attempt: 1
      });
      expect(model.jobs.find('one')).toMatchObject({
        state: 'running',
        progress: 0.25,
        worker: null
      });
      await pass(300);
      expect(server.taken()).toEqual([`${HERE}&id=one&limit=100&offset=0`]);
      expect(model.jobs.find('one')?.worker).toBe('gpu-1');
    });

    it('of one job are fetched together', async () => {
      await look();
      for (let i = 0; i < 20; i += 1) {
        emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'running' });
        await pass(20);
      }
      await pass(300);
      expect(server.taken().length).toBeLessThanOrEqual(4);
    });

    it('of many jobs are fetched in few requests', async () => {
      server.jobs = Array.from({ length: 130 }, (_, i) => job(`job-${i}`));
      await look();
      for (const { job_id } of server.jobs) {
        server.change(job_id, { state: 'running', updated_at: LATER });
        emit({ schema_id: JOB_SCHEMA, job_id, state: 'running' });
      }
      await pass(300);
      expect(server.taken()).toHaveLength(2);
      expect(states()?.every(state => state.endsWith('running'))).toBe(true);
    });

    it('bring new jobs of this notebook, and leave others out', async () => {
      await look();
      const submitted_at = '2026-11-21T11:00:00Z';
      server.jobs.push(job('two', { submitted_at }));
      const state = 'queued';
      emit({ schema_id: JOB_SCHEMA, job_id: 'two', state, path: NOTEBOOK });
      emit({ schema_id: JOB_SCHEMA, job_id: 'x', state, path: 'other.ipynb' });
      await pass(300);
      expect(server.taken()).toEqual([`${HERE}&id=two&limit=100&offset=0`]);
      expect(states()).toEqual(['two queued', 'one queued']);
      expect(model.jobs.total).toBe(2);
    });

    it('of a job that is gone remove its row', async () => {
      await look();
      server.jobs = [];
      emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'queued' });
      await pass(300);
      expect(states()).toEqual([]);
      expect(model.jobs.total).toBe(0);
    });

    it('that come while nobody looks are caught up with later', async () => {
      await look();
      model.setActive(false);
      server.change('one', { state: 'succeeded', updated_at: LATER });
      emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'succeeded' });
      await pass(1000);
      expect(server.taken()).toEqual([]);
      model.setActive(true);
      await pass(100);
      expect(states()).toEqual(['one succeeded']);
    });

    it('of other extensions are none of our business', async () => {
      await look();
      emit({ schema_id: 'https://events.jupyter.org/contents', path: 'x' });
      await pass(300);
      expect(server.taken()).toEqual([]);
    });

    it('replace polling while they arrive', async () => {
      await look();
      // A silent stream and an unfinished job: the list is asked for now and then.
      await pass(26_000);
      expect(server.taken().filter(path => path !== 'load')).toHaveLength(1);
      for (let i = 0; i < 6; i += 1) {
        emit({
          schema_id: LOAD_SCHEMA,
          timestamp: NOW,
          broker_state: 'up',
          groups: []
        });
        await pass(5_000);
      }
      expect(server.taken().filter(path => path !== 'load')).toEqual([]);
    });
  });

  describe('load events', () => {
    it('update the numbers', async () => {
      await look();
      emit({
        schema_id: LOAD_SCHEMA,
        timestamp: LATER,
        broker_state: 'up',
        groups: [{ name: 'train', waiting: 0, running: 4 }]
      });
      expect(model.load?.groups[0].waiting.value).toBe(0);
      expect(server.taken()).toEqual([]);
    });

    it('ask for the reason when the broker goes away', async () => {
      await look();
      const { broker } = server.load;
      server.load = load({
        broker: { ...broker, state: 'down', message: 'Nothing answers.' }
      });
      const down = {
        schema_id: LOAD_SCHEMA,
        timestamp: LATER,
        broker_state: 'down',
        groups: []
      };
      emit(down);
      await pass(100);
      expect(model.load?.broker.message).toBe('Nothing answers.');
      server.taken();
      emit(down);
      await pass(100);
      expect(server.taken()).toEqual([]);
    });
  });

  describe('scope', () => {
    it('is this notebook first, and all notebooks on demand', async () => {
      await look();
      model.jobs.scope = 'all';
      expect(model.jobs.records).toBeNull();
      await settle();
      expect(server.taken()).toEqual(['jobs?limit=100&offset=0']);
      expect(states()).toEqual(['other queued', 'one queued']);
    });

    it('follows the notebook', async () => {
      await look();
      model.jobs.notebook = 'other.ipynb';
      await settle();
      expect(states()).toEqual(['other queued']);
    });

    it('shows the jobs of the last notebook that was chosen', async () => {
      await look();
      const releases: (() => void)[] = [];
      server.delay = () =>
        new Promise<void>(resolve => {
          releases.push(resolve);
        });
      model.jobs.notebook = 'other.ipynb';
      model.jobs.notebook = NOTEBOOK;
      await settle();
      releases.reverse().forEach(release => release());
      await settle();
      expect(states()).toEqual(['one queued']);
    });

    it('has no jobs and asks for none when no notebook is open', async () => {
      model.jobs.notebook = null;
      model.setActive(true);
      await pass(100);
      expect(server.taken()).toEqual(['load']);
      expect(states()).toEqual([]);
    });

    describe('with thousands of jobs', () => {
      const at = (i: number) =>
        new Date(Date.parse(NOW) - i * 60_000).toISOString();
      const many = (count: number) =>
        Array.from({ length: count }, (_, i) =>
          job(`job-${i}`, {
            state: i % 1000 === 7 ? 'queued' : 'succeeded',
            submitted_at: at(i)
          })
        );

      it('shows the newest first, and the others in parts', async () => {
        server.jobs = many(2_050);
        const lengths = new Set<number | undefined>();
        model.stateChanged.connect(() => {
          lengths.add(model.jobs.records?.length);
        });
        model.setActive(true);
        await pass(300);
        expect([...lengths]).toEqual([undefined, 100, 1_100, 2_050]);
        expect(server.taken()).toEqual([
          'load',
          `${HERE}&limit=100&offset=0`,
          `${HERE}&limit=1000&offset=100`,
          `${HERE}&limit=1000&offset=1100`
        ]);
        expect(model.jobs.records).toHaveLength(2_050);
        expect(model.jobs.isLoading).toBe(false);
      });

      it('lists 10,000, and older ones on demand', async () => {
        server.jobs = many(10_003);
        await look();
        await pass(1_000);
        expect(model.jobs.records).toHaveLength(10_000);
        expect(model.jobs.total).toBe(10_003);
        void model.jobs.fetchMore();
        await pass(1_000);
        expect(model.jobs.records).toHaveLength(10_003);
      });

      it('asks again only for what may have changed', async () => {
        server.jobs = many(3_000);
        await look();
        server.change('job-1007', { state: 'succeeded', updated_at: LATER });
        void model.jobs.fetch();
        await pass(300);
        const state = encodeURIComponent('held,queued,running,retrying');
        expect(server.taken()).toEqual([
          `${HERE}&limit=100&offset=0`,
          `${HERE}&state=${state}&limit=1000&offset=0`,
          `${HERE}&id=job-1007&limit=100&offset=0`
        ]);
        expect(model.jobs.find('job-1007')?.state).toBe('succeeded');
      });

      it('asks for all again when some are gone', async () => {
        server.jobs = many(1_500);
        await look();
        server.jobs = server.jobs.filter(({ job_id }) => job_id !== 'job-900');
        void model.jobs.fetch();
        await pass(300);
        expect(model.jobs.find('job-900')).toBeUndefined();
        expect(model.jobs.records).toHaveLength(1_499);
      });

      it('stops to ask when nobody looks, and goes on later', async () => {
        server.jobs = many(5_000);
        server.delay = ({ path }) => {
          if (path.includes('offset=1100')) {
            model.setActive(false);
          }
        };
        await look();
        expect(model.jobs.records?.length).toBeLessThan(5_000);
        server.delay = () => undefined;
        model.setActive(true);
        await pass(300);
        expect(model.jobs.records).toHaveLength(5_000);
      });

      it('says why older jobs cannot be listed', async () => {
        server.jobs = many(1_500);
        server.delay = ({ path }) => {
          if (path.includes('limit=1000')) {
            throw new Error('cut off');
          }
        };
        await look();
        expect(model.jobs.failure?.message).toBe('cut off');
        expect(model.jobs.isLoading).toBe(false);
        expect(model.jobs.records).toHaveLength(100);
      });
    });
  });

  describe('details', () => {
    it('bring the output, without colours', async () => {
      server.log.one = {
        log: '\u001b[32mepoch 1\u001b[0m',
        offset: 0,
        complete: true
      };
      await look();
      model.jobs.select('one');
      await settle();
      expect(server.taken()).toEqual(['jobs/one/log', 'jobs/one/forecast']);
      expect(model.jobs.selected?.text).toBe('epoch 1');
    });

    it('follow the output of a running job until it is complete', async () => {
      server.change('one', { state: 'running', attempt: 1 });
      server.log.one = { log: 'epoch 1', offset: 0, complete: false };
      await look();
      model.jobs.select('one');
      await settle();
      server.log.one = { log: 'epoch 1\nepoch 2', offset: 0, complete: true };
      await pass(5_100);
      expect(model.jobs.selected?.text).toBe('epoch 1\nepoch 2');
      server.taken();
      await pass(10_000);
      expect(server.taken()).not.toContain('jobs/one/log');
    });

    it('bring the end of the output of a job that ended meanwhile', async () => {
      server.change('one', { state: 'running', attempt: 1 });
      server.log.one = { log: 'epoch 1', offset: 0, complete: false };
      await look();
      let release: () => void = () => undefined;
      server.delay = ({ path }) =>
        path.endsWith('/log')
          ? new Promise<void>(resolve => {
              release = resolve;
            })
          : undefined;
      model.jobs.select('one');
      await settle();
      server.log.one = { log: 'epoch 1\nend', offset: 0, complete: true };
      server.change('one', { state: 'succeeded', updated_at: LATER });
      emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'succeeded' });
      await pass(300);
      server.delay = () => undefined;
      release();
      await pass(100);
      expect(model.jobs.selected?.text).toBe('epoch 1\nend');
    });

    it('are not asked for with every step of progress', async () => {
      server.change('one', { state: 'running', attempt: 1 });
      server.log.one = { log: 'epoch 1', offset: 0, complete: false };
      await look();
      model.jobs.select('one');
      await settle();
      server.taken();
      for (let i = 0; i < 8; i += 1) {
        emit({ schema_id: JOB_SCHEMA, job_id: 'one', state: 'running' });
        await pass(500);
      }
      expect(server.taken()).not.toContain('jobs/one/log');
    });

    it('say why there is no output', async () => {
      server.failures.set('jobs/one/log', [503, { message: 'Broker away.' }]);
      await look();
      model.jobs.select('one');
      await settle();
      expect(model.jobs.selected?.failure).toBe('Broker away.');
    });
  });

  describe('actions', () => {
    it('cancel a job and show that it is being cancelled', async () => {
      await look();
      const done = model.jobs.cancel('one');
      expect(model.jobs.actions.pending('one')).toBe('cancel');
      await Promise.all([done, settle()]);
      expect(server.taken()).toEqual(['POST jobs/one/cancel']);
      expect(model.jobs.actions.pending('one')).toBeNull();
      expect(model.jobs.find('one')?.cancelling).toBe(true);
    });

    it('retry a job, list the new one and open it', async () => {
      await look();
      await Promise.all([model.jobs.retry('one'), settle()]);
      expect(states()).toEqual(['one-again queued', 'one queued']);
      expect(model.jobs.selected?.id).toBe('one-again');
      expect(model.jobs.total).toBe(2);
    });

    it('are sent once, however often they are clicked', async () => {
      await look();
      await Promise.all([
        model.jobs.cancel('one'),
        model.jobs.cancel('one'),
        settle()
      ]);
      expect(server.taken()).toEqual(['POST jobs/one/cancel']);
    });

    it('say why they were refused, until they are tried again', async () => {
      await look();
      const message = 'The job is over: there is nothing to cancel.';
      server.failures.set('jobs/one/cancel', [409, { message }]);
      await Promise.all([model.jobs.cancel('one'), settle()]);
      expect(model.jobs.actions.failure('one')).toBe(message);
      server.failures.clear();
      await Promise.all([model.jobs.cancel('one'), settle()]);
      expect(model.jobs.actions.failure('one')).toBeNull();
    });
  });
});
