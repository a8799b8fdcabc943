import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CurvesPanel } from '../charts/curvesPanel';
import { stateIcons } from '../icons';
import type { ISeries } from '../history';
import { isFinal, jobTitle, shortId } from '../state';
import { Banner, EmptyState, Sentence } from '../widgets/frame';
import { WatchedTab } from '../widgets/watched';
import { Config, Context, Metrics, Resources } from './facts';
import { Header } from './header';
import type { JobViewModel } from './model';
import { OutputView } from './outputView';
import { ResubmitForm } from './resubmitForm';
import { AttemptTable, Timeline } from './timeline';

/**
 * What the job view can do beyond its job: the application's part.
 */
export interface IJobViewActions {
  /**
   * Ask whether a running job shall be cancelled; true if so.
   */
  confirmCancel(model: JobViewModel): Promise<boolean>;
  copy(text: string): void;

  /**
   * Insert a cell that fetches the result into the notebook that was current last, or null
   * when no notebook is open.
   */
  readonly insertCell: ((id: string) => void) | null;
  openJob(id: string): void;

  /**
   * Open the notebook, at the cell that submitted the job if one can be told.
   */
  openNotebook(path: string, id: string): void;
}

/**
 * One job in the main area. It only shows what the model knows, and tells the model whether
 * anybody can see it.
 */
export class JobView extends WatchedTab<JobViewModel> {
  constructor(private readonly _options: JobView.IOptions) {
    super(_options.model);
    const { model, trans } = _options;
    this.addClass('jp-AIQueue');
    this.addClass('jp-AIQueueMain');
    this.addClass('jp-AIQueueJob');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Job %1', shortId(model.id)));
    this.node.dataset.aiqJobView = model.id;
    model.stateChanged.connect(this._name, this);
    this._name();
  }

  /**
   * Open the form for other values.
   */
  openForm(): void {
    this._setForm(true);
  }

  protected override render(): JSX.Element {
    const { actions, trans } = this._options;
    const model = this._options.model;
    const { job } = model;
    if (job === null) {
      return <NoJob model={model} trans={trans} />;
    }
    const isRecordedOnly = model.origin === 'ledger';
    return (
      <>
        <Header
          actions={actions}
          isFormOpen={this._isFormOpen}
          model={model}
          onForm={() => this._setForm(!this._isFormOpen)}
          trans={trans}
        />
        {model.failure && (
          <Banner
            action={{
              label: trans.__('Look again'),
              onClick: () => void model.refresh()
            }}
            kind="error"
            name="job"
          >
            {trans.__('What is shown may be out of date.')}{' '}
            <Sentence text={model.failure.message} />
          </Banner>
        )}
        {isRecordedOnly && (
          <Banner kind="note" name="ledger">
            {trans.__(
              'Read from the ledger %1: the server does not know this job, so nothing can be done with it, and there is no live output.',
              job.ledger ?? ''
            )}
          </Banner>
        )}
        {this._isFormOpen && (
          <ResubmitForm
            failure={model.actions.failure(model.id)}
            isBusy={model.actions.pending(model.id) !== null}
            job={job}
            onClose={() => this._setForm(false)}
            onSubmit={written => void this._resubmit(written)}
            trans={trans}
          />
        )}
        <div className="jp-AIQueueJob-body">
          <div className="jp-AIQueueJob-course">
            <Timeline model={model} trans={trans} />
            <AttemptTable attempts={model.attempts} trans={trans} />
            <Curves model={model} trans={trans} />
            <OutputView
              failure={model.outputFailure}
              isOver={isFinal(job.state)}
              label={trans.__('Log of job %1', shortId(model.id))}
              missing={model.output.missing}
              text={model.output.text}
              trans={trans}
            />
          </div>
          <div className="jp-AIQueueJob-facts">
            <Metrics job={job} trans={trans} />
            <Config job={job} trans={trans} />
            <Resources job={job} trans={trans} />
            <Context actions={actions} model={model} trans={trans} />
          </div>
        </div>
      </>
    );
  }

  private async _resubmit(
    written: Readonly<Record<string, string>>
  ): Promise<void> {
    const id = await this._options.model.retry(written);
    if (id !== null) {
      this._setForm(false);
      this._options.actions.openJob(id);
    }
  }

  private _setForm(isOpen: boolean): void {
    this._isFormOpen = isOpen;
    this.update();
  }

  private _name(): void {
    const { model, trans } = this._options;
    const { job } = model;
    this.title.label = job
      ? `${jobTitle(job, trans)} ${shortId(model.id)}`
      : trans.__('Job %1', shortId(model.id));
    this.title.caption = model.id;
    this.title.icon = stateIcons[job?.state ?? 'held'] ?? stateIcons.held;
  }

  private _isFormOpen = false;
}

/**
 * The namespace of `JobView`.
 */
export namespace JobView {
  export interface IOptions {
    actions: IJobViewActions;
    model: JobViewModel;
    trans: TranslationBundle;
  }
}

/**
 * Nothing is known of the job: not yet, or why not.
 */
function NoJob(props: {
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { model, trans } = props;
  const { failure } = model;
  const action = {
    label: trans.__('Look again'),
    onClick: () => void model.refresh()
  };
  if (failure === null) {
    return (
      <p className="jp-AIQueue-quiet" role="status">
        {trans.__('Looking for the job…')}
      </p>
    );
  }
  if (model.isUnknown) {
    return (
      <EmptyState
        action={action}
        name="unknown-job"
        title={trans.__('This job is not known here')}
      >
        <p>
          {trans.__(
            'No ledger of yours has the job %1. Its ledger may have been deleted, or the job may be somebody else’s.',
            model.id
          )}
        </p>
      </EmptyState>
    );
  }
  if (failure.kind === 'no-extension') {
    return (
      <EmptyState
        action={action}
        name="no-extension"
        title={trans.__('The server part is missing')}
      >
        <p>
          {trans.__(
            'This Jupyter server does not run the jupyter_aiqueue extension. Recorded jobs can be read without it: open the ledger beside the notebook (its name ends in .jobs.jsonl).'
          )}
        </p>
      </EmptyState>
    );
  }
  return (
    <EmptyState
      action={action}
      name="no-answer"
      title={trans.__('The job cannot be looked at now')}
    >
      <p>
        <Sentence text={failure.message} />
      </p>
    </EmptyState>
  );
}

/**
 * Curves of the metrics, one line per attempt.
 */
function Curves(props: {
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { model, trans } = props;
  const { job, series } = model;
  if (job === null || (series.length === 0 && job.attempt === 0)) {
    return null;
  }
  return (
    <section
      aria-label={trans.__('Curves')}
      className="jp-AIQueueMain-section"
      data-aiq-section="curves"
    >
      <h3>{trans.__('Curves')}</h3>
      {series.length === 0 ? (
        <p className="jp-AIQueue-quiet">
          {isFinal(job.state)
            ? trans.__('The job has reported no numbers.')
            : trans.__('No numbers have been reported yet.')}
        </p>
      ) : (
        <>
          <CurvesPanel
            all={series.map(one => ({
              mark: String(one.attempt),
              label: trans.__('attempt %1', one.attempt),
              series: one
            }))}
            trans={trans}
          />
          <Provenance series={series} trans={trans} />
        </>
      )}
    </section>
  );
}

/**
 * How much of the truth the curves are.
 */
function Provenance(props: {
  series: readonly ISeries[];
  trans: TranslationBundle;
}): JSX.Element | null {
  const { series, trans } = props;
  return series.every(one => one.complete) ? null : (
    <p className="jp-AIQueue-quiet jp-AIQueueMain-remark">
      {trans.__(
        'Heard live, once a second at most and since the Jupyter server runs. When the attempt ends, its worker sends all of its curves.'
      )}
    </p>
  );
}
