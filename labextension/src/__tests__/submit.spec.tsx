import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { ISubmitted } from '../api';
import { QueueAPI } from '../api';
import type { Field } from '../submit/checks';
import { check } from '../submit/checks';
import type { IDraft } from '../submit/draft';
import { draftOf, secondsOf, submissionOf } from '../submit/draft';
import { SubmitModel } from '../submit/model';
import { SubmitView } from '../submit/widget';
import { FakeServer } from './fakeServer';
import { group, job, load } from './records';
import { pass, settle, stopTime } from './timeline';

const NOTEBOOK = 'experiments/digits.ipynb';
const trans = nullTranslator.load('jupyter_aiqueue');

describe('check', () => {
  function wrong(changes: Partial<IDraft>): Field[] {
    const draft = { ...draftOf(null, 'train'), ...changes };
    return [...check(draft, ['train', 'infer'], trans).keys()];
  }

  it('finds nothing wrong with what may be sent', () => {
    expect(wrong({})).toEqual([]);
    expect(
      wrong({
        group: ' infer ',
        retries: '',
        timeout: '1h30m',
        when: 'wait <= 10m and depth<5 and after 22:00',
        by: '2026-12-01 08:00',
        expire: true
      })
    ).toEqual([]);
  });

  it.each<[Field, Partial<IDraft>]>([
    ['group', { group: '' }],
    ['group', { group: 'a b' }],
    ['group', { group: 'nobody' }],
    ['retries', { retries: '-1' }],
    ['retries', { retries: '1.5' }],
    ['retries', { retries: '1000' }],
    ['timeout', { timeout: '0' }],
    ['timeout', { timeout: 'soon' }],
    ['timeout', { timeout: '2 h' }],
    ['when', { when: 'soon' }],
    ['when', { when: 'wait < 10' }],
    ['when', { when: 'depth < 5m' }],
    ['when', { when: 'after 25:00' }],
    ['by', { by: '08:00' }],
    ['by', { when: 'depth < 5', by: 'tomorrow' }],
    ['expire', { when: 'depth < 5', expire: true }],
    ['row-0', { rows: [{ id: 0, key: '', value: '1' }] }],
    ['row-0', { rows: [{ id: 0, key: 'task_id', value: '1' }] }],
    [
      'row-7',
      {
        rows: [
          { id: 3, key: 'lr', value: '1' },
          { id: 7, key: ' lr ', value: '2' }
        ]
      }
    ]
  ])('says that %s is wrong in %j', (field, changes) => {
    expect(wrong(changes)).toEqual([field]);
  });

  it('does not judge groups that it does not know', () => {
    const draft = draftOf(null, 'somewhere');
    expect(check(draft, [], trans).size).toBe(0);
  });
});

describe('a draft', () => {
  it('is a job as it was', () => {
    const old = job('a', {
      config: { lr: 0.1, note: '10', task_id: 'a' },
      max_attempts: 1,
      name: 'wide',
      priority: 'low',
      timeout: 5400
    });

    const draft = draftOf(old, 'train');

    expect(draft.timeout).toBe('90m');
    expect(submissionOf(draft, NOTEBOOK)).toEqual({
      task: 'train_model',
      written: { lr: '0.1', note: '"10"' },
      group: 'train',
      priority: 'low',
      retries: 0,
      timeout: 5400,
      name: 'wide',
      when: null,
      by: null,
      expire: false,
      notebook: NOTEBOOK
    });
  });

  it('reads times as the command line does', () => {
    expect(['90', '30m', '1h30m', '1.5d'].map(secondsOf)).toEqual([
      90, 1800, 5400, 129600
    ]);
    expect(secondsOf('m')).toBeNaN();
  });
});

describe('SubmitView', () => {
  let server: FakeServer;
  let view: SubmitView;
  let model: SubmitModel;
  let done: ISubmitted[];
  let closed: number;

  async function draw(): Promise<void> {
    await pass(100);
    MessageLoop.flush();
    await settle();
  }

  async function open(id: string | null = null): Promise<void> {
    model = new SubmitModel({
      api: new QueueAPI(server.settings),
      job: id,
      load: () => null,
      notebook: () => NOTEBOOK
    });
    view = new SubmitView({
      model,
      onClose: () => (closed += 1),
      onDone: submitted => done.push(submitted),
      trans
    });
    Widget.attach(view, document.body);
    await draw();
    await draw();
  }

  function input(label: string): HTMLInputElement {
    const found = [...view.node.querySelectorAll('label')].find(
      one => one.textContent === label
    );
    const node = found
      ? document.getElementById(found.htmlFor)
      : view.node.querySelector(`[aria-label="${label}"]`);
    if (!(node instanceof HTMLInputElement)) {
      throw new Error(`There is no field ${label}`);
    }
    return node;
  }

  async function type(label: string, text: string): Promise<void> {
    const node = input(label);
    Object.getOwnPropertyDescriptor(
      HTMLInputElement.prototype,
      'value'
    )?.set?.call(node, text);
    node.dispatchEvent(new Event('input', { bubbles: true }));
    await draw();
  }

  async function press(label: string): Promise<void> {
    const found = [...view.node.querySelectorAll('button')].find(
      one => (one.getAttribute('aria-label') ?? one.textContent) === label
    );
    if (found === undefined) {
      throw new Error(`There is no button ${label}`);
    }
    found.click();
    await draw();
  }

  function problem(name: string): string | null | undefined {
    return view.node.querySelector(`[data-aiq-field="${name}"] [role="status"]`)
      ?.textContent;
  }

  function banner(name: string): Element | null {
    return view.node.querySelector(`[data-aiq-banner="${name}"]`);
  }

  beforeEach(() => {
    stopTime('2026-11-21T10:01:00Z');
    server = new FakeServer();
    server.install();
    server.load = load({
      groups: [
        group('train', {
          worker_list: [
            {
              worker: 'w',
              state: 'running',
              slots: 1,
              running: [],
              tasks: ['train_model', 'eval']
            }
          ]
        }),
        group('mail', { queue: 'mail' })
      ]
    });
    done = [];
    closed = 0;
    // Nothing is laid out here.
    Element.prototype.scrollIntoView = jest.fn();
  });

  afterEach(() => {
    view.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('is made from the newest job, and knows tasks and groups', async () => {
    server.jobs = [job('new', { config: { lr: 0.5 } }), job('old')];

    await open();

    expect(server.taken().sort()).toEqual([
      'jobs?notebook=experiments%2Fdigits.ipynb&limit=1&offset=0',
      'load'
    ]);
    expect(input('Task').value).toBe('train_model');
    expect(input('Value of lr').value).toBe('0.5');
    expect(view.node.textContent).toContain('There are: train');
    expect(view.node.textContent).not.toContain('mail');
    expect(view.node.textContent).toContain('eval, train_model');
  });

  it('can be made from any job', async () => {
    server.jobs = [job('new'), job('old', { config: { seed: 3 } })];
    await open('old');
    expect(input('Value of seed').value).toBe('3');
  });

  it('opens empty for a first job, also where nobody answers', async () => {
    server.failures.set('', [503, { message: 'Away.', reason: 'no-broker' }]);
    await open();
    expect(input('Group').value).toBe('train');
    expect(banner('submit')?.textContent).toContain('Away.');
  });

  it('says that the server has no such extension', async () => {
    server.failures.set('', [404, 'Not Found']);
    await open();
    expect(
      view.node.querySelector('[data-aiq-empty="no-extension"]')
    ).not.toBeNull();
  });

  it('sends what was typed, once', async () => {
    server.jobs = [job('a', { config: { lr: 0.5, epochs: 3 } })];
    await open();
    await type('Value of lr', '1e-3');
    await type('Name', 'narrow');
    await press('Remove epochs');
    server.taken();

    await press('Submit');

    expect(server.requests.map(({ path }) => path)).toEqual(['jobs']);
    expect(server.requests[0].body).toMatchObject({
      again: false,
      name: 'narrow',
      notebook: NOTEBOOK,
      written: { lr: '1e-3' }
    });
    expect(done.map(({ job }) => job.job_id)).toEqual(['fresh']);
  });

  it('asks nothing while something is wrong, and says what', async () => {
    await open();
    await type('Retries', 'many');
    expect(problem('retries')).toBe('');
    server.taken();

    await press('Submit');

    expect(server.taken()).toEqual([]);
    expect(problem('retries')).toContain('0 to 999');
    expect(input('Retries').getAttribute('aria-invalid')).toBe('true');
    await type('Retries', '1');
    expect(problem('retries')).toBe('');
  });

  it('puts a refusal at its field, and keeps what was typed', async () => {
    await open();
    await type('Hold it until', 'after 22:00');
    server.failures.set('jobs', [
      400,
      { message: 'The time has passed.', reason: 'bad-condition' }
    ]);

    await press('Submit');

    expect(problem('when')).toBe('The time has passed.');
    expect(input('Hold it until').value).toBe('after 22:00');
    expect(banner('submit')).toBeNull();
    expect(done).toEqual([]);
  });

  it('keeps everything when the broker is away', async () => {
    await open();
    await type('Name', 'kept');
    server.failures.set('jobs', [
      503,
      { message: 'The broker is away.', reason: 'broker-unreachable' }
    ]);

    await press('Submit');

    expect(banner('submit')?.textContent).toContain('The broker is away.');
    expect(input('Name').value).toBe('kept');
    server.failures.clear();
    await press('Submit');
    expect(done).toHaveLength(1);
  });

  it('says what would happen, of what is in the form now only', async () => {
    server.rehearsal = {
      ...server.rehearsal,
      sentences: ['Nothing was sent.', 'It starts at once.']
    };
    await open();
    await press('What would happen');
    const outlook = (): Element | null =>
      view.node.querySelector('[data-aiq-section="rehearsal"]');
    expect(outlook()?.textContent).toContain('It starts at once.');
    expect(done).toEqual([]);
    await type('Name', 'other');
    expect(outlook()).toBeNull();
  });

  it('submits again what has succeeded only when that is said', async () => {
    await open();
    server.failures.set('jobs', [
      409,
      { message: 'Job x did exactly this.', reason: 'already-succeeded' }
    ]);
    await press('Submit');
    expect(banner('repeated')?.textContent).toContain('Job x did exactly this');
    expect(done).toEqual([]);
    server.failures.clear();
    server.taken();

    await press('Submit again');

    expect(done).toHaveLength(1);
  });

  it('does not offer to repeat something else than what was refused', async () => {
    await open();
    server.failures.set('jobs', [
      409,
      { message: 'Job x did exactly this.', reason: 'already-succeeded' }
    ]);
    await press('Submit');
    await type('Name', 'other');
    expect(banner('repeated')).toBeNull();
    expect(closed).toBe(0);
    await press('Close');
    expect(closed).toBe(1);
  });
});
