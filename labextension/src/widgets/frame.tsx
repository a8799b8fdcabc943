/* What the sections of the sidebar are made of. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ServerClock } from '../clock';
import { warningIcon } from '../icons';
import type { Folds } from './folds';

/**
 * A small button that shows an icon; its label is read out and shown on hover.
 */
export function IconButton(props: {
  className?: string;
  disabled?: boolean;
  icon: LabIcon;
  label: string;
  onClick: () => void;
  tabIndex?: number;
}): JSX.Element {
  const { className = '', disabled, icon, label, onClick } = props;
  return (
    <button
      aria-label={label}
      className={`jp-AIQueue-iconButton ${className}`}
      disabled={disabled}
      onClick={event => {
        event.stopPropagation();
        onClick();
      }}
      tabIndex={props.tabIndex}
      title={label}
      type="button"
    >
      <icon.react tag={null} />
    </button>
  );
}

/**
 * A part of the sidebar that can be folded away.
 */
export function Section(props: {
  children: React.ReactNode;

  /**
   * Shown at the right end of the heading.
   */
  extra?: React.ReactNode;
  folds: Folds;
  name: string;
  title: string;
}): JSX.Element {
  const isOpen = !props.folds.has(props.name);
  const id = `jp-AIQueue-${props.name}`;
  const Caret = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <section
      aria-labelledby={`${id}-title`}
      className={`jp-AIQueue-section jp-AIQueue-${props.name}`}
    >
      <div className="jp-AIQueue-sectionHeader">
        <h3>
          <button
            aria-controls={id}
            aria-expanded={isOpen}
            id={`${id}-title`}
            onClick={() => props.folds.toggle(props.name)}
            type="button"
          >
            <Caret.react tag="span" className="jp-AIQueue-caret" />
            {props.title}
          </button>
        </h3>
        {props.extra}
      </div>
      <div className="jp-AIQueue-sectionBody" hidden={!isOpen} id={id}>
        {props.children}
      </div>
    </section>
  );
}

/**
 * A sentence of the server; what it quotes between backticks is code.
 */
export function Sentence(props: { text: string }): JSX.Element {
  return (
    <>
      {props.text
        .split('`')
        .map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}
    </>
  );
}

/**
 * A sentence that people should see: a warning, or a remark.
 */
export function Banner(props: {
  action?: { label: string; onClick: () => void };
  children: React.ReactNode;
  kind: 'error' | 'warning' | 'note';
  name: string;
}): JSX.Element {
  const { action, kind, name } = props;
  return (
    <div
      className={`jp-AIQueue-banner jp-mod-${kind}`}
      data-aiq-banner={name}
      role={kind === 'note' ? 'note' : 'alert'}
    >
      {kind !== 'note' && (
        <warningIcon.react tag="span" className="jp-AIQueue-bannerIcon" />
      )}
      <div>
        {props.children}
        {action && (
          <button
            className="jp-AIQueue-link"
            onClick={action.onClick}
            type="button"
          >
            {action.label}
          </button>
        )}
      </div>
    </div>
  );
}

/**
 * Nothing can be shown: why, and what to do.
 */
export function EmptyState(props: {
  action?: { label: string; onClick: () => void };
  children?: React.ReactNode;
  name: string;
  title: string;
}): JSX.Element {
  const { action, name, title } = props;
  return (
    <div className="jp-AIQueue-empty" data-aiq-empty={name} role="status">
      <h4>{title}</h4>
      {props.children}
      {action && (
        <button
          className="jp-mod-styled jp-mod-minimal jp-AIQueue-emptyAction"
          onClick={action.onClick}
          type="button"
        >
          {action.label}
        </button>
      )}
    </div>
  );
}

/**
 * The time since a moment, kept up to date while the sidebar is visible.
 */
export function Age(props: {
  className?: string;
  clock: ServerClock;
  format: (milliseconds: number) => string;
  since: string;
  title?: string;
}): JSX.Element {
  const { clock, format, since } = props;
  const text = format(clock.since(since));
  const [, setText] = React.useState(text);
  React.useEffect(() => {
    // Setting the same text again draws nothing.
    const tick = () => setText(format(clock.since(since)));
    clock.ticked.connect(tick);
    return () => {
      clock.ticked.disconnect(tick);
    };
  }, [clock, format, since]);
  return (
    <time className={props.className} dateTime={since} title={props.title}>
      {text}
    </time>
  );
}

/**
 * How far a job is, as a bar and as a number.
 */
export function Progress(props: {
  trans: TranslationBundle;
  value: number;
}): JSX.Element {
  const percent = Math.round(Math.min(1, Math.max(0, props.value)) * 100);
  return (
    <>
      <span
        aria-label={props.trans.__('Progress')}
        aria-valuemax={100}
        aria-valuemin={0}
        aria-valuenow={percent}
        className="jp-AIQueue-progress"
        role="progressbar"
      >
        <span style={{ width: `${percent}%` }} />
      </span>
      <span className="jp-AIQueue-percent">{percent} %</span>
    </>
  );
}
