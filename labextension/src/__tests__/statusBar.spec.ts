import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { QueueAPI } from '../api';
import { LOAD_SCHEMA } from '../events';
import { QueueModel } from '../model';
import { QueueStatus } from '../statusBar/item';
import { summarize } from '../statusBar/summary';
import { FakeServer } from './fakeServer';
import { expected, group, load, measured, UNKNOWN } from './records';
import { pass, settle, stopTime } from './timeline';

const trans = nullTranslator.load('jupyter_aiqueue');

describe('the status bar', () => {
  let server: FakeServer;
  let events: Signal<unknown, Event.Emission>;
  let model: QueueModel;
  let isConnected: boolean;

  const said = () => summarize(model, isConnected, trans);

  beforeEach(() => {
    stopTime('2026-11-21T10:00:00Z');
    isConnected = true;
    server = new FakeServer();
    server.install();
    events = new Signal<unknown, Event.Emission>({});
    model = new QueueModel({ api: new QueueAPI(server.settings), events });
  });

  afterEach(() => {
    model.dispose();
    document.body.innerHTML = '';
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('says how many wait, and for how long', async () => {
    server.load = load({
      groups: [
        group('train', { start: expected({ middle: 725 }) }),
        group('infer', { waiting: measured(0) })
      ]
    });
    await model.glance();
    expect(said()).toMatchObject({
      text: 'train 3 waiting, ~12 min',
      isOld: false,
      isTrouble: false
    });
    expect(said().title).toContain('infer: 0 waiting, 2 of 4 running.');
  });

  it('says that nothing waits, and nothing that it does not know', async () => {
    server.load = load({ groups: [group('train', { waiting: measured(0) })] });
    await model.glance();
    expect(said().text).toBe('Queue: nothing waits');
    server.load = load({ groups: [group('train', { waiting: UNKNOWN })] });
    await pass(30_000);
    await model.glance();
    expect(said().text).toContain('unknown');
  });

  it('shows the groups that were chosen', async () => {
    server.load = load({
      groups: ['a', 'b', 'c', 'd'].map(name => group(name))
    });
    await model.glance();
    expect(said().text).toBe('a 3 waiting · b 3 waiting · +2 groups');
    model.groups = ['d'];
    expect(said().text).toBe('d 3 waiting');
  });

  it('says how old it is, and drops a forecast that is older', async () => {
    server.load = load({ groups: [group('train', { start: expected() })] });
    await model.glance();
    await pass(125_000);
    expect(said()).toMatchObject({
      text: 'train 3 waiting, ~16 min (2 min ago)',
      isOld: true
    });
    events.emit({
      schema_id: LOAD_SCHEMA,
      timestamp: '2026-11-21T10:02:04Z',
      broker_state: 'up',
      groups: [{ name: 'train', waiting: 5 }]
    } as unknown as Event.Emission);
    expect(said()).toMatchObject({ text: 'train 5 waiting', isOld: false });
  });

  it('says what is wrong', async () => {
    expect(said().text).toBe('Queue: unknown');
    const states: [number, string][] = [
      [404, 'server part missing'],
      [403, 'no permission'],
      [503, 'broker away'],
      [500, 'unknown'],
      [0, 'no connection']
    ];
    for (const [status, word] of states) {
      server.failures.set('load', [status, { message: 'Why.' }]);
      await pass(10_000);
      await model.glance();
      expect(said()).toMatchObject({
        text: `Queue: ${word}`,
        isTrouble: true
      });
    }
    server.failures.clear();
    server.load = load({
      broker: { ...load().broker, state: 'down', message: 'It is away.' }
    });
    await pass(10_000);
    await model.glance();
    expect(said().text).toBe('Queue: broker away');
    expect(said().title).toContain('It is away.');
    isConnected = false;
    expect(said().text).toBe('Queue: no connection');
  });

  it('asks only who points at it, and opens the sidebar', async () => {
    const onOpen = jest.fn();
    const item = new QueueStatus({
      model,
      isConnected: () => isConnected,
      onOpen,
      trans
    });
    Widget.attach(item, document.body);
    const draw = async () => {
      await pass(100);
      MessageLoop.flush();
      await settle();
    };
    await pass(60_000);
    await draw();
    expect(server.taken()).toEqual([]);
    const button = item.node.querySelector('button') as HTMLElement;
    server.load = load({ timestamp: '2026-11-21T10:01:00Z' });
    button.focus();
    await draw();
    expect(server.taken()).toEqual(['load']);
    expect(button.textContent).toBe('train 3 waiting');
    await pass(60_000);
    await draw();
    expect(button.textContent).toContain('(1 min ago)');
    expect(button.classList.contains('jp-mod-stale')).toBe(true);
    button.click();
    expect(onOpen).toHaveBeenCalled();
    item.dispose();
    expect(server.taken()).toEqual([]);
  });
});
