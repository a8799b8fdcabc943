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
   * Ask for the output, unless all of it is known. Never throws: a failure is shown.
   */
  async fetch(): Promise<void> {
    if (this._isComplete || this._isFetching) {
      return;
    }
    this._isFetching = true;
    try {
      const { data } = await this._api.log(this.id);
      this._text = plainText(data.log);
      this._isComplete = data.complete;
      this._failure = null;
    } catch (error) {
      this._failure = describeFailure(error).message;
    } finally {
      this._isFetching = false;
    }
    this._changed.emit();
  }

  private _text: string | null = null;
  private _failure: string | null = null;
  private _isComplete = false;
  private _isFetching = false;
  private _changed = new Signal<this, void>(this);
}
