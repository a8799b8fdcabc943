import * as React from 'react';

/**
 * A field with its label, what it is for, and what is wrong with it.
 */
export function LabelledField(props: {
  children: (attributes: {
    'aria-describedby': string | undefined;
    'aria-invalid': boolean | undefined;
    id: string;
    name: string;
  }) => React.ReactNode;
  hint?: string;
  label: string;
  name: string;
  problem?: string;
}): JSX.Element {
  const { children, hint, label, name, problem } = props;
  const id = React.useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`];
  return (
    <div
      className={`jp-AIQueueSubmit-field ${problem ? 'jp-mod-wrong' : ''}`}
      data-aiq-field={name}
    >
      <label htmlFor={id}>{label}</label>
      {children({
        'aria-describedby': described.filter(Boolean).join(' ') || undefined,
        'aria-invalid': problem ? true : undefined,
        id,
        name
      })}
      {hint && (
        <span className="jp-AIQueueSubmit-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      <Problem id={`${id}-problem`} text={problem} />
    </div>
  );
}

/**
 * What is wrong with a field; it is read out when it appears.
 */
export function Problem(props: {
  id: string;
  text: string | undefined;
}): JSX.Element {
  return (
    <span
      aria-live="polite"
      className="jp-AIQueueSubmit-problem"
      id={props.id}
      role="status"
    >
      {props.text}
    </span>
  );
}
