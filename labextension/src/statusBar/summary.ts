/* The queue in a few words, for the status bar. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IGroupLoad, ILoad } from '../api';
import { briefly, roughly } from '../duration';
import { chosenGroups } from '../load';
import type { QueueModel } from '../model';

/**
 * Groups with a number of their own, at most; the others are in the title.
 */
const MOST = 2;

/**
 * What is older than this is said to be old, milliseconds.
 */
const OLD_MS = 15_000;

/**
 * What an event tells is told without a forecast; the last one goes with it for so long,
 * milliseconds.
 */
const FORECAST_MS = 60_000;

/**
 * What the item says.
 */
export interface ISummary {
  readonly text: string;
  readonly title: string;

  /**
   * Whether this is what was known last, and nobody keeps it up to date.
   */
  readonly isOld: boolean;

  /**
   * Whether it is not known how busy the system is.
   */
  readonly isTrouble: boolean;
}

/**
 * Say how busy the system is, as far as it is known: "train 3 waiting, ~12 min".
 *
 * @param isConnected - Whether the application has a connection to its server.
 */
export function summarize(
  model: QueueModel,
  isConnected: boolean,
  trans: TranslationBundle
): ISummary {
  const trouble = troubleOf(model, isConnected, trans);
  if (trouble !== null) {
    const [text, why] = trouble;
    return {
      text: trans.__('Queue: %1', text),
      title: [why, trans.__('Click to open the experiment queue.')].join('\n'),
      isOld: false,
      isTrouble: true
    };
  }
  const load = model.load as ILoad;
  const groups = chosenGroups(load, model.groups);
  const age = model.clock.since(load.timestamp);
  const isOld = age > OLD_MS;
  const words = isOld
    ? trans.__('%1 (%2 ago)', inWords(model, trans), briefly(age, trans))
    : inWords(model, trans);
  return {
    text: words,
    title: [
      ...groups.map(group => lineOf(group, trans)),
      isOld
        ? trans.__('As of %1 ago. Click to look again.', briefly(age, trans))
        : trans.__('Click to open the experiment queue.')
    ].join('\n'),
    isOld,
    isTrouble: false
  };
}

/**
 * Why it is not known how busy the system is: in a word, and in a sentence.
 */
function troubleOf(
  model: QueueModel,
  isConnected: boolean,
  trans: TranslationBundle
): readonly [string, string] | null {
  const { failure, load } = model;
  if (!isConnected || failure?.kind === 'no-server') {
    return [
      trans.__('no connection'),
      trans.__(
        'The Jupyter server does not answer. Running jobs are not affected.'
      )
    ];
  }
  switch (failure?.kind) {
    case 'no-extension':
      return [trans.__('server part missing'), failure.message];
    case 'no-permission':
      return [trans.__('no permission'), failure.message];
    case 'broker':
      return [trans.__('broker away'), failure.message];
    case 'other':
      return [trans.__('unknown'), failure.message];
  }
  if (load === null) {
    return [trans.__('unknown'), trans.__('Nobody has looked yet.')];
  }
  if (load.broker.state !== 'up') {
    return [
      trans.__('broker away'),
      load.broker.message ?? trans.__('The broker cannot be asked now.')
    ];
  }
  return null;
}

function inWords(model: QueueModel, trans: TranslationBundle): string {
  const load = model.load as ILoad;
  const groups = chosenGroups(load, model.groups);
  const told = Date.parse(model.toldAt ?? '');
  const hasForecast = Date.parse(load.timestamp) - told <= FORECAST_MS;
  const waiting = groups.filter(group => (group.waiting.value ?? 0) > 0);
  if (waiting.length > 0) {
    const parts = waiting
      .slice(0, MOST)
      .map(group => groupInWords(group, hasForecast, trans));
    const more = waiting.length - MOST;
    return [...parts, ...(more > 0 ? [trans.__('+%1 groups', more)] : [])].join(
      ' · '
    );
  }
  return groups.length > 0 && groups.every(({ waiting }) => waiting.value === 0)
    ? trans.__('Queue: nothing waits')
    : trans.__('Queue: %1', trans.__('unknown'));
}

function groupInWords(
  group: IGroupLoad,
  hasForecast: boolean,
  trans: TranslationBundle
): string {
  const middle = hasForecast ? (group.start?.middle ?? null) : null;
  const { value } = group.waiting;
  return middle === null
    ? trans.__('%1 %2 waiting', group.name, value)
    : trans.__('%1 %2 waiting, ~%3', group.name, value, roughly(middle, trans));
}

function lineOf(group: IGroupLoad, trans: TranslationBundle): string {
  const word = (value: number | null) => value ?? trans.__('unknown');
  return trans.__(
    '%1: %2 waiting, %3 of %4 running.',
    group.name,
    word(group.waiting.value),
    word(group.running.value),
    word(group.slots.value)
  );
}
