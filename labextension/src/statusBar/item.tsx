import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { queueIcon, warningIcon } from '../icons';
import type { QueueModel } from '../model';
import { summarize } from './summary';

/**
 * How often the age of what is shown is looked at, milliseconds. This asks nobody.
 */
const AGE_MS = 10_000;

/**
 * The queue in a few words. It asks the server nothing by itself but when it appears: it shows
 * what the sidebar knows and what is pushed, and how old that is. Who points at it glances.
 */
export class QueueStatus extends VDomRenderer<QueueModel> {
  constructor(private readonly _options: QueueStatus.IOptions) {
    super(_options.model);
    this.addClass('jp-AIQueueStatus-item');
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._timer = setInterval(() => this.update(), AGE_MS);
  }

  protected override onBeforeDetach(message: Message): void {
    clearInterval(this._timer);
    super.onBeforeDetach(message);
  }

  protected override render(): JSX.Element {
    const { isConnected, onOpen, trans } = this._options;
    const { isOld, isTrouble, text, title } = summarize(
      this.model,
      isConnected(),
      trans
    );
    const glance = () => void this.model.glance();
    const Icon = isTrouble ? warningIcon : queueIcon;
    return (
      <button
        className={`jp-AIQueueStatus ${isOld ? 'jp-mod-stale' : ''}`}
        onClick={onOpen}
        onFocus={glance}
        onMouseEnter={glance}
        title={title}
        type="button"
      >
        <Icon.react tag="span" className="jp-AIQueueStatus-icon" />
        <span>{text}</span>
      </button>
    );
  }

  private _timer: ReturnType<typeof setInterval> | undefined;
}

/**
 * The namespace of `QueueStatus`.
 */
export namespace QueueStatus {
  export interface IOptions {
    model: QueueModel;

    /**
     * Whether the application has a connection to its server.
     */
    isConnected: () => boolean;

    /**
     * Called when somebody wants to see more.
     */
    onOpen: () => void;
    trans: TranslationBundle;
  }
}
