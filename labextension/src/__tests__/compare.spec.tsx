import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { QueueAPI } from '../api';
import { CompareModel } from '../compare/model';
import { CompareView } from '../compare/widget';
import { differences } from '../differences';
import { JOB_SCHEMA } from '../events';
import { JobSource } from '../jobSource';
import { FakeServer } from './fakeServer';
import { job } from './records';
import { pass, settle, stopTime } from './timeline';

describe('CompareView', () => {
  let server: FakeServer;
  let stream: Signal<unknown, Event.Emission>;
  let view: CompareView;
  let opened: string[];

  async function open(...ids: string[]): Promise<void> {
    const api = new QueueAPI(server.settings);
    const files = { get: jest.fn() };
    view = new CompareView({
      model: new CompareModel({
        ids,
        source: new JobSource(api, files, null),
        events: stream
      }),
      onOpen: id => opened.push(id),
      trans: nullTranslator.load('jupyter_aiqueue')
    });
    Widget.attach(view, document.body);
    await draw();
  }

  async function draw(milliseconds = 100): Promise<void> {
    await pass(milliseconds);
    MessageLoop.flush();
    await settle();
  }

  function row(key: string): (string | null)[] {
    const found = view.node.querySelector(`[data-aiq-key="${key}"]`);
    return [...(found?.querySelectorAll('td') ?? [])].map(
      cell => cell.textContent
    );
  }

  function text(): string {
    return view.node.textContent ?? '';
  }

  beforeEach(() => {
    stopTime('2026-11-21T10:00:10Z');
    server = new FakeServer();
    server.install();
    stream = new Signal<unknown, Event.Emission>({});
    opened = [];
    const common = { state: 'succeeded', attempt: 1 } as const;
    server.jobs = [
      job('one', {
        ...common,
        name: 'first',
        config: { task_id: 'one', lr: 0.1, epochs: 10, layers: [1] },
        metrics: { loss: 0.5 },
        result: { duration_s: 60, host: 'gpu-1' }
      }),
      job('two', {
        ...common,
        name: 'second',
        config: { task_id: 'two', lr: 0.2, epochs: 10, layers: [1], seed: 1 },
        metrics: { loss: 0.25 },
        result: { duration_s: 90, host: 'gpu-1' }
      }),
      job('three', { state: 'running', attempt: 1, config: { lr: 0.2 } })
    ];
    for (const [id, loss] of [
      ['one', [2, 0.5]],
      ['two', [1, 0.25]]
    ] as [string, number[]][]) {
      server.history[id] = {
        job_id: id,
        events: [],
        series: [
          {
            attempt: 1,
            seconds: [1, 2],
            metrics: { loss, epoch: [1, 2] },
            complete: true
          }
        ]
      };
    }
  });

  afterEach(() => {
    view.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('shows what differs, and what has no value as such', async () => {
    await open('one', 'two');
    expect(row('lr')).toEqual(['0.1', '0.2']);
    expect(row('seed')).toEqual(['—', '1']);
    expect(row('loss')).toEqual(['0.5', '0.25']);
    expect(row('duration')).toEqual(['1 min 0 s', '1 min 30 s']);
    for (const same of ['epochs', 'layers', 'host', 'task_id']) {
      expect(row(same)).toEqual([]);
    }
  });

  it('shows on demand what is the same', async () => {
    await open('one', 'two');
    view.node.querySelector<HTMLElement>('input[type="checkbox"]')?.click();
    await draw();
    expect(row('epochs')).toEqual(['10', '10']);
    expect(row('task_id')).toEqual([]);
  });

  it('draws the curves over each other with a mark for each job', async () => {
    await open('one', 'two');
    const marks = [...view.node.querySelectorAll('.jp-AIQueue-chartMark')];
    expect(marks.map(mark => mark.textContent)).toEqual(['A', 'B']);
    const label = view.node
      .querySelector('[data-aiq-chart="loss"] svg')
      ?.getAttribute('aria-label');
    expect(label).toContain('first: from 2 to 0.5');
    expect(label).toContain('second: from 1 to 0.25');
  });

  it('takes in changes of a job, and asks for no other', async () => {
    await open('one', 'three');
    server.taken();
    server.change('three', { state: 'succeeded', metrics: { loss: 0.1 } });
    stream.emit({
      schema_id: JOB_SCHEMA,
      job_id: 'three',
      state: 'succeeded'
    } as unknown as Event.Emission);
    await draw(1500);
    expect(server.taken()).toEqual(['jobs/three', 'jobs/three/history']);
    expect(row('loss')).toEqual(['0.5', '0.1']);
  });

  it('asks nothing while it cannot be seen', async () => {
    await open('one', 'three');
    view.hide();
    server.taken();
    stream.emit({
      schema_id: JOB_SCHEMA,
      job_id: 'three',
      state: 'succeeded'
    } as unknown as Event.Emission);
    await draw(5000);
    expect(server.taken()).toEqual([]);
    view.show();
    await draw();
    expect(server.taken()).toEqual(['jobs/three', 'jobs/three/history']);
  });

  it('says which job is not known, and compares the others', async () => {
    await open('one', 'two', 'gone');
    expect(text()).toContain('No job gone is recorded here.');
    expect(row('lr')).toEqual(['0.1', '0.2']);
    view.node
      .querySelector<HTMLElement>('[data-aiq-banner="missing"] button')
      ?.click();
    await draw();
    expect(text()).not.toContain('gone');
  });

  it('leads to the jobs', async () => {
    await open('one', 'two');
    view.node.querySelector<HTMLElement>('th .jp-AIQueue-link')?.click();
    expect(opened).toEqual(['one']);
  });
});

it('compares values and not objects', () => {
  expect(
    differences<unknown>([
      { a: [1], b: 1, c: null },
      { a: [1], b: 2 }
    ])
  ).toEqual([
    { key: 'b', values: [1, 2] },
    { key: 'c', values: [null, undefined] }
  ]);
});
