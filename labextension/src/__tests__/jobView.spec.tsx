import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import type { IJobRecord } from '../api';
import { QueueAPI } from '../api';
import { JOB_SCHEMA } from '../events';
import { JobSource } from '../jobSource';
import { JobViewModel } from '../jobView/model';
import { written } from '../written';
import { JobView } from '../jobView/widget';
import { FakeServer } from './fakeServer';
import example from './ledger.json';
import { job } from './records';
import { pass, settle, stopTime } from './timeline';

const NOW = '2026-11-21T10:00:10Z';
const LEDGER = 'lab/train.jobs.jsonl';

/** As the contents service does: without a content unless it is asked for. */
async function serveExample(
  _path: string,
  options: { content?: boolean }
): Promise<unknown> {
  const text = `${example.lines.join('\n')}\n`;
  return { content: options.content ? text : null };
}

describe('JobView', () => {
  let server: FakeServer;
  let stream: Signal<unknown, Event.Emission>;
  let model: JobViewModel;
  let view: JobView;
  let files: jest.Mock;
  let opened: string[];
  let copied: string[];
  let isConfirmed: boolean;
  let inserted: ((id: string) => void) | null;

  /** Show the view of a job and wait for the first answers. */
  async function open(id: string, ledger: string | null = null): Promise<void> {
    const api = new QueueAPI(server.settings);
    model = new JobViewModel({
      id,
      api,
      source: new JobSource(api, { get: files }, ledger),
      events: stream
    });
    view = new JobView({
      actions: {
        confirmCancel: async () => isConfirmed,
        copy: text => copied.push(text),
        insertCell: inserted,
        openJob: other => opened.push(other),
        openNotebook: path => opened.push(path)
      },
      model,
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

  function find(selector: string): HTMLElement {
    const node = view.node.querySelector<HTMLElement>(selector);
    if (node === null) {
      throw new Error(`No ${selector} in ${view.node.innerHTML}`);
    }
    return node;
  }

  function section(name: string): string {
    return find(`[data-aiq-section="${name}"]`).textContent ?? '';
  }

  async function act(name: string): Promise<void> {
    find(`[data-aiq-action="${name}"]`).click();
    await draw();
  }

  async function type(node: HTMLElement, text: string): Promise<void> {
    const set = Object.getOwnPropertyDescriptor(
      HTMLInputElement.prototype,
      'value'
    )?.set;
    set?.call(node, text);
    node.dispatchEvent(new window.Event('input', { bubbles: true }));
    await draw();
  }

  /** The job has changed, and the event stream says so. */
  async function change(id: string, changes: Partial<IJobRecord>) {
    const record = server.change(id, changes);
    stream.emit({
      schema_id: JOB_SCHEMA,
      job_id: id,
      state: record.state,
      attempt: record.attempt
    } as unknown as Event.Emission);
    await draw(400);
  }

  const running = job('running', {
    state: 'running',
    name: 'wide',
    attempt: 1,
    worker: 'gpu-1',
    started_at: '2026-11-21T10:00:02Z',
    updated_at: '2026-11-21T10:00:04Z',
    progress: 0.4,
    metrics: { loss: 0.5, epoch: 4 },
    config: { task_id: 'running', epochs: 10, tag: '7' }
  });

  beforeEach(() => {
    stopTime(NOW);
    server = new FakeServer();
    server.install();
    server.jobs = [running, job('over', { state: 'failed', attempt: 1 })];
    server.history.running = {
      job_id: 'running',
      events: [
        { event: 'submitted', timestamp: '2026-11-21T10:00:00Z' },
        {
          event: 'started',
          timestamp: '2026-11-21T10:00:02Z',
          attempt: 1,
          worker: 'gpu-1'
        }
      ],
      series: []
    };
    server.log.running = { log: 'epoch 4\n', offset: 0, complete: false };
    stream = new Signal<unknown, Event.Emission>({});
    files = jest.fn(async () => {
      throw new Error('There is no such file');
    });
    opened = [];
    copied = [];
    isConfirmed = true;
    inserted = null;
  });

  afterEach(() => {
    view.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('shows a running job with its config, course, curves and output', async () => {
    await open('running');
    expect(view.title.label).toBe('wide running');
    expect(find('[role="status"]').textContent).toBe('running');
    expect(find('[role="progressbar"]').getAttribute('aria-valuenow')).toBe(
      '40'
    );
    expect(section('config')).toContain('epochs10');
    expect(section('config')).not.toContain('task_id');
    expect(section('timeline')).toContain('gpu-1');
    expect(section('curves')).toContain('Heard live');
    expect(find('[role="log"]').textContent).toBe('epoch 4\n');
  });

  it('draws longer curves and more output as they come', async () => {
    await open('running');
    server.log.running = { log: '4\nepoch 5\n', offset: 6, complete: false };
    await change('running', {
      updated_at: '2026-11-21T10:00:06Z',
      metrics: { loss: 0.25, epoch: 5 }
    });
    const chart = find('[data-aiq-chart="loss"] svg');
    expect(chart.getAttribute('aria-label')).toMatch(/from 0.5 to 0.25/);
    await draw(3000);
    expect(find('[role="log"]').textContent).toBe('epoch 4\nepoch 5\n');
  });

  it('asks for little when only numbers have changed', async () => {
    await open('running');
    server.taken();
    await change('running', { updated_at: '2026-11-21T10:00:06Z' });
    expect(server.taken()).toEqual(['jobs/running']);
    await change('running', { state: 'succeeded' });
    expect(server.taken()).toContain('jobs/running/history');
  });

  it('asks nothing while it cannot be seen, and catches up afterwards', async () => {
    await open('running');
    view.hide();
    server.taken();
    await change('running', { state: 'succeeded' });
    await draw(60_000);
    expect(server.taken()).toEqual([]);
    view.show();
    await draw();
    expect(find('[role="status"]').textContent).toBe('succeeded');
  });

  it('asks nothing more when the job is over and its output is here', async () => {
    server.log.over = { log: 'oh no', offset: 0, complete: true };
    await open('over');
    expect(find('[role="log"]').textContent).toBe('oh no');
    server.taken();
    await draw(120_000);
    expect(server.taken()).toEqual([]);
  });

  it('backs off while the server fails, and says that it is out of date', async () => {
    await open('running');
    server.failures.set('jobs/running', [500, { message: 'No disk.' }]);
    await draw(25_000);
    expect(find('[data-aiq-banner="job"]').textContent).toContain('No disk.');
    server.taken();
    await draw(60_000);
    expect(server.taken().length).toBeLessThan(16);
    server.failures.clear();
    await draw(60_000);
    expect(view.node.querySelector('[data-aiq-banner="job"]')).toBeNull();
  });

  it('cancels after a question', async () => {
    await open('running');
    isConfirmed = false;
    server.taken();
    await act('cancel');
    expect(server.taken()).not.toContain('POST jobs/running/cancel');
    isConfirmed = true;
    await act('cancel');
    expect(server.taken()).toContain('POST jobs/running/cancel');
    expect(find('[role="status"]').textContent).toBe('cancelling');
  });

  it('tells what a held job waits for, and releases it', async () => {
    server.jobs.push(job('later', { state: 'held', hold: 'depth < 5' }));
    await open('later');
    expect(find('.jp-AIQueueJob-prospect').textContent).toBe(
      'waits for depth < 5'
    );
    await act('release');
    expect(server.taken()).toContain('POST jobs/later/release');
    expect(find('[role="status"]').textContent).toBe('queued');
  });

  it('tells what is expected of a job in line, while somebody looks', async () => {
    server.jobs.push(job('next', { state: 'queued' }));
    server.forecasts.next = { forecast: null, missing: 'Nobody collects.' };
    await open('next');
    expect(find('.jp-AIQueueJob-prospect').textContent).toBe(
      'Nobody collects.'
    );
    server.taken();
    view.hide();
    await draw(30_000);
    expect(server.taken()).toEqual([]);
  });

  it('retries, and opens the new job', async () => {
    await open('over');
    await act('retry');
    expect(opened).toEqual(['over-again']);
  });

  it('submits again with what was changed, and nothing else', async () => {
    await open('over');
    await act('change');
    await type(find('form input[name="epochs"]'), '20');
    await type(find('form [placeholder="further name"]'), 'lr');
    await type(find('form [placeholder="value"]'), '1e-3');
    find('form button[type="submit"]').click();
    await draw();
    const sent = server.requests.find(({ method }) => method === 'POST');
    expect(sent?.path).toBe('jobs/over/retry');
    expect(sent?.body).toEqual({ written: { epochs: '20', lr: '1e-3' } });
    expect(opened).toEqual(['over-again']);
    expect(view.node.querySelector('form')).toBeNull();
  });

  it('keeps the form open when the server refuses', async () => {
    await open('over');
    await act('change');
    server.failures.set('jobs/over/retry', [
      503,
      { message: 'The broker is away.', reason: 'broker-unreachable' }
    ]);
    find('form button[type="submit"]').click();
    await draw();
    expect(find('form [role="alert"]').textContent).toBe('The broker is away.');
    expect(opened).toEqual([]);
  });

  it('copies the id and leads to the notebook', async () => {
    await open('running');
    await act('copy');
    expect(copied).toEqual(['running']);
    find('[data-aiq-section="context"] .jp-AIQueue-link').click();
    expect(opened).toEqual(['experiments/digits.ipynb']);
  });

  it('inserts a cell only where there is a notebook', async () => {
    await open('running');
    expect(view.node.querySelector('[data-aiq-action="insert"]')).toBeNull();
    view.dispose();
    const insert = jest.fn();
    inserted = insert;
    await open('running');
    await act('insert');
    expect(insert).toHaveBeenCalledWith('running');
  });

  it('says so when nobody knows the job', async () => {
    await open('gone');
    expect(find('[data-aiq-empty="unknown-job"]').textContent).toContain(
      'gone'
    );
  });

  it('says so when the server part is missing', async () => {
    server.failures.set('', [404, '<html>Not Found</html>']);
    await open('running');
    expect(find('[data-aiq-empty="no-extension"]').textContent).toContain(
      '.jobs.jsonl'
    );
  });

  it('reads the ledger when the server part is missing', async () => {
    server.failures.set('', [404, '<html>Not Found</html>']);
    files.mockImplementation(serveExample);
    await open('01a', LEDGER);
    expect(find('[role="status"]').textContent).toBe('succeeded');
    expect(find('[data-aiq-banner="ledger"]').textContent).toContain(LEDGER);
    expect(find('[data-aiq-chart="loss"] svg')).toBeTruthy();
    expect(find('[role="log"]').textContent).toBe('done\n');
    expect(view.node.querySelector('[data-aiq-action="retry"]')).toBeNull();
    server.taken();
    await draw(60_000);
    expect(server.taken()).toEqual([]);
  });

  it('waits with differences that only the end of an attempt tells', async () => {
    server.history.running = {
      ...server.history.running,
      events: [
        ...server.history.running.events,
        {
          event: 'retrying',
          timestamp: '2026-11-21T10:00:05Z',
          attempt: 1,
          worker: 'gpu-1',
          result: { exit_code: 1, host: 'gpu-1' }
        },
        {
          event: 'started',
          timestamp: '2026-11-21T10:00:08Z',
          attempt: 2,
          worker: 'gpu-2'
        }
      ]
    };
    await open('running');
    const heads = [
      ...view.node.querySelectorAll('[data-aiq-section="attempts"] tbody th')
    ];
    expect(heads.map(head => head.textContent)).toEqual(['end', 'worker']);
  });

  it('tells what differed between attempts', async () => {
    server.failures.set('', [404, '<html>Not Found</html>']);
    files.mockImplementation(serveExample);
    await open('01b', LEDGER);
    const rows = [
      ...view.node.querySelectorAll('[data-aiq-section="attempts"] tr')
    ].map(row => [...row.children].map(cell => cell.textContent));
    expect(rows).toContainEqual(['worker', 'w1', 'w2']);
    expect(rows).toContainEqual(['exit code', '1', '—']);
  });
});

it('writes values so that they are read back as they were', () => {
  expect(
    written({
      task_id: 'x',
      epochs: 10,
      lr: 1e-7,
      model: 'resnet50',
      tag: '7',
      flag: true,
      word: 'True',
      none: null,
      empty: '',
      layers: [64, 32],
      bracket: '[x',
      path: '/data/*.csv'
    })
  ).toEqual({
    epochs: '10',
    lr: '1e-7',
    model: 'resnet50',
    tag: '"7"',
    flag: 'true',
    word: '"True"',
    none: 'null',
    empty: '""',
    layers: '[64,32]',
    bracket: '"[x"',
    path: '/data/*.csv'
  });
});
