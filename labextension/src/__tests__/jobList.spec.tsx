import type { Event } from '@jupyterlab/services';
import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { QueueAPI } from '../api';
import { RowHeights } from '../jobList/heights';
import { JobList } from '../jobList/model';
import { restoreSidebar } from '../jobList/restore';
import { JobTable } from '../jobTable';
import { QueueModel } from '../model';
import { QueueSidebar } from '../widgets/sidebar';
import { FakeServer } from './fakeServer';
import { job } from './records';
import { Sight } from './sight';
import { pass, settle, stopTime } from './timeline';

const NOW = '2026-11-21T10:00:00Z';
const NOTEBOOK = 'experiments/digits.ipynb';

const at = (minute: number) => `2026-11-21T09:${minute}:00Z`;

describe('JobList', () => {
  let table: JobTable;
  let list: JobList;

  const ids = () => list.rows.map(row => row.job_id).join('');

  beforeEach(() => {
    table = new JobTable();
    table.replace([
      job('a', {
        submitted_at: at(10),
        updated_at: at(40),
        name: 'run 10',
        state: 'failed',
        worker: 'gpu-1'
      }),
      job('b', {
        submitted_at: at(11),
        updated_at: at(20),
        name: 'run 9',
        state: 'running',
        config: { lr: 0.1, model: 'SVM' }
      }),
      job('c', {
        submitted_at: at(12),
        updated_at: at(30),
        task: 'score',
        group: 'infer',
        user: 'grace',
        path: 'sweeps/wide.ipynb'
      })
    ]);
    list = new JobList(
      () => table,
      () => undefined
    );
  });

  it('orders by submit, change, state and name', () => {
    const found = (
      ['newest', 'oldest', 'changed', 'state', 'name'] as const
    ).map(order => {
      list.order = order;
      return ids();
    });
    expect(found).toEqual(['cba', 'abc', 'acb', 'bca', 'bac']);
  });

  it('keeps the order when a job changes, comes and goes', () => {
    list.order = 'state';
    expect(ids()).toBe('bca');
    table.put(
      job('c', { state: 'running', updated_at: at(50), submitted_at: at(12) })
    );
    table.put(job('d', { state: 'held', submitted_at: at(13) }));
    table.remove('a');
    expect(ids()).toBe('cbd');
    expect(list.indexOf('d')).toBe(2);
    expect(list.indexOf('a')).toBe(-1);
  });

  it.each([
    ['svm lr=0.1', 'b'],
    ['GPU-1', 'a'],
    ['score', 'c'],
    ['infer', 'c'],
    ['grace', 'c'],
    ['wide.ipynb', 'c'],
    ['run', 'ba'],
    ['failed', 'a'],
    ['run nothing', '']
  ])('finds %s', (text, expected) => {
    list.text = text;
    expect(ids()).toBe(expected);
    expect(list.isFiltered).toBe(true);
  });

  it('lists jobs in the chosen states, and counts all that fit the text', () => {
    list.toggleState('failed');
    list.toggleState('running');
    expect(ids()).toBe('ba');
    list.text = 'run';
    list.toggleState('running');
    expect(ids()).toBe('a');
    expect([...list.counts]).toEqual([
      ['running', 1],
      ['failed', 1]
    ]);
    list.showAll();
    expect(ids()).toBe('cba');
  });

  it('gives the same rows until something changes', () => {
    const { rows } = list;
    expect(list.rows).toBe(rows);
    table.put(job('b', { state: 'succeeded', updated_at: at(59) }));
    expect(list.rows).not.toBe(rows);
  });

  it('selects one by one, a range, and all', () => {
    list.toggle('c');
    list.extendTo('a');
    expect(list.selection).toHaveLength(3);
    list.toggle('b');
    expect(list.selection.map(row => row.job_id)).toEqual(['c', 'a']);
    list.clearSelection();
    expect(list.selection).toEqual([]);
    list.selectAll();
    expect(list.selection).toHaveLength(3);
  });

  it('has nothing selected that is not listed, or not there any more', () => {
    list.selectAll();
    list.text = 'run';
    expect(list.selection.map(row => row.job_id)).toEqual(['b', 'a']);
    table.remove('a');
    expect(list.selection.map(row => row.job_id)).toEqual(['b']);
    list.text = '';
    expect(list.selection.map(row => row.job_id)).toEqual(['c', 'b']);
  });

  it('moves the active row and stops at the ends', () => {
    expect(list.move(1)).toBe(0);
    expect(list.move(1)).toBe(1);
    expect(list.move(9)).toBe(2);
    expect(list.active).toBe('a');
    expect(list.move(-9)).toBe(0);
  });
});

describe('RowHeights', () => {
  it('knows where rows are when some are higher', () => {
    const heights = new RowHeights();
    expect(heights.measured('a', 40)).toBe(true);
    expect(heights.measured('b', 40.2)).toBe(false);
    expect(heights.measured('c', 240)).toBe(true);
    expect(heights.measured('c', 240)).toBe(false);
    expect(heights.measured('d', 0)).toBe(false);
    const places = heights.places(100, id => (id === 'c' ? 5 : -1));
    expect([places.top(5), places.top(6), places.top(100)]).toEqual([
      200, 440, 4200
    ]);
    expect([-5, 0, 199, 300, 440, 9999].map(y => places.at(y))).toEqual([
      0, 0, 4, 5, 6, 99
    ]);
    expect(heights.measured('c', 40)).toBe(true);
    expect(heights.places(9, () => 0).top(9)).toBe(360);
  });
});

describe('the list of jobs in the sidebar', () => {
  let server: FakeServer;
  let model: QueueModel;
  let sidebar: QueueSidebar;

  const all = (selector: string) => [
    ...sidebar.node.querySelectorAll<HTMLElement>(selector)
  ];
  const find = (selector: string): HTMLElement => {
    const [node] = all(selector);
    if (node === undefined) {
      throw new Error(`No ${selector} in ${sidebar.node.innerHTML}`);
    }
    return node;
  };
  const rows = () => all('[data-aiq-job]').map(row => row.dataset.aiqJob);
  const selected = () => model.jobs.list.selection.map(row => row.job_id);

  async function draw(milliseconds = 100): Promise<void> {
    await pass(milliseconds);
    MessageLoop.flush();
    await settle();
  }

  async function press(
    key: string,
    options: KeyboardEventInit = {}
  ): Promise<void> {
    find('[role="grid"]').dispatchEvent(
      new KeyboardEvent('keydown', { key, bubbles: true, ...options })
    );
    await draw();
  }

  /** Give an answer to the question that is asked. */
  async function answer(label: string): Promise<void> {
    await draw();
    const buttons = document.querySelectorAll<HTMLElement>('.jp-Dialog-button');
    const button = [...buttons].find(one => one.textContent === label);
    if (button === undefined) {
      throw new Error(`No ${label} in ${document.body.textContent}`);
    }
    button.click();
    await draw(300);
  }

  beforeEach(async () => {
    stopTime(NOW);
    new Sight();
    server = new FakeServer();
    server.install();
    server.jobs = Array.from({ length: 300 }, (_, i) =>
      job(`job-${999 - i}`, { state: i % 3 === 0 ? 'failed' : 'queued' })
    );
    model = new QueueModel({
      api: new QueueAPI(server.settings),
      events: new Signal<unknown, Event.Emission>({})
    });
    model.jobs.notebook = NOTEBOOK;
    sidebar = new QueueSidebar({
      commands: new CommandRegistry(),
      model,
      trans: nullTranslator.load('jupyter_aiqueue')
    });
    Widget.attach(sidebar, document.body);
    await draw(300);
    server.taken();
  });

  afterEach(() => {
    sidebar.dispose();
    model.dispose();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('has only the rows in sight', () => {
    expect(find('[role="grid"]').getAttribute('aria-rowcount')).toBe('300');
    expect(rows().length).toBeGreaterThan(10);
    expect(rows().length).toBeLessThan(60);
    expect(rows()[0]).toBe('job-999');
    expect(find('[role="grid"]').style.height).toBe(`${300 * 46}px`);
  });

  it('tells how many jobs fit', async () => {
    find('[data-aiq-chip="failed"]').click();
    await draw();
    expect(find('.jp-AIQueue-matches').textContent).toBe('100 of 300');
    expect(find('.jp-AIQueue-matches').getAttribute('aria-live')).toBe(
      'polite'
    );
    model.jobs.list.text = 'nowhere';
    await draw();
    expect(find('[data-aiq-empty="no-match"]').textContent).toContain(
      'No job fits'
    );
    expect(server.taken()).toEqual([]);
  });

  it('is moved through, opened and selected with keys', async () => {
    await press('ArrowDown');
    await press('ArrowDown');
    await press(' ');
    expect(selected()).toEqual(['job-998']);
    const row = find('[data-aiq-job="job-998"]');
    expect(row.getAttribute('aria-selected')).toBe('true');
    expect(find('[role="grid"]').getAttribute('aria-activedescendant')).toBe(
      row.id
    );
    await press('ArrowDown', { shiftKey: true });
    expect(selected()).toEqual(['job-998', 'job-997']);
    await press('Enter');
    expect(model.jobs.selected?.id).toBe('job-997');
    server.taken();
    await press('Delete');
    await press('Backspace');
    expect(server.taken().filter(path => !path.startsWith('load'))).toEqual([]);
    await press('a', { ctrlKey: true });
    expect(selected()).toHaveLength(300);
    await press('Escape');
    expect(selected()).toEqual([]);
    await press('End');
    expect(model.jobs.list.active).toBe('job-700');
  });

  it('selects with boxes, and a range with shift', async () => {
    const box = (id: string) => find(`[data-aiq-job="${id}"] input`);
    box('job-999').click();
    box('job-996').dispatchEvent(
      new MouseEvent('click', { bubbles: true, shiftKey: true })
    );
    await draw();
    expect(selected()).toHaveLength(4);
    expect(model.jobs.selected).toBeNull();
  });

  it('does one thing with all that allow it, after one question', async () => {
    for (const id of ['job-999', 'job-998', 'job-997', 'job-996']) {
      model.jobs.list.toggle(id);
    }
    server.failures.set('jobs/job-997/cancel', [
      409,
      { message: 'It is over.' }
    ]);
    await draw();
    const cancel = find('[data-aiq-bulk="cancel"]');
    expect(cancel.textContent).toBe('Cancel 2');
    expect(find('[data-aiq-bulk="remove"]').textContent).toBe(
      'Delete record 2'
    );
    cancel.click();
    await answer('Leave them');
    expect(server.taken().filter(path => path.startsWith('POST'))).toEqual([]);
    cancel.click();
    await answer('Cancel 2 jobs');
    expect(server.taken().filter(path => path.startsWith('POST'))).toEqual([
      'POST jobs/job-998/cancel',
      'POST jobs/job-997/cancel'
    ]);
    expect(find('[data-aiq-banner="bulk"]').textContent).toContain(
      '1 of 2 jobs were not cancelled:'
    );
    expect(find('[data-aiq-banner="bulk"] li').textContent).toBe(
      'train_model job-997: It is over.'
    );
    expect(all('.jp-AIQueue-actionFailure')).toEqual([]);
    find('[data-aiq-banner="bulk"] button').click();
    await draw();
    expect(all('[data-aiq-banner="bulk"]')).toEqual([]);
  });

  it('removes records from the list and from the selection', async () => {
    model.jobs.list.toggle('job-999');
    model.jobs.list.toggle('job-996');
    model.jobs.select('job-999');
    await draw();
    find('[data-aiq-bulk="remove"]').click();
    await answer('Delete 2 records');
    expect(server.taken()).toContain('DELETE jobs/job-999');
    expect(rows().slice(0, 2)).toEqual(['job-998', 'job-997']);
    expect(model.jobs.total).toBe(298);
    expect(selected()).toEqual([]);
    expect(model.jobs.selected).toBeNull();
    expect(all('.jp-AIQueue-bulk')).toEqual([]);
  });

  it('submits jobs again without opening them', async () => {
    model.jobs.list.toggle('job-999');
    await draw();
    find('[data-aiq-bulk="retry"]').click();
    await answer('Submit 1 job');
    expect(model.jobs.find('job-999-again')?.retry_of).toBe('job-999');
    expect(model.jobs.selected).toBeNull();
  });

  it('stays as it was over a reload', async () => {
    const database = new StateDB();
    expect(await restoreSidebar(database, model)).toBe(false);
    model.jobs.list.text = 'train';
    model.jobs.list.toggleState('failed');
    model.jobs.list.order = 'oldest';
    model.jobs.select('job-702');
    model.folds.toggle('load');
    await draw(1_000);

    const again = new QueueModel({
      api: new QueueAPI(server.settings),
      events: new Signal<unknown, Event.Emission>({})
    });
    again.jobs.notebook = NOTEBOOK;
    server.taken();
    expect(await restoreSidebar(database, again)).toBe(true);
    expect(server.taken()).toEqual([]);
    const { list } = again.jobs;
    expect([list.text, [...list.states], list.order]).toEqual([
      'train',
      ['failed'],
      'oldest'
    ]);
    expect(again.folds.names).toEqual(['load']);
    again.setActive(true);
    await pass(300);
    expect(again.jobs.selected?.id).toBe('job-702');
    again.dispose();
  });

  it('does not mind what another version has kept', async () => {
    const database = new StateDB();
    await database.save('jupyter-aiqueue:sidebar', {
      scope: 'galaxy',
      states: ['lost', 'failed'],
      order: 7,
      folded: 'load'
    });
    await restoreSidebar(database, model);
    expect(model.jobs.scope).toBe('notebook');
    expect([...model.jobs.list.states]).toEqual(['failed']);
    expect(model.jobs.list.order).toBe('newest');
  });
});
