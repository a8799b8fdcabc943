import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { ISubmitted } from '../api';
import { queueIcon } from '../icons';
import { EmptyState } from '../widgets/frame';
import { SubmitForm } from './form';
import type { SubmitModel } from './model';

/**
 * The form for a new experiment of a notebook, as a tab.
 */
export class SubmitView extends VDomRenderer<SubmitModel> {
  constructor(private readonly _options: SubmitView.IOptions) {
    super(_options.model);
    const { model, trans } = _options;
    this.addClass('jp-AIQueue');
    this.addClass('jp-AIQueueMain');
    this.addClass('jp-AIQueueSubmit');
    this.node.dataset.aiqSubmit = '';
    const name = model.notebook.split('/').pop() ?? '';
    this.title.label = trans.__('Submit: %1', name);
    this.title.caption = trans.__('Submit an experiment of %1', model.notebook);
    this.title.icon = queueIcon;
    void model.open();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._options.model.dispose();
    }
    super.dispose();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    const field = this.node.querySelector<HTMLElement>('input, select');
    if (field && !this.node.contains(document.activeElement)) {
      field.focus();
    }
  }

  protected override render(): JSX.Element {
    const { model, trans } = this._options;
    if (!model.isReady) {
      return (
        <p className="jp-AIQueue-quiet" role="status">
          {trans.__('Looking for the last job…')}
        </p>
      );
    }
    if (model.failure?.kind === 'no-extension' && !model.failure.reason) {
      return (
        <EmptyState
          name="no-extension"
          title={trans.__('The server part is missing')}
        >
          <p>
            {trans.__(
              'This Jupyter server does not run the jupyter_aiqueue extension: nothing can be submitted from here.'
            )}
          </p>
        </EmptyState>
      );
    }
    return (
      <SubmitForm
        model={model}
        onClose={this._options.onClose}
        onDone={this._options.onDone}
        trans={trans}
      />
    );
  }
}

/**
 * The namespace of `SubmitView`.
 */
export namespace SubmitView {
  export interface IOptions {
    model: SubmitModel;

    /**
     * Called when nothing is to be submitted after all.
     */
    onClose: () => void;

    /**
     * Called when the job is submitted.
     */
    onDone: (submitted: ISubmitted) => void;
    trans: TranslationBundle;
  }
}
