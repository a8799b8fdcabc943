import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobRecord, IQueueAPI, JobState } from '../api';
import { exactly } from '../duration';
import { describeFailure } from '../failure';
import { jobTitle, shortId } from '../state';
import type { IEnd } from './ends';

/**
 * More ends than this within `SOON_MS` become one notification.
 */
const FEW = 3;
const SOON_MS = 30_000;

/**
 * Good news goes away by itself, milliseconds; bad news stays.
 */
const CLOSE_MS = 10_000;

/**
 * Tells with JupyterLab's notifications that jobs have ended.
 */
export class Teller {
  constructor(private readonly _options: Teller.IOptions) {}

  /**
   * Tell of ends: of each by itself, or of many in one sentence.
   */
  async tell(ends: readonly IEnd[]): Promise<void> {
    const now = Date.now();
    this._recent = this._recent.filter(at => now - at < SOON_MS);
    this._recent.push(...ends.map(() => now));
    if (this._recent.length > FEW) {
      this._tellMany(ends);
    } else {
      this._counts.clear();
      this._summary = null;
      await Promise.all(ends.map(end => this._tellOne(end)));
    }
  }

  private async _tellOne({ id, state }: IEnd): Promise<void> {
    const { api, onShow, trans } = this._options;
    let job: IJobRecord | null = null;
    try {
      job = (await api.job(id)).data.job;
    } catch {
      // That it ended is known; the rest is not.
    }
    const title = job === null ? shortId(id) : jobTitle(job, trans);
    const show: Notification.IAction = {
      label: trans.__('Show'),
      caption: trans.__('Show a job with its past, its curves and its output'),
      callback: () => onShow(id)
    };
    if (state === 'succeeded') {
      Notification.success(succeeded(title, job, trans), {
        autoClose: CLOSE_MS,
        actions: [show]
      });
      return;
    }
    const retry: Notification.IAction = {
      label: trans.__('Retry'),
      caption: trans.__(
        'Submit a job that is over again, with the same config'
      ),
      callback: () => void this._retry(id, title)
    };
    Notification.error(ended(title, state, job?.reason ?? null, trans), {
      autoClose: false,
      actions: [show, retry]
    });
  }

  private _tellMany(ends: readonly IEnd[]): void {
    const { onShowAll, trans } = this._options;
    for (const { state } of ends) {
      this._counts.set(state, (this._counts.get(state) ?? 0) + 1);
    }
    const count = (state: JobState) => this._counts.get(state) ?? 0;
    const all = count('succeeded') + count('failed') + count('dead');
    const parts = [
      count('succeeded') > 0 && trans.__('%1 succeeded', count('succeeded')),
      count('failed') > 0 && trans.__('%1 failed', count('failed')),
      count('dead') > 0 && trans.__('%1 dead', count('dead'))
    ].filter(Boolean);
    const message = trans._n(
      '%1 more job ended: %2',
      '%1 more jobs ended: %2',
      all,
      parts.join(', ')
    );
    const type = all > count('succeeded') ? 'error' : 'success';
    const options = {
      autoClose: false,
      actions: [{ label: trans.__('Show'), callback: onShowAll }]
    } as const;
    const { manager } = Notification;
    if (this._summary !== null && manager.has(this._summary)) {
      Notification.update({
        id: this._summary,
        message,
        type,
        autoClose: options.autoClose,
        actions: [...options.actions]
      });
    } else {
      this._summary = Notification.emit(message, type, {
        ...options,
        actions: [...options.actions]
      });
    }
  }

  private async _retry(id: string, title: string): Promise<void> {
    const { api, trans } = this._options;
    try {
      await api.retry(id);
      Notification.info(trans.__('“%1” was submitted again.', title), {
        autoClose: CLOSE_MS
      });
    } catch (error) {
      const { message } = describeFailure(error);
      Notification.error(
        trans.__('“%1” was not submitted again. %2', title, message)
      );
    }
  }

  private readonly _counts = new Map<JobState, number>();
  private _recent: number[] = [];
  private _summary: string | null = null;
}

/**
 * The namespace of `Teller`.
 */
export namespace Teller {
  export interface IOptions {
    api: IQueueAPI;

    /**
     * Called when somebody wants to see a job.
     */
    onShow: (id: string) => void;

    /**
     * Called when somebody wants to see all jobs.
     */
    onShowAll: () => void;
    trans: TranslationBundle;
  }
}

function succeeded(
  title: string,
  job: IJobRecord | null,
  trans: TranslationBundle
): string {
  const seconds = job?.result?.duration_s ?? null;
  return seconds === null
    ? trans.__('“%1” succeeded.', title)
    : trans.__('“%1” succeeded after %2.', title, exactly(seconds, trans));
}

function ended(
  title: string,
  state: JobState,
  reason: string | null,
  trans: TranslationBundle
): string {
  const why = reason ?? trans.__('The reason is not known.');
  return state === 'dead'
    ? trans.__('“%1” is dead: %2', title, why)
    : trans.__('“%1” failed: %2', title, why);
}
