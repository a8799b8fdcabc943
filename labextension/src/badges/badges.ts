import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { stateIcons } from '../icons';
import { shortId, stateWord } from '../state';
import type { ISeen } from './model';

/**
 * Badges of one cell; more jobs than these are counted.
 */
const MOST_SHOWN = 4;

/**
 * The jobs of one cell, below its output: a shape, a word and the end of the id for each.
 */
export class CellBadges extends Widget {
  constructor(private readonly _options: CellBadges.IOptions) {
    super();
    const { trans } = _options;
    this.addClass('jp-AIQueueBadges');
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', trans.__('Jobs of this cell'));
    // Enter and Space press a badge here, and do nothing to the notebook.
    this.node.dataset.lmSuppressShortcuts = 'true';
    this._more.className = 'jp-AIQueueBadges-more';
    this.node.append(this._more);
  }

  /**
   * Show these jobs, newest first. What has not changed is not touched.
   */
  put(jobs: readonly ISeen[]): void {
    const shown = jobs.slice(0, MOST_SHOWN);
    const wanted = new Set(shown.map(({ job_id }) => job_id));
    for (const [id, badge] of this._badges) {
      if (!wanted.has(id)) {
        badge.remove();
        this._badges.delete(id);
      }
    }
    for (const job of shown) {
      let badge = this._badges.get(job.job_id);
      if (badge === undefined) {
        badge = this._create(job.job_id);
        this._badges.set(job.job_id, badge);
      }
      this._draw(badge, job);
    }
    const order = shown.map(job => this._badges.get(job.job_id));
    if (order.some((badge, i) => badge !== this.node.children[i])) {
      this.node.prepend(...order.filter(badge => badge !== undefined));
    }
    const more = jobs.length - shown.length;
    const { trans } = this._options;
    const text = more > 0 ? trans._n('%1 more', '%1 more', more) : '';
    if (this._more.textContent !== text) {
      this._more.textContent = text;
    }
  }

  private _create(id: string): HTMLButtonElement {
    const badge = document.createElement('button');
    badge.type = 'button';
    badge.className = 'jp-AIQueueBadge';
    badge.dataset.aiqBadge = id;
    const icon = document.createElement('span');
    icon.className = 'jp-AIQueue-stateIcon';
    const word = document.createElement('span');
    const end = document.createElement('code');
    end.textContent = shortId(id);
    badge.append(icon, word, end);
    badge.title = this._options.trans.__('Open job %1', id);
    badge.addEventListener('click', event => {
      event.stopPropagation();
      this._options.onOpen(id);
    });
    return badge;
  }

  private _draw(badge: HTMLButtonElement, job: ISeen): void {
    const [icon, word] = badge.children;
    if (badge.dataset.aiqState !== job.state) {
      badge.dataset.aiqState = job.state;
      icon.replaceChildren();
      (stateIcons[job.state] ?? stateIcons.held).element({
        container: icon as HTMLElement
      });
    }
    const percent =
      job.state === 'running' && job.progress !== null
        ? ` ${Math.round(job.progress * 100)} %`
        : '';
    const text = `${stateWord(job, this._options.trans)}${percent}`;
    if (word.textContent !== text) {
      word.textContent = text;
    }
  }

  private readonly _badges = new Map<string, HTMLButtonElement>();
  private readonly _more = document.createElement('span');
}

/**
 * The namespace of `CellBadges`.
 */
export namespace CellBadges {
  export interface IOptions {
    onOpen: (id: string) => void;
    trans: TranslationBundle;
  }
}
