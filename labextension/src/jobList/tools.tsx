import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { stateIcons } from '../icons';
import type { JobsModel } from '../jobs';
import { stateWord } from '../state';
import { IconButton } from '../widgets/frame';
import type { Order } from './order';
import { ORDERS, STATES } from './order';

/**
 * Search, order, and the states that jobs are in.
 */
export function JobTools(props: {
  jobs: JobsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { jobs, trans } = props;
  const { list } = jobs;
  return (
    <>
      <div className="jp-AIQueue-search">
        <input
          aria-label={trans.__('Search jobs')}
          className="jp-mod-styled"
          onChange={event => {
            list.text = event.target.value;
          }}
          onKeyDown={event => {
            if (event.key === 'Escape' && list.text !== '') {
              event.stopPropagation();
              list.text = '';
            }
          }}
          placeholder={trans.__('Search jobs')}
          title={trans.__(
            'Id, name, task, state, group, notebook, worker, user, or key=value of the config'
          )}
          type="search"
          value={list.text}
        />
        <select
          aria-label={trans.__('Order of jobs')}
          onChange={event => {
            list.order = event.target.value as Order;
          }}
          title={trans.__('Order of jobs')}
          value={list.order}
        >
          {ORDERS.map(order => (
            <option key={order} value={order}>
              {orderWord(order, trans)}
            </option>
          ))}
        </select>
      </div>
      <div className="jp-AIQueue-chips">
        <div
          aria-label={trans.__('States of jobs')}
          className="jp-AIQueue-chipGroup"
          role="group"
        >
          {STATES.filter(
            state => list.counts.has(state) || list.states.has(state)
          ).map(state => {
            const Icon = stateIcons[state];
            const word = stateWord({ cancelling: false, state }, trans);
            const isPressed = list.states.has(state);
            const count = list.counts.get(state) ?? 0;
            return (
              <button
                aria-label={`${word}: ${count}`}
                aria-pressed={isPressed}
                className="jp-AIQueue-chip"
                data-aiq-chip={state}
                data-aiq-state={state}
                key={state}
                onClick={() => list.toggleState(state)}
                title={word}
                type="button"
              >
                <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
                {isPressed ? `${word} ${count}` : count}
              </button>
            );
          })}
        </div>
        <span aria-live="polite" className="jp-AIQueue-matches">
          {list.isFiltered &&
            trans.__('%1 of %2', list.rows.length, jobs.records?.length ?? 0)}
        </span>
        {list.isFiltered && (
          <IconButton
            icon={closeIcon}
            label={trans.__('Show all jobs')}
            onClick={() => list.showAll()}
          />
        )}
      </div>
    </>
  );
}

function orderWord(order: Order, trans: TranslationBundle): string {
  switch (order) {
    case 'newest':
      return trans.__('newest');
    case 'oldest':
      return trans.__('oldest');
    case 'changed':
      return trans.__('recently changed');
    case 'state':
      return trans.__('by state');
    case 'name':
      return trans.__('by name');
  }
}
