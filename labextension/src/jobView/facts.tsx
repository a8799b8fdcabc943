import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IJobRecord } from '../api';
import { exactly, localTime } from '../duration';
import { formatBytes, formatValue, orderedMetrics } from '../quantity';
import { shortId } from '../state';
import type { JobViewModel } from './model';
import type { IJobViewActions } from './widget';

type Fact = readonly [name: string, value: React.ReactNode];

/**
 * A heading and what is known under it; nothing at all if nothing is.
 */
function Facts(props: {
  facts: readonly (Fact | null)[];
  name: string;
  title: string;
}): JSX.Element | null {
  const facts = props.facts.filter((fact): fact is Fact => fact !== null);
  return facts.length === 0 ? null : (
    <section
      aria-label={props.title}
      className="jp-AIQueueMain-section"
      data-aiq-section={props.name}
    >
      <h3>{props.title}</h3>
      <dl>
        {facts.map(([name, value]) => (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </React.Fragment>
        ))}
      </dl>
    </section>
  );
}

function fact(name: string, value: React.ReactNode): Fact | null {
  return value === null || value === undefined || value === ''
    ? null
    : [name, value];
}

/**
 * The last value of each metric.
 */
export function Metrics(props: {
  job: IJobRecord;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { job, trans } = props;
  return (
    <Facts
      facts={orderedMetrics(job.metrics).map(name => [
        name,
        formatValue(job.metrics[name])
      ])}
      name="metrics"
      title={trans.__('Metrics')}
    />
  );
}

/**
 * The parameters of the experiment.
 */
export function Config(props: {
  job: IJobRecord;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { job, trans } = props;
  return (
    <Facts
      facts={Object.entries(job.config)
        // The job's id, put there for consumers that read nothing but the body.
        .filter(([key]) => key !== 'task_id')
        .map(([key, value]) => [
          key,
          typeof value === 'object' && value !== null ? (
            <code key={key}>{JSON.stringify(value)}</code>
          ) : (
            formatValue(value)
          )
        ])}
      name="config"
      title={trans.__('Config')}
    />
  );
}

/**
 * What the last attempt used.
 */
export function Resources(props: {
  job: IJobRecord;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { job, trans } = props;
  const { result } = job;
  const duration = (seconds: number | null | undefined) =>
    typeof seconds === 'number' ? exactly(seconds, trans) : null;
  const memory = result?.peak_memory_bytes;
  return (
    <Facts
      facts={[
        fact(trans.__('duration'), duration(result?.duration_s)),
        fact(trans.__('CPU time'), duration(result?.cpu_s)),
        fact(
          trans.__('peak memory'),
          typeof memory === 'number' ? formatBytes(memory) : null
        ),
        fact(trans.__('exit code'), result?.exit_code?.toString()),
        fact(trans.__('worker'), job.worker),
        fact(trans.__('host'), result?.host)
      ]}
      name="resources"
      title={trans.__('Resources')}
    />
  );
}

/**
 * Where it comes from and what it ran in.
 */
export function Context(props: {
  actions: IJobViewActions;
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { actions, model, trans } = props;
  const { job } = model;
  if (job === null) {
    return null;
  }
  const { path, result, retry_of } = job;
  const link = (label: string, onClick: () => void) => (
    <button className="jp-AIQueue-link" onClick={onClick} type="button">
      {label}
    </button>
  );
  return (
    <Facts
      facts={[
        fact(
          trans.__('notebook'),
          path === null
            ? job.notebook
            : link(path, () => actions.openNotebook(path, job.job_id))
        ),
        fact(
          trans.__('repeats'),
          retry_of && link(shortId(retry_of), () => actions.openJob(retry_of))
        ),
        fact(trans.__('task'), job.task),
        fact(
          trans.__('group'),
          job.priority ? `${job.group} · ${job.priority}` : job.group
        ),
        fact(trans.__('submitted by'), job.user),
        fact(
          trans.__('submitted'),
          job.submitted_at && localTime(job.submitted_at)
        ),
        fact(trans.__('environment'), result?.environment),
        fact(trans.__('Python'), result?.python),
        fact(
          trans.__('commit'),
          result?.git_commit && <code key="commit">{result.git_commit}</code>
        ),
        fact(
          trans.__('folder'),
          result?.run_dir && <code key="folder">{result.run_dir}</code>
        ),
        fact(
          trans.__('ran again'),
          job.duplicates > 0
            ? trans._n(
                '%1 more time; the first end counts',
                '%1 more times; the first end counts',
                job.duplicates
              )
            : null
        ),
        fact(trans.__('id'), <code key="id">{job.job_id}</code>)
      ]}
      name="context"
      title={trans.__('Origin')}
    />
  );
}
