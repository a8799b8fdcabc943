import type { IStateDB } from '@jupyterlab/statedb';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { JobState } from '../api';
import type { Scope } from '../jobs';
import type { QueueModel } from '../model';
import type { Order } from './order';
import { ORDERS, STATES } from './order';

const KEY = 'jupyter-aiqueue:sidebar';

/**
 * Changes within this time are kept together, milliseconds.
 */
const GATHER_MS = 500;

/**
 * Show the sidebar as it was before the page was loaded, and keep how it is from now on.
 *
 * @returns Whether anything had been kept.
 */
export async function restoreSidebar(
  database: IStateDB,
  model: QueueModel
): Promise<boolean> {
  const kept = await database.fetch(KEY);
  const isKept = typeof kept === 'object' && kept !== null;
  if (isKept && !model.isDisposed) {
    apply(kept as ReadonlyPartialJSONObject, model);
  }
  let last = JSON.stringify(stateOf(model));
  let timer: ReturnType<typeof setTimeout> | undefined;
  model.stateChanged.connect(() => {
    timer ??= setTimeout(() => {
      timer = undefined;
      const state = stateOf(model);
      const text = JSON.stringify(state);
      if (text !== last && !model.isDisposed) {
        last = text;
        database.save(KEY, state).catch((reason: unknown) => {
          console.error('How the sidebar looks was not kept.', reason);
        });
      }
    }, GATHER_MS);
  });
  return isKept;
}

function stateOf({ folds, jobs }: QueueModel): ReadonlyPartialJSONObject {
  const { order, states, text } = jobs.list;
  return {
    scope: jobs.scope,
    text,
    states: [...states].sort(),
    order,
    open: jobs.open,
    folded: folds.names
  };
}

/**
 * What was kept may be of another version: what is not understood is left out.
 */
function apply(kept: ReadonlyPartialJSONObject, model: QueueModel): void {
  const { folds, jobs } = model;
  const { scope, text, states, order, open, folded } = kept;
  if (scope === 'notebook' || scope === 'all') {
    jobs.scope = scope satisfies Scope;
  }
  if (typeof text === 'string') {
    jobs.list.text = text;
  }
  if (Array.isArray(states)) {
    jobs.list.states = new Set(
      STATES.filter(state => (states as JobState[]).includes(state))
    );
  }
  if (ORDERS.includes(order as Order)) {
    jobs.list.order = order as Order;
  }
  if (typeof open === 'string') {
    jobs.openLater(open);
  }
  if (Array.isArray(folded)) {
    folds.names = folded.map(String);
  }
}
