import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IGroupLoad, ILoad } from '../api';
import type { ServerClock } from '../clock';
import { startReason, whenText } from '../expectation';
import { briefly } from '../duration';
import { GroupDetails } from './groupDetails';
import { LoadBar } from './loadBar';
import { describeSource, Measure } from './measure';
import { Sparkline } from './sparkline';

/**
 * One line per worker group: what waits, what runs, who works, and the last minutes.
 */
export function GroupTable(props: {
  clock: ServerClock;

  /**
   * Those of the load that are shown.
   */
  groups: readonly IGroupLoad[];
  load: ILoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { clock, groups, load, trans } = props;
  if (groups.length === 0) {
    return (
      <p className="jp-AIQueue-quiet" data-aiq-empty="no-groups">
        {load.groups.length > 0
          ? trans.__(
              'None of the groups that the settings name is on this broker.'
            )
          : load.broker.state === 'up'
            ? trans.__('There are no worker groups on this broker.')
            : trans.__('Nothing is known of the worker groups.')}
      </p>
    );
  }
  return (
    <>
      <p aria-live="polite" className="jp-AIQueue-spoken">
        {groups.map(group => spoken(group, trans)).join(' ')}
      </p>
      <table className="jp-AIQueue-groups">
        <thead>
          <tr>
            <th scope="col">{trans.__('Group')}</th>
            <th scope="col" title={trans.__('Jobs that wait for a slot')}>
              {trans.__('Waiting')}
            </th>
            <th scope="col" title={trans.__('Jobs that run, of the slots')}>
              {trans.__('Running')}
            </th>
            <th scope="col" title={trans.__('Workers that are alive')}>
              {trans.__('Workers')}
            </th>
          </tr>
        </thead>
        {groups.map(group => (
          <GroupRow
            clock={clock}
            group={group}
            key={group.name}
            load={load}
            trans={trans}
          />
        ))}
      </table>
      {(load.retrying.value ?? 0) > 0 && (
        <p className="jp-AIQueue-quiet">
          {trans._n(
            '%1 job waits for its next attempt.',
            '%1 jobs wait for their next attempt.',
            load.retrying.value ?? 0
          )}
        </p>
      )}
    </>
  );
}

function GroupRow(props: {
  clock: ServerClock;
  group: IGroupLoad;
  load: ILoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { clock, group, load, trans } = props;
  const [isOpen, setOpen] = React.useState(false);
  const Caret = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <tbody className={isOpen ? 'jp-mod-open' : ''} data-aiq-group={group.name}>
      <tr className="jp-AIQueue-group" onClick={() => setOpen(!isOpen)}>
        <th scope="row">
          <button
            aria-expanded={isOpen}
            onClick={event => {
              event.stopPropagation();
              setOpen(!isOpen);
            }}
            title={group.queue ?? group.name}
            type="button"
          >
            <Caret.react tag="span" className="jp-AIQueue-caret" />
            <span className="jp-AIQueue-groupName">{group.name}</span>
            <Sparkline
              points={load.history[group.name] ?? []}
              until={load.timestamp}
              trans={trans}
            />
          </button>
        </th>
        <td
          className={(group.waiting.value ?? 0) > 0 ? 'jp-mod-strong' : ''}
          data-aiq-number="waiting"
          title={waitingTitle(group, trans)}
        >
          <Measure measured={group.waiting} trans={trans} />
        </td>
        <td
          data-aiq-number="running"
          title={describeSource(group.running, trans)}
        >
          <Measure measured={group.running} trans={trans} />
          {group.slots.value !== null && (
            <span className="jp-AIQueue-quiet"> / {group.slots.value}</span>
          )}
        </td>
        <td
          data-aiq-number="workers"
          title={describeSource(group.workers, trans)}
        >
          <Measure measured={group.workers} trans={trans} />
        </td>
      </tr>
      {group.queue === null && (
        <tr className="jp-AIQueue-outlook" onClick={() => setOpen(!isOpen)}>
          <td colSpan={4}>
            <LoadBar group={group} trans={trans} />
            <Outlook group={group} trans={trans} />
          </td>
        </tr>
      )}
      {isOpen && (
        <tr>
          <td colSpan={4}>
            <GroupDetails clock={clock} group={group} trans={trans} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

/**
 * When a job that was submitted now would start, and what else waits.
 */
function Outlook(props: {
  group: IGroupLoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { group, trans } = props;
  const when = group.start && whenText(group.start, trans);
  const lost = group.worker_list.filter(({ state }) => state === 'lost').length;
  const held = group.held.value ?? 0;
  const retrying = group.retrying.value ?? 0;
  const oldest = group.oldest.value;
  return (
    <div>
      <span data-aiq-number="start" title={startReason(group, trans)}>
        {when === null
          ? trans.__('start unknown')
          : trans.__('starts %1', when)}
      </span>
      {oldest !== null && (
        <span
          data-aiq-number="oldest"
          title={describeSource(group.oldest, trans)}
        >
          {trans.__('oldest waits %1', briefly(oldest * 1000, trans))}
        </span>
      )}
      {retrying > 0 && (
        <span
          data-aiq-number="retrying"
          title={describeSource(group.retrying, trans)}
        >
          {trans.__('%1 retrying', retrying)}
        </span>
      )}
      {held > 0 && (
        <span data-aiq-number="held" title={describeSource(group.held, trans)}>
          {trans.__('%1 held', held)}
        </span>
      )}
      {lost > 0 && (
        <span className="jp-mod-lost" data-aiq-number="lost">
          {trans._n('%1 worker lost', '%1 workers lost', lost)}
        </span>
      )}
    </div>
  );
}

function waitingTitle(group: IGroupLoad, trans: TranslationBundle): string {
  const parts = Object.entries(group.waiting_by_priority).map(
    ([priority, count]) => `${priority}: ${count.value ?? '—'}`
  );
  return [...parts, describeSource(group.waiting, trans)].join('\n');
}

/**
 * A group's numbers as a sentence, for who cannot see the table.
 */
function spoken(group: IGroupLoad, trans: TranslationBundle): string {
  const word = (value: number | null) => value ?? trans.__('unknown');
  return trans.__(
    '%1: %2 waiting, %3 of %4 running.',
    group.name,
    word(group.waiting.value),
    word(group.running.value),
    word(group.slots.value)
  );
}
