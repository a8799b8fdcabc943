import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { BulkBar } from '../jobList/bulkBar';
import { JobRows } from '../jobList/rows';
import { JobTools } from '../jobList/tools';
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
  const { list } = jobs;
  const onOpen = React.useCallback(
    (id: string) => {
      jobs.list.activate(id);
      jobs.select(jobs.selected?.id === id ? null : id);
    },
    [jobs]
  );
  const onSelect = React.useCallback(
    (id: string, extend: boolean) =>
      extend ? jobs.list.extendTo(id) : jobs.list.toggle(id),
    [jobs]
  );
  const onSee = React.useCallback(
    (id: string, isSeen: boolean) => jobs.see(id, isSeen),
    [jobs]
  );
  const records = jobs.records ?? [];
  const older = jobs.isLoading ? 0 : jobs.total - records.length;
  return (
    <Section
      extra={
        <span aria-live="polite" className="jp-AIQueue-count">
          {jobs.records && jobs.total > 0 ? jobs.total : ''}
        </span>
      }
      folds={model.folds}
      name="jobs"
      title={trans.__('Jobs')}
    >
      <div className="jp-AIQueue-tools">
        <ScopeSwitch jobs={jobs} trans={trans} />
        {records.length > 0 && <JobTools jobs={jobs} trans={trans} />}
        <BulkBar jobs={jobs} trans={trans} />
      </div>
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
      ) : list.rows.length === 0 ? (
        <NoMatch jobs={jobs} trans={trans} />
      ) : (
        <JobRows label={trans.__('Jobs')} list={list} onOpen={onOpen}>
          {(job, index, elementId) => {
            const id = job.job_id;
            const isOpen = jobs.selected?.id === id;
            return (
              <JobRow
                action={jobs.actions.pending(id)}
                actionFailure={jobs.actions.failure(id)}
                clock={model.clock}
                commands={commands}
                forecast={jobs.forecasts.get(id)}
                id={elementId}
                index={index}
                isActive={list.active === id}
                isOpen={isOpen}
                isSelected={list.isSelected(id)}
                job={job}
                key={id}
                logFailure={(isOpen && jobs.selected?.failure) || null}
                logText={isOpen ? (jobs.selected?.text ?? null) : null}
                onOpen={onOpen}
                onSee={onSee}
                onSelect={onSelect}
                showsNotebook={jobs.scope === 'all'}
                trans={trans}
              />
            );
          }}
        </JobRows>
      )}
      {jobs.isLoading && (
        <p className="jp-AIQueue-quiet">{trans.__('Older jobs follow…')}</p>
      )}
      {older > 0 && (
        <button
          className="jp-AIQueue-link jp-AIQueue-more"
          onClick={() => void jobs.fetchMore()}
          type="button"
        >
          {trans._n('%1 older job', '%1 older jobs', older)}
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
 * There are jobs, and none that fits.
 */
function NoMatch(props: {
  jobs: JobsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { jobs, trans } = props;
  return (
    <EmptyState
      action={{
        label: trans.__('Show all jobs'),
        onClick: () => jobs.list.showAll()
      }}
      name="no-match"
      title={trans.__('No job fits')}
    />
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
