import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { LedgerViewModel } from '../ledgerViewer/model';
import { LedgerView } from '../ledgerViewer/widget';
import { pass, settle, stopTime } from './timeline';

const HEADER = '{"ledger":"0f","version":1,"notebook":"train.ipynb"}';

function lines(
  id: string,
  config: Record<string, unknown>,
  loss: number | null
): string[] {
  const common = { job_id: id, task: 'train_model', name: `job-${id}` };
  const submitted = {
    event: 'submitted',
    id: `${id}:0:submitted`,
    timestamp: '2026-11-21T10:00:00Z',
    submitted_at: '2026-11-21T10:00:00Z',
    config,
    ...common
  };
  const end = {
    event: loss === null ? 'failed' : 'succeeded',
    id: `${id}:1:end`,
    timestamp: '2026-11-21T10:01:00Z',
    attempt: 1,
    metrics: loss === null ? {} : { loss },
    ...common
  };
  return [JSON.stringify(submitted), JSON.stringify(end)];
}

function fileOf(count: number): string {
  const all = [HEADER];
  for (let i = 0; i < count; i += 1) {
    const config = { lr: (i % 3) + 1, epochs: 10 };
    const id = String(i).padStart(5, '0');
    all.push(...lines(id, config, i % 4 === 3 ? null : i / 10));
  }
  return `${all.join('\n')}\n`;
}

describe('LedgerView', () => {
  let model: LedgerViewModel;
  let view: LedgerView;
  let opened: string[];
  let compared: readonly string[];

  async function draw(): Promise<void> {
    await pass(100);
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

  function rows(): string[] {
    return [...view.node.querySelectorAll<HTMLElement>('[data-aiq-job]')].map(
      row => row.dataset.aiqJob ?? ''
    );
  }

  async function press(key: string): Promise<void> {
    const event = new KeyboardEvent('keydown', { key, bubbles: true });
    find('[role="grid"]').dispatchEvent(event);
    await draw();
  }

  async function sort(column: string): Promise<void> {
    find(`[role="columnheader"].jp-mod-${column} button`).click();
    await draw();
  }

  beforeEach(async () => {
    stopTime('2026-11-21T10:00:00Z');
    model = new LedgerViewModel('lab/train.jobs.jsonl');
    opened = [];
    compared = [];
    view = new LedgerView({
      model,
      onCompare: ids => (compared = ids),
      onOpen: id => opened.push(id),
      onShown: () => undefined,
      trans: nullTranslator.load('jupyter_aiqueue')
    });
    Widget.attach(view, document.body);
    await draw();
  });

  afterEach(() => {
    view.dispose();
    model.dispose();
    jest.useRealTimers();
  });

  it('says what it waits for, and that a file has no jobs', async () => {
    expect(view.node.textContent).toContain('Reading the ledger');
    model.read(`${HEADER}\n`);
    await draw();
    expect(find('[data-aiq-empty="no-jobs"]')).toBeTruthy();
  });

  it('has columns for what differs, and for the metrics', async () => {
    model.read(fileOf(4));
    await draw();
    const heads = [...view.node.querySelectorAll('[role="columnheader"]')];
    expect(heads.map(head => head.textContent)).toEqual([
      'selected',
      'State',
      'Job',
      'lr',
      'loss',
      'Duration',
      'Attempts',
      'Submitted'
    ]);
    expect(rows()).toEqual(['00003', '00002', '00001', '00000']);
    expect(view.node.textContent).toContain('4 jobs');
    expect(view.node.textContent).toContain('1 failed');
  });

  it('draws only the rows in sight, of as many as there are', async () => {
    model.read(fileOf(10_000));
    await draw();
    const grid = find('[role="grid"]');
    expect(grid.getAttribute('aria-rowcount')).toBe('10001');
    expect(rows().length).toBeLessThan(80);
    expect(rows()[0]).toBe('09999');
    grid.scrollTop = 28 * 5000;
    grid.dispatchEvent(new window.Event('scroll', { bubbles: true }));
    await draw();
    expect(rows().length).toBeLessThan(80);
    expect(rows()).toContain('04990');
    expect(find('[data-aiq-job="04990"]').getAttribute('aria-rowindex')).toBe(
      '5011'
    );
  });

  it('orders by a column upwards, downwards, and as before', async () => {
    model.read(fileOf(6));
    await draw();
    await sort('metric');
    expect(rows()).toEqual([
      '00000',
      '00001',
      '00002',
      '00004',
      '00005',
      '00003'
    ]);
    await sort('metric');
    // What has no value is last either way.
    expect(rows()).toEqual([
      '00005',
      '00004',
      '00002',
      '00001',
      '00000',
      '00003'
    ]);
    const head = find('[role="columnheader"].jp-mod-metric');
    expect(head.getAttribute('aria-sort')).toBe('descending');
    await sort('metric');
    expect(rows()[0]).toBe('00005');
    expect(head.getAttribute('aria-sort')).toBe('none');
  });

  it('finds jobs by their words', async () => {
    model.read(fileOf(12));
    model.filter = 'lr=2 failed';
    await draw();
    expect(rows()).toEqual(['00007']);
    expect(view.node.textContent).toContain('1 of 12 jobs');
    model.filter = 'nothing';
    await draw();
    expect(view.node.textContent).toContain('No job fits.');
  });

  it('is used by the keyboard', async () => {
    model.read(fileOf(10));
    await draw();
    await press('ArrowDown');
    await press('ArrowDown');
    const active = find('.jp-mod-active');
    expect(active.dataset.aiqJob).toBe('00008');
    const grid = find('[role="grid"]');
    expect(grid.getAttribute('aria-activedescendant')).toBe(active.id);
    await press('Enter');
    expect(opened).toEqual(['00008']);
    await press(' ');
    await press('End');
    await press(' ');
    expect(find('[data-aiq-job="00000"]').getAttribute('aria-selected')).toBe(
      'true'
    );
    find('[data-aiq-action="compare"]').click();
    expect(compared).toEqual(['00008', '00000']);
  });

  it('compares 2 to 20 jobs', async () => {
    model.read(fileOf(30));
    await draw();
    const button = find('[data-aiq-action="compare"]') as HTMLButtonElement;
    expect(button.disabled).toBe(true);
    for (const { job_id } of model.rows.slice(0, 20)) {
      model.toggle(job_id);
    }
    await draw();
    expect(button.disabled).toBe(false);
    model.toggle(model.rows[20].job_id);
    await draw();
    expect(button.disabled).toBe(true);
  });

  it('takes in what was appended and keeps what was selected', async () => {
    model.read(fileOf(3));
    model.toggle('00001');
    model.read(fileOf(5));
    await draw();
    expect(rows()).toHaveLength(5);
    expect([...model.selected]).toEqual(['00001']);
    model.read(`${HEADER}\n${lines('00004', {}, 1).join('\n')}\n`);
    expect(model.selected.size).toBe(0);
  });

  it('opens a job by its name', async () => {
    model.read(fileOf(2));
    await draw();
    find('[data-aiq-job="00001"] .jp-AIQueue-link').click();
    expect(opened).toEqual(['00001']);
  });
});
