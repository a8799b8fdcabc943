import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Contents, Event } from '@jupyterlab/services';
import { Poll, Throttler } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';

import { JOB_SCHEMA, readEvent } from '../events';
import { SUFFIX } from '../ledger/ledger';

/**
 * The file is looked at so often while it is visible, milliseconds: as often as JupyterLab's
 * file browser looks at its folder.
 */
const INTERVAL_MS = 10_000;
const LONGEST_MS = 60_000;

/**
 * Pause between two looks that events ask for, milliseconds.
 */
const PAUSE_MS = 2000;

/**
 * Reads a ledger again when it has changed on disk: at once when a job of its notebook has
 * changed, else after some seconds. Asks nothing while nobody looks.
 */
export class Follower {
  /**
   * @param isVisible - Whether the document can be seen.
   */
  constructor(
    private readonly _context: DocumentRegistry.Context,
    private readonly _contents: Pick<Contents.IManager, 'get' | 'localPath'>,
    private readonly _events: ISignal<unknown, Event.Emission>,
    isVisible: () => boolean
  ) {
    this._poll = new Poll({
      auto: false,
      factory: () => this._look(),
      frequency: { interval: INTERVAL_MS, max: LONGEST_MS, backoff: true },
      name: 'jupyter-aiqueue:ledger',
      standby: () => !isVisible() || 'when-hidden'
    });
    this._throttler = new Throttler(() => this._poll.refresh(), {
      edge: 'trailing',
      limit: PAUSE_MS
    });
    this._events.connect(this._onEvent, this);
    void this._poll.start();
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  /**
   * Look now.
   */
  refresh(): void {
    void this._poll.refresh();
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._events.disconnect(this._onEvent, this);
      this._throttler.dispose();
      this._poll.dispose();
    }
  }

  private async _look(): Promise<void> {
    const context = this._context;
    const known = context.contentsModel;
    if (!context.isReady || known === null || context.model.collaborative) {
      return;
    }
    const file = await this._contents.get(context.path, { content: false });
    if (!this.isDisposed && file.last_modified !== known.last_modified) {
      await context.revert();
    }
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    const event = readEvent(emission);
    if (event?.schema_id !== JOB_SCHEMA) {
      return;
    }
    const path = this._contents.localPath(this._context.path);
    const stem = path.endsWith(SUFFIX) ? path.slice(0, -SUFFIX.length) : null;
    if (
      !event.path ||
      stem === null ||
      event.path.replace(/\.[^./]*$/, '') === stem
    ) {
      void this._throttler.invoke();
    }
  }

  private readonly _poll: Poll;
  private readonly _throttler: Throttler;
}
