import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IGroupLoad, IMeasured, IWorkerLoad } from '../api';
import type { ServerClock } from '../clock';
import { briefly } from '../duration';
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
    [trans.__('arriving'), perMinute(group.arrival_rate)],
    [trans.__('finishing'), perMinute(group.completion_rate)]
  ];
  return (
    <div className="jp-AIQueue-groupDetails">
      <dl>
        {Object.entries(group.waiting_by_priority).map(([priority, count]) => (
          <Pair key={priority} name={priority}>
            <span title={describeSource(count, trans)}>
              <Measure measured={count} trans={trans} />
            </span>
          </Pair>
        ))}
        <Pair name={trans.__('dead')}>
          <span title={describeSource(group.dead, trans)}>
            <Measure measured={group.dead} trans={trans} />
          </span>
        </Pair>
        {rates.map(
          ([name, rate]) =>
            rate.value !== null && (
              <Pair key={name} name={name}>
                <span title={describeSource(rate, trans)}>
                  <Measure measured={rate} trans={trans} />
                  {trans.__('/min')}
                </span>
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
        </span>
      </div>
      {worker.running.map(run => (
        <div className="jp-AIQueue-run" key={run.job_id}>
          <span>{run.name ?? run.task ?? shortId(run.job_id)}</span>
          {run.user && <span>{run.user}</span>}
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
