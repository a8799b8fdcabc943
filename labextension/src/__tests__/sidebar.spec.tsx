import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { QueueAPI } from '../api';
import { CommandIDs } from '../commands';
import { QueueModel } from '../model';
import { QueueSidebar } from '../widgets/sidebar';
import { FakeServer } from './fakeServer';
import {
  expected,
  forecast,
  group,
  job,
  load,
  measured,
  UNKNOWN
} from './records';
import { Sight } from './sight';
import { pass, settle, stopTime } from './timeline';

const NOW = '2026-11-21T10:00:00Z';
const NOTEBOOK = 'experiments/digits.ipynb';

describe('QueueSidebar', () => {
  let server: FakeServer;
  let sight: Sight;
  let model: QueueModel;
  let sidebar: QueueSidebar;
  let executed: [string, unknown][];

  /** Show the sidebar and wait until it shows the first answers. */
  async function open(): Promise<void> {
    Widget.attach(sidebar, document.body);
    await draw();
  }

  async function draw(milliseconds = 100): Promise<void> {
    await pass(milliseconds);
    MessageLoop.flush();
    await settle();
  }

  function find(selector: string): HTMLElement {
    const node = sidebar.node.querySelector<HTMLElement>(selector);
    if (node === null) {
      throw new Error(`No ${selector} in ${sidebar.node.innerHTML}`);
    }
    return node;
  }

  function text(selector: string): string {
    return find(selector).textContent ?? '';
  }

  function all(selector: string): HTMLElement[] {
    return [...sidebar.node.querySelectorAll<HTMLElement>(selector)];
  }

  async function click(selector: string): Promise<void> {
    find(selector).click();
    await draw();
  }

  beforeEach(() => {
    stopTime(NOW);
    sight = new Sight();
    server = new FakeServer();
    server.install();
    model = new QueueModel({
      api: new QueueAPI(server.settings),
      events: new Signal<unknown, Event.Emission>({})
    });
    model.jobs.notebook = NOTEBOOK;
    executed = [];
    const commands = new CommandRegistry();
    for (const id of Object.values(CommandIDs)) {
      commands.addCommand(id, {
        describedBy: { args: { type: 'object', properties: {} } },
        execute: args => {
          executed.push([id, args.job]);
        }
      });
    }
    sidebar = new QueueSidebar({
      commands,
      model,
      trans: nullTranslator.load('jupyter_aiqueue')
    });
  });

  afterEach(() => {
    sidebar.dispose();
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('is a region with a name', () => {
    expect(sidebar.node.getAttribute('role')).toBe('region');
    expect(sidebar.node.getAttribute('aria-label')).toBe('Experiment queue');
  });

  it('tells the model whether it can be seen', async () => {
    await open();
    expect(server.taken().length).toBeGreaterThan(0);
    sidebar.hide();
    await pass(30_000);
    expect(server.taken()).toEqual([]);
    sidebar.show();
    await pass(100);
    expect(server.taken()).toContain('load');
  });

  describe('load', () => {
    it('shows what waits, runs and works in each group', async () => {
      await open();
      const train = '[data-aiq-group="train"]';
      expect(text(`${train} [data-aiq-number="waiting"]`)).toBe('3');
      expect(text(`${train} [data-aiq-number="running"]`)).toBe('2 / 4');
      expect(text(`${train} [data-aiq-number="workers"]`)).toBe('2');
      expect(find(`${train} [data-aiq-number="waiting"]`).title).toBe(
        'high: 1\nnormal: 2\nlow: 0\nfrom passive declare, 0 s old'
      );
      expect(text('[data-aiq-broker="up"]')).toBe(
        '127.0.0.1:5672/aiqueue3.10.8up'
      );
    });

    it('says what it does not know, and never 0 for it', async () => {
      server.load = load({
        groups: [group('train', { running: UNKNOWN, workers: UNKNOWN })]
      });
      await open();
      const running = find('[data-aiq-number="running"] [role="img"]');
      expect(running.textContent).toBe('—');
      expect(running.title).toBe('unknown');
      expect(text('[aria-live="polite"]')).toBe(
        'train: 3 waiting, unknown of 4 running.'
      );
    });

    it('shows how old the numbers are while time passes', async () => {
      await open();
      expect(text('.jp-AIQueue-load .jp-AIQueue-age')).toBe('as of 0 s ago');
      server.failures.set('load', [0, '']);
      await draw(3_000);
      expect(text('.jp-AIQueue-load .jp-AIQueue-age')).toBe('as of 3 s ago');
    });

    it('draws the last minutes, with gaps where nothing is known', async () => {
      const at = (minute: number) => `2026-11-21T09:5${minute}:00Z`;
      server.load = load({
        history: {
          train: [
            { timestamp: at(0), waiting: 0, running: 1 },
            { timestamp: at(2), waiting: 4, running: 1 },
            { timestamp: at(4), waiting: null, running: 1 },
            { timestamp: at(6), waiting: 2, running: 1 },
            { timestamp: at(8), waiting: 1, running: 1 }
          ]
        }
      });
      await open();
      const line = find('.jp-AIQueue-sparkWaiting').getAttribute('d') ?? '';
      expect(line.match(/M/g)).toHaveLength(2);
      expect(line.match(/L/g)).toHaveLength(2);
      expect(
        find('.jp-AIQueue-sparkline').getAttribute('aria-label')
      ).toContain('at most 4 waiting');
    });

    it('draws what was watched for less than that over the whole width', async () => {
      const at = (second: number) => `2026-11-21T09:59:${second}Z`;
      server.load = load({
        timestamp: NOW,
        history: {
          train: [
            { timestamp: at(20), waiting: 0, running: 1 },
            { timestamp: at(40), waiting: 1, running: 1 }
          ]
        }
      });
      await open();
      const line = find('.jp-AIQueue-sparkWaiting').getAttribute('d') ?? '';
      expect(line).toMatch(/^M0\.0 .*L32\.0 /);
      expect(
        find('.jp-AIQueue-sparkline').getAttribute('aria-label')
      ).toContain('Last 1 min:');
    });

    it('opens a group to show priorities and workers', async () => {
      server.load = load({
        groups: [
          group('train', {
            dead: measured(1),
            arrival_rate: measured(0.04),
            worker_list: [
              {
                worker: 'gpu-1',
                state: 'draining',
                slots: 2,
                running: [{ job_id: 'one', group: 'train', name: 'baseline' }]
              }
            ]
          })
        ]
      });
      await open();
      await click('[data-aiq-group="train"] th button');
      expect(text('.jp-AIQueue-groupDetails dl')).toBe(
        'high1normal2low0retrying0held0dead1arriving2.4/min'
      );
      expect(text('[data-aiq-worker="gpu-1"]')).toBe(
        'gpu-11 / 2drainingbaseline'
      );
    });

    it('says when a job would start, and how far that can be trusted', async () => {
      server.load = load({
        groups: [
          group('train', {
            start: expected(),
            oldest: measured(850, 'events'),
            retrying: measured(1, 'events'),
            held: measured(2, 'events')
          }),
          group('infer', {
            start: expected({ low: 0, high: 3, at_once: true, of: 0 })
          }),
          group('preprocess', {
            start: expected({
              low: null,
              high: null,
              missing: 'no history yet'
            })
          }),
          group('other')
        ]
      });
      await open();
      const start = (name: string) =>
        find(`[data-aiq-group="${name}"] [data-aiq-number="start"]`);
      expect(text('[data-aiq-group="train"] .jp-AIQueue-outlook')).toBe(
        'starts in 12–25 minoldest waits 14 min1 retrying2 held'
      );
      expect(start('train').title).toBe(
        'Start of a job of normal priority, submitted now: 80 % range; 33 of the last 40 landed inside'
      );
      expect(start('infer').textContent).toBe('starts at once');
      expect(start('infer').title).toContain('not tried yet');
      expect(start('preprocess').textContent).toBe('start unknown');
      expect(start('preprocess').title).toBe('no history yet');
      expect(start('other').textContent).toBe('start unknown');
      expect(start('other').title).toContain('No worker tells');
      await click('[data-aiq-group="train"] th button');
      expect(text('.jp-AIQueue-basis')).toBe(start('train').title);
    });

    it('shows a lost worker and its job as lost', async () => {
      const run = {
        job_id: 'one',
        group: 'train',
        name: 'baseline',
        user: 'ada',
        progress: 0.429
      };
      const worker = { slots: 1, running: [run] };
      server.load = load({
        groups: [
          group('train', {
            worker_list: [
              { worker: 'gpu-1', state: 'active', ...worker },
              { worker: 'gpu-2', state: 'lost', age_s: 65, ...worker }
            ]
          })
        ]
      });
      await open();
      expect(text('[data-aiq-number="lost"]')).toBe('1 worker lost');
      await click('[data-aiq-group="train"] .jp-AIQueue-outlook');
      expect(text('[data-aiq-worker="gpu-1"]')).toBe(
        'gpu-11 / 1activebaselineada42 %'
      );
      expect(text('[data-aiq-worker="gpu-2"]')).toBe(
        'gpu-21 / 1lost 1 minbaselineadalost42 %'
      );
    });

    it('shows rates over a minute, ten minutes and an hour', async () => {
      const rate = (value: number) => measured(value / 60, 'events');
      server.load = load({
        groups: [
          group('train', {
            submitted_rates: { 60: rate(3), 600: rate(2), 3600: UNKNOWN },
            ended_rates: { 60: UNKNOWN, 600: UNKNOWN, 3600: UNKNOWN }
          })
        ]
      });
      await open();
      await click('[data-aiq-group="train"] th button');
      expect(text('.jp-AIQueue-groupDetails dl')).toContain(
        'submitted3 · 2 · —/min'
      );
      expect(text('.jp-AIQueue-groupDetails dl')).not.toContain('ended');
    });

    it('shows alarms and notes', async () => {
      const { broker } = load();
      server.load = load({
        broker: { ...broker, alarms: 'memory' },
        notes: ['The management API is off: `rabbitmq-plugins enable` it.']
      });
      await open();
      expect(text('[data-aiq-banner="alarms"]')).toContain('memory');
      expect(text('[data-aiq-banner="note"] code')).toBe(
        'rabbitmq-plugins enable'
      );
    });
  });

  describe('when something is missing', () => {
    it('says how to enable the server extension', async () => {
      server.failures.set('', [404, 'not found']);
      await open();
      expect(text('[data-aiq-empty="no-extension"]')).toContain(
        'jupyter server extension enable jupyter_aiqueue'
      );
      expect(all('.jp-AIQueue-section')).toEqual([]);
    });

    it("shows the broker's trouble, and still the recorded jobs", async () => {
      const message = 'Nothing answers at amqp://127.0.0.1:5672/aiqueue.';
      const { broker } = load();
      server.load = load({
        broker: { ...broker, state: 'down', version: null, message },
        groups: []
      });
      server.jobs = [job('one')];
      await open();
      expect(text('[data-aiq-banner="broker-down"]')).toContain(message);
      expect(text('[data-aiq-broker="down"]')).toContain('down');
      expect(all('[data-aiq-job]')).toHaveLength(1);
    });

    it('shows why the server cannot use a broker', async () => {
      const message = 'No broker: start one with `jupyter aiqueue up`.';
      server.failures.set('load', [503, { message, reason: 'no-broker' }]);
      await open();
      expect(text('[data-aiq-banner="broker"]')).toContain('No broker');
      expect(text('[data-aiq-banner="broker"] code')).toBe(
        'jupyter aiqueue up'
      );
    });

    it('says how to submit a first job', async () => {
      await open();
      expect(text('[data-aiq-empty="no-jobs"]')).toContain('%submit_train');
    });

    it('offers all notebooks when none is open', async () => {
      server.jobs = [job('one')];
      model.jobs.notebook = null;
      await open();
      await click('[data-aiq-empty="no-notebook"] button');
      expect(all('[data-aiq-job]')).toHaveLength(1);
    });

    it('says when page and server are of different versions', async () => {
      server.load = load({ version: '99.0.0' });
      await open();
      expect(text('[data-aiq-banner="version"]')).toContain('99.0.0');
    });
  });

  describe('jobs', () => {
    it('shows state, progress and metrics of a running job', async () => {
      server.jobs = [
        job('01k9h3q7f2v8d6m4yzab3c821f', {
          name: 'baseline',
          state: 'running',
          started_at: '2026-11-21T09:58:00Z',
          progress: 0.623,
          metrics: { epoch: 6, accuracy: 0.93, loss: 0.412345 }
        })
      ];
      await open();
      const row = find('[data-aiq-job="01k9h3q7f2v8d6m4yzab3c821f"]');
      expect(row.dataset.aiqState).toBe('running');
      expect(row.textContent).toBe(
        'baselineab3c821f2 minrunning62 %loss 0.4123 · accuracy 0.93'
      );
      const bar = find('[role="progressbar"]');
      expect(bar.getAttribute('aria-valuenow')).toBe('62');
    });

    it('tells a job that has reported nothing by its parameters', async () => {
      const config = { task_id: 'a', model_type: 'mlp', epochs: 10, lr: 0.1 };
      server.jobs = [job('a', { config })];
      await open();
      expect(text('.jp-AIQueue-brief')).toBe('model_type mlp · epochs 10');
    });

    it('shows place and range of waiting jobs that can be seen', async () => {
      const plain = job('d');
      server.jobs = [job('a'), job('b'), job('c', { state: 'running' }), plain];
      server.forecasts.a = { forecast: forecast(), missing: null };
      server.forecasts.d = {
        forecast: forecast({
          start: expected({ low: null, high: null, missing: 'no history yet' })
        }),
        missing: null
      };
      await open();
      sight.show('a', 'b', 'c', 'd');
      await draw(300);
      const line = (id: string) =>
        find(`[data-aiq-job="${id}"] .jp-AIQueue-expected`);
      expect(line('a').textContent).toBe('no. 4 in line, in 12–25 min');
      expect(line('a').title).toBe(forecast().sentences.join('\n'));
      expect(line('b').textContent).toBe('start unknown');
      expect(line('b').title).toBe('No worker is connected.');
      expect(line('d').textContent).toBe('no. 4 in line, no history yet');
      expect(all('[data-aiq-job="c"] .jp-AIQueue-expected')).toEqual([]);
      await click('[data-aiq-job="a"] .jp-AIQueue-jobToggle');
      expect(text('.jp-AIQueue-details')).toContain(
        `forecast${forecast().sentences.join('')}`
      );
    });

    it('shows what held jobs wait for, and offers to release them', async () => {
      const hold = 'wait < 10m, in any case by 08:00';
      server.jobs = [job('a', { name: 'alpha', state: 'held', hold })];
      await open();
      expect(text('.jp-AIQueue-brief')).toBe(`waits for ${hold}`);
      expect(find('.jp-AIQueue-release').getAttribute('aria-label')).toBe(
        'Release alpha now'
      );
      await click('.jp-AIQueue-release');
      expect(executed).toEqual([[CommandIDs.release, 'a']]);
      await click('[data-aiq-job="a"] .jp-AIQueue-jobToggle');
      expect(text('.jp-AIQueue-details')).toContain(`waits for${hold}`);
      void model.jobs.release('a');
      await draw();
      expect(all('.jp-AIQueue-release')).toEqual([]);
    });

    it('tells states by shape and word, not by colour alone', async () => {
      const states = [
        'held',
        'queued',
        'running',
        'retrying',
        'succeeded',
        'failed',
        'cancelled',
        'dead'
      ] as const;
      server.jobs = states.map((state, i) => job(`job-${9 - i}`, { state }));
      await open();
      const shapes = all('.jp-AIQueue-stateIcon').map(icon => icon.innerHTML);
      expect(new Set(shapes).size).toBe(states.length);
      expect(all('.jp-AIQueue-state').map(word => word.textContent)).toEqual([
        ...states
      ]);
    });

    it('offers to cancel what is not over, and to retry what is', async () => {
      server.jobs = [
        job('a', { name: 'alpha', state: 'queued' }),
        job('b', { name: 'beta', state: 'failed', reason: 'exit code 1' }),
        job('c', { state: 'running', cancelling: true })
      ];
      await open();
      expect(text('[data-aiq-job="c"] .jp-AIQueue-state')).toBe('cancelling');
      expect(all('[data-aiq-job="c"] .jp-AIQueue-iconButton')).toEqual([]);
      expect(
        find('[data-aiq-job="a"] .jp-AIQueue-cancel').getAttribute('aria-label')
      ).toBe('Cancel alpha');
      await click('[data-aiq-job="a"] .jp-AIQueue-cancel');
      await click('[data-aiq-job="b"] .jp-AIQueue-retry');
      expect(executed).toEqual([
        [CommandIDs.cancel, 'a'],
        [CommandIDs.retry, 'b']
      ]);
      // The buttons do not open the row that they stand on.
      expect(all('.jp-AIQueue-details')).toEqual([]);
    });

    it('shows why a cancel was refused', async () => {
      server.jobs = [job('a')];
      server.failures.set('jobs/a/cancel', [409, { message: 'It is over.' }]);
      await open();
      void model.jobs.cancel('a');
      await draw();
      expect(text('[role="alert"]')).toBe('It is over.');
    });

    it('opens to show everything known of a job, and closes', async () => {
      server.jobs = [
        job('a', {
          state: 'failed',
          attempt: 2,
          max_attempts: 3,
          worker: 'gpu-1',
          reason: 'FileNotFoundError',
          duplicates: 1,
          result: {
            exit_code: 0,
            duration_s: 192.4,
            peak_memory_bytes: 1_843_200_000
          }
        })
      ];
      server.log.a = { log: 'epoch 1\nepoch 2', offset: 0, complete: true };
      await open();
      await click('[data-aiq-job="a"] .jp-AIQueue-jobToggle');
      await draw();
      const details = text('.jp-AIQueue-details');
      for (const fact of [
        'reasonFileNotFoundError',
        'attempt2 of 3',
        'workergpu-1',
        'ran again1 more time; the first end counts',
        'model_typeresnet50',
        'exit code0',
        'duration3 min 12 s',
        'peak memory1.7 GiB'
      ]) {
        expect(details).toContain(fact);
      }
      expect(text('.jp-AIQueue-log')).toBe('epoch 1\nepoch 2');
      await click('[data-aiq-job="a"] .jp-AIQueue-jobSummary');
      expect(all('.jp-AIQueue-details')).toEqual([]);
    });

    it('shows the recorded tail while the log cannot be asked', async () => {
      server.jobs = [job('a', { state: 'dead', log_tail: 'Segmentation' })];
      server.failures.set('jobs/a/log', [503, { message: 'Broker away.' }]);
      await open();
      await click('[data-aiq-job="a"] .jp-AIQueue-jobToggle');
      await draw();
      expect(text('.jp-AIQueue-log')).toBe('Segmentation');
      expect(text('.jp-AIQueue-details [role="alert"]')).toBe('Broker away.');
    });

    it('changes to all notebooks and says where jobs came from', async () => {
      server.jobs = [job('a'), job('b', { path: 'more/compare.ipynb' })];
      await open();
      expect(all('[data-aiq-job]')).toHaveLength(1);
      await click('[data-aiq-scope="all"]');
      await draw();
      expect(all('.jp-AIQueue-notebook').map(node => node.textContent)).toEqual(
        ['compare', 'digits']
      );
      expect(find('[data-aiq-scope="all"]').getAttribute('aria-pressed')).toBe(
        'true'
      );
    });

    it('shows what keeps jobs from being recorded', async () => {
      server.jobs = [job('a')];
      server.troubles = ['The ledger cannot be written: read-only folder.'];
      await open();
      expect(text('[data-aiq-banner="trouble"]')).toContain('read-only');
    });
  });

  it('folds a section away', async () => {
    await open();
    await click('#jp-AIQueue-load-title');
    expect(find('#jp-AIQueue-load').hidden).toBe(true);
    expect(find('#jp-AIQueue-load-title').getAttribute('aria-expanded')).toBe(
      'false'
    );
  });
});
