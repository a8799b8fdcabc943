import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IQueueAPI } from './api';
import { describeFailure } from './failure';
import { plainText } from './terminal';

/**
 * The output of one job, as far as it is known here.
 */
export class JobLog {
  constructor(
    readonly id: string,
    private readonly _api: IQueueAPI
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /**
   * The output as plain text, or null before the first answer.
   */
  get text(): string | null {
    return this._text;
  }

  /**
   * Why the last look failed, one sentence, or null.
   */
  get failure(): string | null {
    return this._failure;
  }

  /**
   * Whether an answer is on its way.
   */
  get isFetching(): boolean {
    return this._isFetching;
  }

  /**
   * Ask for the output, unless all of it is known. Never throws: a failure is shown.
   *
   * A worker may take seconds to answer. Who asks meanwhile gets a fresh answer after that
   * one: the job may have ended since.
   */
  async fetch(): Promise<void> {
    if (this._isFetching) {
      this._isStale = true;
      return;
    }
    this._isFetching = true;
    do {
      this._isStale = false;
      await this._fetchOnce();
    } while (this._isStale);
    this._isFetching = false;
  }

  private async _fetchOnce(): Promise<void> {
    if (this._isComplete) {
      return;
    }
    try {
      const { data } = await this._api.log(this.id);
      this._text = plainText(data.log);
      this._isComplete = data.complete;
      this._failure = null;
    } catch (error) {
      this._failure = describeFailure(error).message;
    }
    this._changed.emit();
  }

  private _text: string | null = null;
  private _failure: string | null = null;
  private _isComplete = false;
  private _isFetching = false;
  private _isStale = false;
  private _changed = new Signal<this, void>(this);
}
