import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Event } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';

import { QueueAPI } from '../api';
import { addCommands, CommandIDs } from '../commands';
import { QueueModel } from '../model';
import { FakeServer } from './fakeServer';
import { job } from './records';

describe('commands', () => {
  let server: FakeServer;
  let model: QueueModel;
  let commands: CommandRegistry;
  let confirmsCancel: boolean;
  let row: HTMLElement | undefined;
  const activateById = jest.fn();

  beforeEach(async () => {
    server = new FakeServer();
    server.install();
    server.jobs = [
      job('waiting'),
      job('running', { state: 'running' }),
      job('over', { state: 'succeeded' })
    ];
    model = new QueueModel({
      api: new QueueAPI(server.settings),
      events: new Signal<unknown, Event.Emission>({})
    });
    model.jobs.scope = 'all';
    await model.jobs.fetch();
    server.taken();
    commands = new CommandRegistry();
    confirmsCancel = true;
    addCommands({
      app: {
        commands,
        contextMenuHitTest: () => row,
        shell: { activateById }
      } as unknown as JupyterFrontEnd,
      model,
      sidebar: 'the-sidebar',
      trans: nullTranslator.load('jupyter_aiqueue'),
      confirmsCancel: () => confirmsCancel
    });
  });

  afterEach(() => {
    model.dispose();
    document.body.innerHTML = '';
    jest.restoreAllMocks();
  });

  /** Press a button of the dialog that is open. */
  async function answer(label: string): Promise<void> {
    for (;;) {
      const button = [
        ...document.querySelectorAll<HTMLElement>('.jp-Dialog button')
      ].find(node => node.textContent === label);
      if (button) {
        button.click();
        return;
      }
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  it('say what they do, and describe their arguments', async () => {
    for (const id of Object.values(CommandIDs)) {
      const { args } = await commands.describedBy(id);
      expect(args).toMatchObject({ type: 'object' });
      expect(commands.label(id)).not.toBe('');
      expect(commands.caption(id)).not.toBe('');
      expect(commands.icon(id)).toBeDefined();
    }
  });

  it('show the sidebar', async () => {
    await commands.execute(CommandIDs.open);
    expect(activateById).toHaveBeenCalledWith('the-sidebar');
  });

  it('are enabled for what can be done', () => {
    const can = (id: string, name?: string) =>
      commands.isEnabled(id, name ? { job: name } : {});
    expect(can(CommandIDs.cancel, 'waiting')).toBe(true);
    expect(can(CommandIDs.cancel, 'over')).toBe(false);
    expect(can(CommandIDs.retry, 'over')).toBe(true);
    expect(can(CommandIDs.retry, 'running')).toBe(false);
    expect(can(CommandIDs.retry, 'no-such-job')).toBe(false);
    expect(can(CommandIDs.retry)).toBe(false);
    model.jobs.select('over');
    expect(can(CommandIDs.retry)).toBe(true);
  });

  it('take the job of the row under the menu', async () => {
    row = document.createElement('li');
    row.dataset.aiqJob = 'over';
    const args = { isContextMenu: true };
    expect(commands.isEnabled(CommandIDs.cancel, args)).toBe(false);
    await commands.execute(CommandIDs.retry, args);
    expect(server.taken()).toContain('POST jobs/over/retry');
  });

  it('cancel a waiting job without a question', async () => {
    await commands.execute(CommandIDs.cancel, { job: 'waiting' });
    expect(server.taken()).toEqual(['POST jobs/waiting/cancel']);
  });

  it('ask before a running job is cancelled', async () => {
    const kept = commands.execute(CommandIDs.cancel, { job: 'running' });
    await answer('Keep running');
    await kept;
    expect(server.taken()).toEqual([]);

    const cancelled = commands.execute(CommandIDs.cancel, { job: 'running' });
    await answer('Cancel job');
    await cancelled;
    expect(server.taken()).toEqual(['POST jobs/running/cancel']);
  });

  it('do not ask when the setting says so', async () => {
    confirmsCancel = false;
    await commands.execute(CommandIDs.cancel, { job: 'running' });
    expect(server.taken()).toEqual(['POST jobs/running/cancel']);
  });

  it('retry a job', async () => {
    await commands.execute(CommandIDs.retry, { job: 'over' });
    expect(server.taken()).toContain('POST jobs/over/retry');
  });
});
