import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { FEWEST, MOST } from '../compare/bounds';
import { stateIcons } from '../icons';
import { stateWord } from '../state';
import { EmptyState } from '../widgets/frame';
import { counted } from './columns';
import { JobGrid } from './grid';
import type { LedgerViewModel } from './model';

/**
 * The jobs of a ledger as a table.
 */
export class LedgerView extends VDomRenderer<LedgerViewModel> {
  constructor(private readonly _options: LedgerView.IOptions) {
    super(_options.model);
    this.addClass('jp-AIQueue');
    this.addClass('jp-AIQueueMain');
    this.addClass('jp-AIQueueLedger');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute(
      'aria-label',
      _options.trans.__('Jobs of %1', _options.model.path)
    );
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.querySelector<HTMLElement>('[role="grid"]')?.focus();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.onShown();
  }

  protected override render(): JSX.Element {
    const { onCompare, onOpen, trans } = this._options;
    const model = this.model;
    const { records } = model;
    if (records === null) {
      return (
        <p className="jp-AIQueue-quiet" role="status">
          {trans.__('Reading the ledger…')}
        </p>
      );
    }
    if (records.length === 0) {
      return (
        <EmptyState
          name="no-jobs"
          title={trans.__('No jobs are recorded in this file')}
        >
          <p>
            {trans.__(
              'A ledger has one line for each thing that happened to a job of its notebook.'
            )}
          </p>
        </EmptyState>
      );
    }
    return (
      <>
        <Bar model={model} onCompare={onCompare} trans={trans} />
        {model.rows.length === 0 ? (
          <p className="jp-AIQueue-quiet" role="status">
            {trans.__('No job fits.')}
          </p>
        ) : (
          <JobGrid model={model} onOpen={onOpen} trans={trans} />
        )}
      </>
    );
  }
}

/**
 * The namespace of `LedgerView`.
 */
export namespace LedgerView {
  export interface IOptions {
    model: LedgerViewModel;
    onCompare: (ids: readonly string[]) => void;
    onOpen: (id: string) => void;

    /**
     * Called when it can be seen again.
     */
    onShown: () => void;
    trans: TranslationBundle;
  }
}

/**
 * Search, counts, and what can be done with the selected jobs.
 */
function Bar(props: {
  model: LedgerViewModel;
  onCompare: (ids: readonly string[]) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { model, onCompare, trans } = props;
  const { records, rows, selected } = model;
  const total = records?.length ?? 0;
  const canCompare = selected.size >= FEWEST && selected.size <= MOST;
  return (
    <div className="jp-AIQueueLedger-bar">
      <input
        aria-label={trans.__('Filter jobs')}
        className="jp-AIQueueMain-input"
        onChange={event => {
          model.filter = event.target.value;
        }}
        placeholder={trans.__('Filter: name, id, state, epochs=10')}
        type="search"
        value={model.filter}
      />
      <span aria-live="polite" className="jp-AIQueueLedger-counts">
        <span>
          {rows.length === total
            ? trans._n('%1 job', '%1 jobs', total)
            : trans.__('%1 of %2 jobs', rows.length, total)}
        </span>
        {counted(rows).map(([state, count]) => {
          const Icon = stateIcons[state] ?? stateIcons.held;
          return (
            <span data-aiq-state={state} key={state}>
              <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
              {count} {stateWord({ cancelling: false, state }, trans)}
            </span>
          );
        })}
        {model.strangeLines > 0 && (
          <span>
            {trans._n(
              '%1 line is not ours',
              '%1 lines are not ours',
              model.strangeLines
            )}
          </span>
        )}
      </span>
      {selected.size > 0 && (
        <button
          className="jp-AIQueue-link"
          onClick={() => model.clearSelection()}
          type="button"
        >
          {trans._n('Deselect %1 job', 'Deselect %1 jobs', selected.size)}
        </button>
      )}
      <button
        className="jp-AIQueueMain-button"
        data-aiq-action="compare"
        disabled={!canCompare}
        onClick={() => onCompare([...selected])}
        title={
          canCompare
            ? undefined
            : trans.__('Select %1 to %2 jobs to compare them.', FEWEST, MOST)
        }
        type="button"
      >
        {trans.__('Compare')}
      </button>
    </div>
  );
}
