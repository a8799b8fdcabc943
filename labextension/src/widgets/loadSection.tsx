import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IBrokerLoad, ILoad } from '../api';
import type { ServerClock } from '../clock';
import { briefly } from '../duration';
import type { IFailure } from '../failure';
import { brokerIcon } from '../icons';
import { chosenGroups } from '../load';
import type { QueueModel } from '../model';
import { formatBytes } from '../quantity';
import { Age, Banner, Section, Sentence } from './frame';
import { GroupTable } from './groupTable';

/**
 * The start of an address, which says little in a narrow line.
 */
const SCHEME = /^amqps?:\/\//;

/**
 * How busy the system is, and how old that knowledge is.
 */
export function LoadSection(props: {
  model: QueueModel;
  onRetry: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { model, onRetry, trans } = props;
  const { clock, failure, load } = model;
  const again = { label: trans.__('Look again'), onClick: onRetry };
  return (
    <Section
      extra={load && <LoadAge clock={clock} load={load} trans={trans} />}
      folds={model.folds}
      name="load"
      title={trans.__('Load')}
    >
      {failure && (
        <Banner action={again} kind="error" name={failure.kind}>
          <FailureText failure={failure} trans={trans} />
        </Banner>
      )}
      {load === null ? (
        !failure && (
          <p className="jp-AIQueue-quiet">{trans.__('Asking the server…')}</p>
        )
      ) : (
        <>
          <BrokerLine broker={load.broker} trans={trans} />
          {load.broker.state !== 'up' && (
            <Banner action={again} kind="error" name="broker-down">
              <Sentence
                text={
                  load.broker.message ??
                  trans.__('The broker cannot be asked now.')
                }
              />
            </Banner>
          )}
          {load.broker.alarms !== null && load.broker.alarms !== 'none' && (
            <Banner kind="warning" name="alarms">
              {trans.__(
                'The broker takes no new jobs until this alarm ends: %1.',
                load.broker.alarms
              )}
            </Banner>
          )}
          <GroupTable
            clock={clock}
            groups={chosenGroups(load, model.groups)}
            load={load}
            trans={trans}
          />
          {load.notes.map(note => (
            <Banner kind="note" key={note} name="note">
              <Sentence text={note} />
            </Banner>
          ))}
        </>
      )}
    </Section>
  );
}

/**
 * How old the snapshot is.
 */
function LoadAge(props: {
  clock: ServerClock;
  load: ILoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { clock, load, trans } = props;
  const format = React.useCallback(
    (age: number) => trans.__('as of %1 ago', briefly(age, trans)),
    [trans]
  );
  return (
    <Age
      className="jp-AIQueue-age"
      clock={clock}
      format={format}
      since={load.timestamp}
      title={trans.__('When these numbers were true')}
    />
  );
}

/**
 * Which broker, its version, and whether it answers.
 */
function BrokerLine(props: {
  broker: IBrokerLoad;
  trans: TranslationBundle;
}): JSX.Element {
  const { broker, trans } = props;
  const words: Readonly<Record<string, string>> = {
    up: trans.__('up'),
    down: trans.__('down'),
    unknown: trans.__('unknown')
  };
  const location = broker.location?.replace(SCHEME, '');
  const room = [
    broker.memory.value !== null &&
      trans.__(
        'memory: %1 of the limit',
        `${Math.round(100 * broker.memory.value)} %`
      ),
    broker.disk_free.value !== null &&
      trans.__('disk: %1 free', formatBytes(broker.disk_free.value))
  ].filter(Boolean);
  return (
    <div className="jp-AIQueue-broker" data-aiq-broker={broker.state}>
      <brokerIcon.react tag="span" className="jp-AIQueue-brokerIcon" />
      <span
        className="jp-AIQueue-brokerLocation"
        title={broker.location ?? undefined}
      >
        {location ?? trans.__('no broker')}
      </span>
      {broker.version && (
        <span
          className="jp-AIQueue-quiet"
          title={trans.__('RabbitMQ %1', broker.version)}
        >
          {broker.version}
        </span>
      )}
      <span
        className="jp-AIQueue-brokerState"
        title={room.join('\n') || undefined}
      >
        {words[broker.state] ?? broker.state}
      </span>
    </div>
  );
}

function FailureText(props: {
  failure: IFailure;
  trans: TranslationBundle;
}): JSX.Element {
  const { failure, trans } = props;
  switch (failure.kind) {
    case 'no-permission':
      return (
        <>
          {trans.__('You are not allowed to see the queue on this server.')}{' '}
          {failure.message}
        </>
      );
    case 'no-server':
      return (
        <>
          {trans.__(
            'The Jupyter server does not answer. Running jobs are not affected.'
          )}
        </>
      );
    default:
      return <Sentence text={failure.message} />;
  }
}
