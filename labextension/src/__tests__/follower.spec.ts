import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Event } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { JOB_SCHEMA } from '../events';
import { Follower } from '../ledgerViewer/follower';
import { pass, stopTime } from './timeline';

describe('Follower', () => {
  const context = {
    contentsModel: { last_modified: 'then' },
    isReady: true,
    model: { collaborative: false },
    path: 'lab/train.jobs.jsonl',
    revert: jest.fn()
  };
  const get = jest.fn();
  let stream: Signal<unknown, Event.Emission>;
  let isVisible: boolean;
  let follower: Follower;

  function tell(path: string | null): void {
    stream.emit({
      schema_id: JOB_SCHEMA,
      job_id: '01a',
      state: 'running',
      path
    } as unknown as Event.Emission);
  }

  beforeEach(() => {
    stopTime('2026-11-21T10:00:00Z');
    context.revert.mockReset();
    get.mockReset().mockResolvedValue({ last_modified: 'then' });
    stream = new Signal<unknown, Event.Emission>({});
    isVisible = true;
    follower = new Follower(
      context as unknown as DocumentRegistry.Context,
      { get, localPath: path => path },
      stream,
      () => isVisible
    );
  });

  afterEach(() => {
    follower.dispose();
    jest.useRealTimers();
  });

  it('reads the file again when it has changed on disk', async () => {
    await pass(11_000);
    expect(get).toHaveBeenCalledWith('lab/train.jobs.jsonl', {
      content: false
    });
    expect(context.revert).not.toHaveBeenCalled();
    get.mockResolvedValue({ last_modified: 'now' });
    await pass(11_000);
    expect(context.revert).toHaveBeenCalled();
  });

  it('looks soon after a job of its notebook has changed, and of no other', async () => {
    await pass(100);
    get.mockClear();
    tell('lab/other.ipynb');
    await pass(3000);
    expect(get).not.toHaveBeenCalled();
    tell('lab/train.ipynb');
    tell('lab/train.ipynb');
    await pass(3000);
    expect(get).toHaveBeenCalledTimes(1);
  });

  it('asks nothing while it cannot be seen, or once it is closed', async () => {
    await pass(100);
    get.mockClear();
    isVisible = false;
    tell('lab/train.ipynb');
    await pass(30_000);
    expect(get).not.toHaveBeenCalled();
    isVisible = true;
    follower.dispose();
    await pass(30_000);
    expect(get).not.toHaveBeenCalled();
  });
});
