import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IForecastReply, IJobRecord, IResult } from '../api';
import type { ServerClock } from '../clock';
import { briefly, exactly, localTime } from '../duration';
import { formatBytes, formatValue, orderedMetrics } from '../quantity';
import { isFinal, shortId } from '../state';
import { Age, Sentence } from './frame';

type Fact = readonly [name: string, value: React.ReactNode];

/**
 * Everything known of a job.
 */
export function JobDetails(props: {
  clock: ServerClock;
  forecast: IForecastReply | null;
  id: string;
  job: IJobRecord;
  logFailure: string | null;
  logText: string | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { clock, id, job, trans } = props;
  const text = props.logText ?? job.log_tail;
  return (
    <div className="jp-AIQueue-details" id={id}>
      <Facts
        facts={[
          ...prospect(job, props.forecast, trans),
          ...course(job, clock, trans)
        ]}
      />
      <Part
        facts={Object.entries(job.config).map(([key, value]) => [
          key,
          formatValue(value)
        ])}
        title={trans.__('Config')}
      />
      <Part
        facts={orderedMetrics(job.metrics).map(name => [
          name,
          formatValue(job.metrics[name])
        ])}
        title={trans.__('Metrics')}
      />
      {job.result && (
        <Part facts={outcome(job.result, trans)} title={trans.__('Result')} />
      )}
      <h4>{trans.__('Log')}</h4>
      {props.logFailure && (
        <p className="jp-AIQueue-actionFailure" role="alert">
          <Sentence text={props.logFailure} />
        </p>
      )}
      {text ? (
        <Log
          label={trans.__('Log of job %1', shortId(job.job_id))}
          text={text}
        />
      ) : (
        !props.logFailure && (
          <p className="jp-AIQueue-quiet">
            {props.logText === null
              ? trans.__('Asking for the log…')
              : isFinal(job.state)
                ? trans.__('The job wrote no output.')
                : trans.__('No output yet.')}
          </p>
        )
      )}
    </div>
  );
}

/**
 * What a job waits for, and what is expected of it.
 */
function prospect(
  job: IJobRecord,
  reply: IForecastReply | null,
  trans: TranslationBundle
): Fact[] {
  if (job.state === 'held' && job.hold) {
    return [[trans.__('waits for'), <code key="hold">{job.hold}</code>]];
  }
  if (job.state !== 'queued' || reply === null) {
    return [];
  }
  const sentences = reply.forecast?.sentences ?? [reply.missing ?? ''];
  return [
    [
      trans.__('forecast'),
      sentences.map(sentence => (
        <p key={sentence}>
          <Sentence text={sentence} />
        </p>
      ))
    ]
  ];
}

/**
 * How the job went: attempts, worker, times.
 */
function course(
  job: IJobRecord,
  clock: ServerClock,
  trans: TranslationBundle
): Fact[] {
  const facts: Fact[] = [];
  if (job.reason) {
    facts.push([
      trans.__('reason'),
      <Sentence key="reason" text={job.reason} />
    ]);
  }
  facts.push([
    trans.__('attempt'),
    job.attempt > 0
      ? trans.__('%1 of %2', job.attempt, job.max_attempts)
      : trans.__('none yet, of %1', job.max_attempts)
  ]);
  if (job.next_attempt_at) {
    facts.push([trans.__('next attempt'), localTime(job.next_attempt_at)]);
  }
  if (job.worker) {
    facts.push([trans.__('worker'), job.worker]);
  }
  if (job.group) {
    const queue = job.priority ? `${job.group} · ${job.priority}` : job.group;
    facts.push([trans.__('group'), queue]);
  }
  const times: [string, string | null][] = [
    [trans.__('submitted'), job.submitted_at],
    [trans.__('started'), job.started_at],
    [trans.__('ended'), job.ended_at]
  ];
  for (const [name, time] of times) {
    if (time) {
      facts.push([name, localTime(time)]);
    }
  }
  if (job.state === 'running' && job.updated_at) {
    facts.push([
      trans.__('last news'),
      <Age
        clock={clock}
        format={age => trans.__('%1 ago', briefly(age, trans))}
        key="age"
        since={job.updated_at}
      />
    ]);
  }
  if (job.retry_of) {
    facts.push([trans.__('repeats'), job.retry_of]);
  }
  if (job.duplicates > 0) {
    facts.push([
      trans.__('ran again'),
      trans._n(
        '%1 more time; the first end counts',
        '%1 more times; the first end counts',
        job.duplicates
      )
    ]);
  }
  facts.push([trans.__('id'), <code key="id">{job.job_id}</code>]);
  return facts;
}

/**
 * What the last attempt came to.
 */
function outcome(result: IResult, trans: TranslationBundle): Fact[] {
  const facts: [string, string | null | undefined][] = [
    [trans.__('exit code'), text(result.exit_code)],
    [trans.__('duration'), duration(result.duration_s, trans)],
    [trans.__('CPU time'), duration(result.cpu_s, trans)],
    [
      trans.__('peak memory'),
      typeof result.peak_memory_bytes === 'number'
        ? formatBytes(result.peak_memory_bytes)
        : null
    ],
    [trans.__('host'), result.host],
    [trans.__('environment'), result.environment],
    [trans.__('commit'), result.git_commit],
    [trans.__('folder'), result.run_dir]
  ];
  return facts.flatMap(([name, value]) => (value ? [[name, value]] : []));
}

function text(value: number | null | undefined): string | null {
  return typeof value === 'number' ? String(value) : null;
}

function duration(
  seconds: number | null | undefined,
  trans: TranslationBundle
): string | null {
  return typeof seconds === 'number' ? exactly(seconds, trans) : null;
}

function Part(props: { facts: Fact[]; title: string }): JSX.Element | null {
  return props.facts.length === 0 ? null : (
    <>
      <h4>{props.title}</h4>
      <Facts facts={props.facts} />
    </>
  );
}

function Facts(props: { facts: Fact[] }): JSX.Element {
  return (
    <dl>
      {props.facts.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

/**
 * The end of the output. It stays at the end while it grows, unless the reader scrolled up.
 */
function Log(props: { label: string; text: string }): JSX.Element {
  const ref = React.useRef<HTMLPreElement>(null);
  const follows = React.useRef(true);
  React.useLayoutEffect(() => {
    const node = ref.current;
    if (node && follows.current) {
      node.scrollTop = node.scrollHeight;
    }
  }, [props.text]);
  return (
    <pre
      aria-label={props.label}
      className="jp-AIQueue-log"
      onScroll={event => {
        const node = event.currentTarget;
        follows.current =
          node.scrollHeight - node.scrollTop - node.clientHeight < 4;
      }}
      ref={ref}
      role="log"
      tabIndex={0}
    >
      {props.text}
    </pre>
  );
}
