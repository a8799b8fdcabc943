import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGroupLoad, IMeasured, IWorkerLoad } from '../api';
import type { ServerClock } from '../clock';
import { briefly } from '../duration';
import { startReason } from '../expectation';
import { shortId } from '../state';
import { Age } from './frame';
import { describeSource, Measure } from './measure';

const PER_MINUTE = 60;

/**
 * A group in detail: waiting by priority, rates, dead letters, and its workers.
 */
export function GroupDetails(props: {
  clock: ServerClock;
  group: IGroupLoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { clock, group, trans } = props;
  const rates: [string, IMeasured][] = [
    [trans.__('arriving'), group.arrival_rate],
    [trans.__('finishing'), group.completion_rate]
  ];
  const tempos: [string, Readonly<Record<string, IMeasured>>][] = [
    [trans.__('submitted'), group.submitted_rates],
    [trans.__('ended'), group.ended_rates]
  ];
  const counts: [string, IMeasured][] = [
    ...Object.entries(group.waiting_by_priority),
    [trans.__('retrying'), group.retrying],
    [trans.__('held'), group.held],
    [trans.__('dead'), group.dead]
  ];
  return (
    <div className="jp-AIQueue-groupDetails">
      {group.queue === null && (
        <p className="jp-AIQueue-basis">{startReason(group, trans)}</p>
      )}
      <dl>
        {counts.map(([name, count]) => (
          <Pair key={name} name={name}>
            <span title={describeSource(count, trans)}>
              <Measure measured={count} trans={trans} />
            </span>
          </Pair>
        ))}
        {rates.map(
          ([name, rate]) =>
            rate.value !== null && (
              <Pair key={name} name={name}>
                <span title={describeSource(rate, trans)}>
                  <Measure measured={perMinute(rate)} trans={trans} />
                  {trans.__('/min')}
                </span>
              </Pair>
            )
        )}
        {tempos.map(
          ([name, tempo]) =>
            Object.values(tempo).some(({ value }) => value !== null) && (
              <Pair key={name} name={name}>
                <Tempo tempo={tempo} trans={trans} />
              </Pair>
            )
        )}
      </dl>
      {group.worker_list.length > 0 && (
        <ul className="jp-AIQueue-workers">
          {group.worker_list.map(worker => (
            <Worker
              clock={clock}
              key={worker.worker}
              trans={trans}
              worker={worker}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

function Pair(props: { children: React.ReactNode; name: string }): JSX.Element {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

/**
 * Rates over the last minute, ten minutes and hour, as far as they are known.
 */
function Tempo(props: {
  tempo: Readonly<Record<string, IMeasured>>;
  trans: TranslationBundle;
}): JSX.Element {
  const { tempo, trans } = props;
  const windows = Object.keys(tempo).sort((a, b) => Number(a) - Number(b));
  return (
    <>
      {windows.map((seconds, i) => {
        const rate = tempo[seconds];
        const over = trans.__(
          'in the last %1 min',
          Math.round(Number(seconds) / PER_MINUTE)
        );
        return (
          <React.Fragment key={seconds}>
            {i > 0 && ' · '}
            <span title={`${over}, ${describeSource(rate, trans)}`}>
              <Measure measured={perMinute(rate)} trans={trans} />
            </span>
          </React.Fragment>
        );
      })}
      {trans.__('/min')}
    </>
  );
}

function Worker(props: {
  clock: ServerClock;
  trans: TranslationBundle;
  worker: IWorkerLoad;
}): JSX.Element {
  const { clock, trans, worker } = props;
  const format = React.useCallback(
    (age: number) => briefly(age, trans),
    [trans]
  );
  const isLost = worker.state === 'lost';
  const silent =
    typeof worker.age_s === 'number'
      ? briefly(worker.age_s * 1000, trans)
      : null;
  const words: Readonly<Record<string, string>> = {
    active: trans.__('active'),
    draining: trans.__('draining'),
    stopped: trans.__('stopped'),
    lost: trans.__('lost')
  };
  return (
    <li data-aiq-worker={worker.worker}>
      <div className="jp-AIQueue-worker">
        <span
          className="jp-AIQueue-workerName"
          title={[worker.worker, worker.host, worker.environment]
            .filter(Boolean)
            .join('\n')}
        >
          {worker.worker}
        </span>
        <span className="jp-AIQueue-quiet">
          {worker.running.length} / {worker.slots}
        </span>
        <span className={`jp-AIQueue-workerState jp-mod-${worker.state}`}>
          {words[worker.state] ?? worker.state}
          {isLost && silent !== null && ` ${silent}`}
        </span>
      </div>
      {worker.running.map(run => (
        <div className="jp-AIQueue-run" key={run.job_id}>
          <span>{run.name ?? run.task ?? shortId(run.job_id)}</span>
          {run.user && <span>{run.user}</span>}
          {isLost && (
            <span
              className="jp-mod-lost"
              title={trans.__('Nothing was heard of it since.')}
            >
              {trans.__('lost')}
            </span>
          )}
          {typeof run.progress === 'number' && (
            <span>{Math.floor(run.progress * 100)} %</span>
          )}
          {run.since && <Age clock={clock} format={format} since={run.since} />}
        </div>
      ))}
    </li>
  );
}

/**
 * The API counts per second; experiments are counted per minute.
 */
function perMinute(rate: IMeasured): IMeasured {
  return rate.value === null
    ? rate
    : { ...rate, value: Number((rate.value * PER_MINUTE).toPrecision(2)) };
}
