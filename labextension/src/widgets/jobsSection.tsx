import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { JobsModel, Scope } from '../jobs';
import type { QueueModel } from '../model';
import { Banner, EmptyState, Section, Sentence } from './frame';
import { JobRow } from './jobRow';

const EXAMPLE = `%load_ext jupyter_aiqueue
%submit_train --model resnet50 --epochs 10`;

/**
 * The jobs of this notebook or of all notebooks.
 */
export function JobsSection(props: {
  commands: CommandRegistry;
  model: QueueModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { commands, model, trans } = props;
  const { jobs } = model;
  const onSelect = React.useCallback(
    (id: string) => jobs.select(jobs.selected?.id === id ? null : id),
    [jobs]
  );
  const onSee = React.useCallback(
    (id: string, isSeen: boolean) => jobs.see(id, isSeen),
    [jobs]
  );
  const records = jobs.records ?? [];
  const hidden = jobs.total - records.length;
  return (
    <Section
      extra={
        <span aria-live="polite" className="jp-AIQueue-count">
          {jobs.records && jobs.total > 0 ? jobs.total : ''}
        </span>
      }
      name="jobs"
      title={trans.__('Jobs')}
    >
      <ScopeSwitch jobs={jobs} trans={trans} />
      {jobs.failure && (
        <Banner kind="error" name="jobs">
          <Sentence text={jobs.failure.message} />
        </Banner>
      )}
      {jobs.troubles.map(trouble => (
        <Banner kind="warning" key={trouble} name="trouble">
          <Sentence text={trouble} />
        </Banner>
      ))}
      {jobs.records === null ? (
        !jobs.failure &&
        !model.failure && (
          <p className="jp-AIQueue-quiet">{trans.__('Looking for jobs…')}</p>
        )
      ) : records.length === 0 ? (
        <NoJobs jobs={jobs} trans={trans} />
      ) : (
        <ul className="jp-AIQueue-jobList" role="list">
          {records.map(job => {
            const id = job.job_id;
            const isOpen = jobs.selected?.id === id;
            return (
              <JobRow
                action={jobs.actions.pending(id)}
                actionFailure={jobs.actions.failure(id)}
                clock={model.clock}
                commands={commands}
                forecast={jobs.forecasts.get(id)}
                isOpen={isOpen}
                job={job}
                key={id}
                logFailure={(isOpen && jobs.selected?.failure) || null}
                logText={isOpen ? (jobs.selected?.text ?? null) : null}
                onSee={onSee}
                onSelect={onSelect}
                showsNotebook={jobs.scope === 'all'}
                trans={trans}
              />
            );
          })}
        </ul>
      )}
      {hidden > 0 && (
        <button
          className="jp-AIQueue-link jp-AIQueue-more"
          onClick={() => void jobs.fetchMore()}
          type="button"
        >
          {trans._n('%1 older job', '%1 older jobs', hidden)}
        </button>
      )}
    </Section>
  );
}

function ScopeSwitch(props: {
  jobs: JobsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { jobs, trans } = props;
  const choices: [Scope, string, string | undefined][] = [
    ['notebook', trans.__('This notebook'), jobs.notebook ?? undefined],
    ['all', trans.__('All notebooks'), undefined]
  ];
  return (
    <div
      aria-label={trans.__('Whose jobs')}
      className="jp-AIQueue-scope"
      role="group"
    >
      {choices.map(([scope, label, title]) => (
        <button
          aria-pressed={jobs.scope === scope}
          data-aiq-scope={scope}
          key={scope}
          onClick={() => {
            jobs.scope = scope;
          }}
          title={title}
          type="button"
        >
          {label}
        </button>
      ))}
    </div>
  );
}

/**
 * Nothing to list: because no notebook is open, or because nothing was submitted yet.
 */
function NoJobs(props: {
  jobs: JobsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { jobs, trans } = props;
  if (jobs.scope === 'notebook' && jobs.notebook === null) {
    return (
      <EmptyState
        action={{
          label: trans.__('Show the jobs of all notebooks'),
          onClick: () => {
            jobs.scope = 'all';
          }
        }}
        name="no-notebook"
        title={trans.__('No notebook is open')}
      />
    );
  }
  return (
    <EmptyState
      name="no-jobs"
      title={
        jobs.scope === 'notebook'
          ? trans.__('No jobs from this notebook yet')
          : trans.__('No jobs yet')
      }
    >
      <p>{trans.__('To submit one, run in a notebook:')}</p>
      <pre>{EXAMPLE}</pre>
    </EmptyState>
  );
}
