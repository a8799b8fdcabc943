import { Notification } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import type { JobState } from '../api';
import { QueueAPI } from '../api';
import { JOB_SCHEMA } from '../events';
import { QueueModel } from '../model';
import { Claims } from '../notices/claims';
import type { IEnd } from '../notices/ends';
import { Ends } from '../notices/ends';
import { Teller } from '../notices/teller';
import { FakeServer } from './fakeServer';
import { job } from './records';
import { pass, settle, stopTime } from './timeline';

/** Pages of one browser. */
class Channel {
  static all: Channel[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor(readonly name: string) {
    Channel.all.push(this);
  }

  postMessage(data: unknown): void {
    for (const other of Channel.all) {
      if (other !== this && other.name === this.name) {
        other.onmessage?.({ data });
      }
    }
  }

  close(): void {
    Channel.all = Channel.all.filter(other => other !== this);
  }
}

const NOW = '2026-11-21T10:00:00Z';
const LATER = '2026-11-21T10:00:05Z';

describe('notices', () => {
  let server: FakeServer;
  let pages: { ends: Ends; told: IEnd[]; model: QueueModel }[];
  let events: Signal<unknown, Event.Emission>;
  let wanted: (state: JobState) => boolean;

  /** Open a page, as a reload or another tab does. */
  function open(): IEnd[] {
    const told: IEnd[] = [];
    const model = new QueueModel({
      api: new QueueAPI(server.settings),
      events
    });
    model.jobs.scope = 'all';
    const ends = new Ends({
      claims: new Claims('test'),
      events,
      isWanted: state => wanted(state),
      model,
      onEnds: some => told.push(...some)
    });
    pages.push({ ends, told, model });
    return told;
  }

  const tell = (id: string, state: JobState, at = LATER) =>
    events.emit({
      schema_id: JOB_SCHEMA,
      job_id: id,
      state,
      updated_at: at
    } as unknown as Event.Emission);
  const ids = (told: IEnd[]) => told.map(({ id }) => id);

  beforeEach(() => {
    stopTime(NOW);
    (globalThis as Record<string, unknown>).BroadcastChannel = Channel;
    Channel.all = [];
    window.localStorage.clear();
    server = new FakeServer();
    server.install();
    events = new Signal<unknown, Event.Emission>({});
    pages = [];
    wanted = () => true;
  });

  afterEach(() => {
    for (const { ends, model } of pages) {
      ends.dispose();
      model.dispose();
    }
    Notification.dismiss();
    delete (globalThis as Record<string, unknown>).BroadcastChannel;
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  describe('ends', () => {
    it('are told once, and cancels are not', async () => {
      const told = open();
      tell('good', 'running');
      tell('good', 'succeeded');
      tell('good', 'succeeded');
      tell('bad', 'failed');
      tell('gone', 'cancelled');
      await pass(3000);
      tell('good', 'succeeded');
      await pass(3000);
      expect(ids(told)).toEqual(['good', 'bad']);
    });

    it('of the night before are no news', async () => {
      const told = open();
      tell('old', 'succeeded', '2026-11-21T03:00:00Z');
      tell('new', 'succeeded');
      await pass(3000);
      expect(ids(told)).toEqual(['new']);
    });

    it('are told as the setting says', async () => {
      const told = open();
      wanted = state => state !== 'succeeded';
      tell('good', 'succeeded');
      tell('bad', 'dead');
      await pass(3000);
      expect(ids(told)).toEqual(['bad']);
    });

    it('are told by one of several pages', async () => {
      const all = [open(), open(), open()];
      for (const id of ['a', 'b', 'c', 'd']) {
        tell(id, 'succeeded');
      }
      await pass(3000);
      expect(all.flatMap(ids).sort()).toEqual(['a', 'b', 'c', 'd']);
    });

    it('are told by the page that has the focus', async () => {
      const focus = jest.spyOn(document, 'hasFocus').mockReturnValue(false);
      const others = [open(), open()];
      const [first, second] = [new Claims('test'), new Claims('test')];
      tell('a', 'succeeded');
      focus.mockReturnValue(true);
      first.claim('a');
      focus.mockReturnValue(false);
      second.claim('a');
      await pass(3000);
      expect(others.flatMap(ids)).toEqual([]);
      expect([first.take('a'), second.take('a')]).toEqual([true, false]);
    });

    it('are not told again after a reload', async () => {
      open();
      tell('a', 'failed');
      await pass(3000);
      pages[0].ends.dispose();
      Channel.all = [];
      const told = open();
      tell('a', 'failed');
      await pass(3000);
      expect(told).toEqual([]);
    });

    it('of a dead job that was sent back are told again', async () => {
      const told = open();
      tell('a', 'dead');
      await pass(3000);
      tell('a', 'queued');
      tell('a', 'succeeded');
      await pass(3000);
      expect(told.map(({ state }) => state)).toEqual(['dead', 'succeeded']);
    });

    it('that the stream missed are seen in the list', async () => {
      const told = open();
      tell('a', 'running');
      server.jobs = [job('a', { state: 'succeeded', ended_at: LATER })];
      await pages[0].model.jobs.fetch();
      await pass(3000);
      expect(ids(told)).toEqual(['a']);
    });
  });

  describe('the teller', () => {
    let teller: Teller;
    const onShow = jest.fn();
    const onShowAll = jest.fn();
    const shown = () => Notification.manager.notifications;

    beforeEach(() => {
      teller = new Teller({
        api: new QueueAPI(server.settings),
        onShow,
        onShowAll,
        trans: nullTranslator.load('jupyter_aiqueue')
      });
      server.jobs = [
        job('good', { name: 'wide', state: 'succeeded' }),
        job('bad', { name: 'deep', state: 'failed', reason: 'exit code 1' })
      ];
    });

    const press = (label: string) =>
      shown()[0]
        .options.actions?.find(action => action.label === label)
        ?.callback(new MouseEvent('click'));

    it('tells of a success, and shows it', async () => {
      await teller.tell([{ id: 'good', state: 'succeeded' }]);
      expect(shown()[0]).toMatchObject({
        message: '“wide” succeeded.',
        type: 'success'
      });
      press('Show');
      expect(onShow).toHaveBeenCalledWith('good');
    });

    it('tells of a failure with its reason, and retries it', async () => {
      await teller.tell([{ id: 'bad', state: 'failed' }]);
      expect(shown()[0]).toMatchObject({
        message: '“deep” failed: exit code 1',
        type: 'error'
      });
      server.taken();
      press('Retry');
      await settle();
      expect(server.taken()).toEqual(['POST jobs/bad/retry']);
      expect(shown()[0].message).toBe('“deep” was submitted again.');
    });

    it('says that a retry was refused', async () => {
      await teller.tell([{ id: 'bad', state: 'dead' }]);
      server.failures.set('jobs/bad/retry', [503, { message: 'No broker.' }]);
      press('Retry');
      await settle();
      expect(shown()[0].message).toContain('not submitted again. No broker.');
    });

    it('tells of a job of which nothing else is known', async () => {
      await teller.tell([{ id: 'no-such-job', state: 'dead' }]);
      expect(shown()[0].message).toContain('The reason is not known.');
    });

    it('tells of many at once in one sentence, that goes on', async () => {
      const some = (count: number, state: JobState): IEnd[] =>
        Array.from({ length: count }, (_, i) => ({ id: `${i}`, state }));
      await teller.tell(some(10, 'succeeded'));
      expect(shown()).toHaveLength(1);
      await teller.tell(some(2, 'failed'));
      expect(shown()).toHaveLength(1);
      expect(shown()[0]).toMatchObject({
        message: '12 more jobs ended: 10 succeeded, 2 failed',
        type: 'error'
      });
      expect(server.taken()).toEqual([]);
      press('Show');
      expect(onShowAll).toHaveBeenCalled();
    });
  });
});
