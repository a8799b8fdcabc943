import type { TranslationBundle } from '@jupyterlab/translation';
import {
  addIcon,
  copyIcon,
  editIcon,
  redoIcon,
  runIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { briefly, exactly, localTime } from '../duration';
import { stateIcons } from '../icons';
import {
  canCancel,
  canRelease,
  canRetry,
  isFinal,
  jobTitle,
  shortId,
  stateWord
} from '../state';
import { Age, Progress, Sentence } from '../widgets/frame';
import type { JobViewModel } from './model';
import type { IJobViewActions } from './widget';

/**
 * Which job it is, how it stands, and what can be done with it.
 */
export function Header(props: {
  actions: IJobViewActions;
  isFormOpen: boolean;
  model: JobViewModel;
  onForm: () => void;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { actions, model, trans } = props;
  const { job } = model;
  if (job === null) {
    return null;
  }
  const Icon = stateIcons[job.state] ?? stateIcons.held;
  const isBusy = model.actions.pending(model.id) !== null;
  const failure = model.actions.failure(model.id);
  const isKnown = model.origin === 'server';
  const { insertCell } = actions;
  return (
    <div className="jp-AIQueueJob-header" data-aiq-state={job.state}>
      <div className="jp-AIQueueJob-title">
        <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
        <h2>{jobTitle(job, trans)}</h2>
        <code title={job.job_id}>{shortId(job.job_id)}</code>
        <span aria-live="polite" className="jp-AIQueueJob-state" role="status">
          {stateWord(job, trans)}
        </span>
        <Standing model={model} trans={trans} />
      </div>
      {job.state === 'running' && job.progress !== null && (
        <div className="jp-AIQueueJob-progress">
          <Progress trans={trans} value={job.progress} />
        </div>
      )}
      <div
        aria-label={trans.__('Actions')}
        className="jp-AIQueueJob-actions"
        role="toolbar"
      >
        {isKnown && canRelease(job) && (
          <ActionButton
            disabled={isBusy}
            icon={runIcon}
            label={trans.__('Release now')}
            name="release"
            onClick={() => void model.release()}
          />
        )}
        {isKnown && canCancel(job) && (
          <ActionButton
            disabled={isBusy}
            icon={stopIcon}
            label={trans.__('Cancel')}
            name="cancel"
            onClick={() => void cancel(model, actions)}
          />
        )}
        {isKnown && canRetry(job) && (
          <>
            <ActionButton
              disabled={isBusy}
              icon={redoIcon}
              label={trans.__('Retry')}
              name="retry"
              onClick={() => void retry(model, actions)}
            />
            <ActionButton
              disabled={isBusy}
              icon={editIcon}
              isPressed={props.isFormOpen}
              label={trans.__('Retry with changes…')}
              name="change"
              onClick={props.onForm}
            />
          </>
        )}
        <ActionButton
          icon={copyIcon}
          label={trans.__('Copy id')}
          name="copy"
          onClick={() => actions.copy(job.job_id)}
        />
        {insertCell && (
          <ActionButton
            icon={addIcon}
            label={trans.__('Insert result cell')}
            name="insert"
            onClick={() => insertCell(job.job_id)}
          />
        )}
      </div>
      {failure && !props.isFormOpen && (
        <p className="jp-AIQueue-actionFailure" role="alert">
          <Sentence text={failure} />
        </p>
      )}
      {job.reason && (
        <p className="jp-AIQueueJob-reason">
          <Sentence text={job.reason} />
        </p>
      )}
      <Prospect model={model} trans={trans} />
    </div>
  );
}

async function cancel(
  model: JobViewModel,
  actions: IJobViewActions
): Promise<void> {
  if (model.job?.state !== 'running' || (await actions.confirmCancel(model))) {
    await model.cancel();
  }
}

async function retry(
  model: JobViewModel,
  actions: IJobViewActions
): Promise<void> {
  const id = await model.retry();
  if (id !== null) {
    actions.openJob(id);
  }
}

/**
 * What a held job waits for, and what is expected of one in line.
 */
function Prospect(props: {
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { model, trans } = props;
  const { forecast, job } = model;
  if (job?.state === 'held' && job.hold) {
    return (
      <p className="jp-AIQueueJob-prospect">
        {trans.__('waits for %1', job.hold)}
      </p>
    );
  }
  if (job?.state !== 'queued' || forecast === null) {
    return null;
  }
  const sentences = forecast.forecast?.sentences ?? [forecast.missing ?? ''];
  return (
    <div className="jp-AIQueueJob-prospect">
      {sentences.map(sentence => (
        <p key={sentence}>
          <Sentence text={sentence} />
        </p>
      ))}
    </div>
  );
}

/**
 * How long it has been like this, or how long it took.
 */
function Standing(props: {
  model: JobViewModel;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { model, trans } = props;
  const format = React.useCallback(
    (age: number) => briefly(age, trans),
    [trans]
  );
  const { job } = model;
  if (job === null) {
    return null;
  }
  if (isFinal(job.state)) {
    const seconds = job.result?.duration_s;
    return (
      <span className="jp-AIQueue-quiet">
        {typeof seconds === 'number' && (
          <>{trans.__('ran %1', exactly(seconds, trans))} · </>
        )}
        {job.ended_at && localTime(job.ended_at)}
      </span>
    );
  }
  const since = job.state === 'running' ? job.started_at : job.submitted_at;
  return since === null ? null : (
    <Age
      className="jp-AIQueue-quiet"
      clock={model.clock}
      format={format}
      since={since}
      title={localTime(since)}
    />
  );
}

/**
 * A button with an icon and a word.
 */
export function ActionButton(props: {
  disabled?: boolean;
  icon: LabIcon;
  isPressed?: boolean;
  label: string;
  name: string;
  onClick: () => void;
}): JSX.Element {
  const { disabled, icon, isPressed, label, name, onClick } = props;
  return (
    <button
      aria-pressed={isPressed}
      className="jp-AIQueueMain-button"
      data-aiq-action={name}
      disabled={disabled}
      onClick={onClick}
      type="button"
    >
      <icon.react tag="span" className="jp-AIQueueMain-buttonIcon" />
      {label}
    </button>
  );
}
