import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IJobRecord, IRehearsal, ISubmitted } from '../api';
import { jobTitle, shortId } from '../state';
import { Banner, Sentence } from '../widgets/frame';
import type { Field, Problems } from './checks';
import { check, fieldOf } from './checks';
import { ConfigRows } from './config';
import type { IDraft } from './draft';
import { draftOf } from './draft';
import { LabelledField } from './fields';
import type { SubmitModel } from './model';

/**
 * The fields of an experiment, and what can be done with them. What is typed stays until it
 * is submitted.
 */
export function SubmitForm(props: {
  model: SubmitModel;
  onClose: () => void;
  onDone: (submitted: ISubmitted) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { model, trans } = props;
  const [draft, setDraft] = React.useState(() =>
    draftOf(model.origin, model.usualGroup)
  );
  const [left, setLeft] = React.useState<ReadonlySet<Field>>(new Set());
  const [isTried, setTried] = React.useState(false);
  const form = React.useRef<HTMLFormElement>(null);

  // Below the buttons, which stay where they are: whoever clicks twice submits nothing again.
  const answer = React.useRef<HTMLDivElement>(null);
  React.useLayoutEffect(() => {
    form.current?.querySelector<HTMLElement>('input, select')?.focus();
  }, []);

  const all = check(draft, model.groups, trans);
  const refused = model.failure && fieldOf(model.failure, draft);
  const shown = new Map(
    [...all].filter(([field]) => isTried || left.has(field))
  );
  if (model.failure && refused && !shown.has(refused)) {
    shown.set(refused, model.failure.message);
  }
  const isRefused = refused !== null;
  const isBusy = model.pending !== null;
  React.useLayoutEffect(() => {
    if ((isTried && all.size > 0) || isRefused) {
      form.current
        ?.querySelector<HTMLElement>('[aria-invalid="true"]')
        ?.focus();
    }
    // Only when somebody tries, not with every key.
  }, [isTried, isRefused]);

  const isAnswered =
    !isRefused && Boolean(model.failure ?? model.repeated ?? model.rehearsal);
  React.useEffect(() => {
    if (isAnswered) {
      answer.current?.scrollIntoView({ block: 'nearest' });
    }
  }, [isAnswered]);

  const edit = (changes: Partial<IDraft>): void => {
    setDraft({ ...draft, ...changes });
    setTried(false);
    model.forget();
  };
  const leave = (field: Field): void => setLeft(new Set([...left, field]));

  /** Do it if nothing is wrong, else show what is. */
  const tried = (work: () => Promise<void>): void => {
    if (all.size === 0) {
      void work();
      return;
    }
    setLeft(new Set([...left, ...all.keys()]));
    setTried(true);
  };
  const submit = (again: boolean): void =>
    tried(async () => {
      const submitted = await model.submit(draft, again);
      if (submitted !== null) {
        props.onDone(submitted);
      }
    });

  const text = (
    name: Exclude<keyof IDraft, 'rows' | 'expire' | 'priority'>,
    label: string,
    options: { hint?: string; list?: readonly string[]; sample?: string } = {}
  ): JSX.Element => (
    <TextField
      {...options}
      label={label}
      name={name}
      onChange={value => edit({ [name]: value })}
      onLeave={() => leave(name)}
      problem={shown.get(name)}
      value={draft[name]}
    />
  );
  const tasks = model.tasks(draft.group.trim());
  return (
    <form
      aria-label={trans.__('Submit experiment')}
      className="jp-AIQueueSubmit-form"
      noValidate
      onSubmit={event => {
        event.preventDefault();
        submit(false);
      }}
      ref={form}
    >
      <h2>{trans.__('Submit an experiment of %1', model.notebook)}</h2>
      <Origin job={model.origin} trans={trans} />
      <div className="jp-AIQueueSubmit-fields">
        {text('task', trans.__('Task'), {
          hint:
            tasks.length > 0
              ? trans.__('Workers of it have: %1', tasks.join(', '))
              : trans.__('Empty: what workers run by default.'),
          list: tasks
        })}
        {text('group', trans.__('Group'), {
          hint:
            model.groups.length > 0
              ? trans.__('There are: %1', model.groups.join(', '))
              : undefined,
          list: model.groups
        })}
        <LabelledField label={trans.__('Priority')} name="priority">
          {attributes => (
            <select
              {...attributes}
              className="jp-AIQueueMain-input"
              onChange={event => edit({ priority: event.target.value })}
              value={draft.priority}
            >
              <option value="high">{trans.__('high')}</option>
              <option value="normal">{trans.__('normal')}</option>
              <option value="low">{trans.__('low')}</option>
            </select>
          )}
        </LabelledField>
        {text('name', trans.__('Name'), {
          hint: trans.__('A label for people.')
        })}
      </div>
      <ConfigRows
        onChange={rows => edit({ rows })}
        onLeave={row => leave(`row-${row}`)}
        problems={shown}
        rows={draft.rows}
        trans={trans}
      />
      <div className="jp-AIQueueSubmit-fields">
        {text('retries', trans.__('Retries'), {
          hint: trans.__('Attempts beyond the first.')
        })}
        {text('timeout', trans.__('Time limit'), {
          hint: trans.__('For one attempt: 90, 30m, 2h. Empty: the worker’s.')
        })}
      </div>
      <Hold
        draft={draft}
        edit={edit}
        leave={leave}
        problems={shown}
        text={text}
        trans={trans}
      />
      <div
        className="jp-AIQueueSubmit-end"
        onMouseDown={event => {
          // A field that is left says what is wrong with it, and would move the button away
          // under the mouse.
          event.preventDefault();
        }}
      >
        <button
          className="jp-AIQueueMain-button jp-mod-primary"
          disabled={isBusy}
          type="submit"
        >
          {model.pending === 'submit'
            ? trans.__('Submitting…')
            : trans.__('Submit')}
        </button>
        <button
          className="jp-AIQueueMain-button"
          disabled={isBusy}
          onClick={() => tried(() => model.rehearse(draft))}
          type="button"
        >
          {model.pending === 'rehearse'
            ? trans.__('Looking…')
            : trans.__('What would happen')}
        </button>
        <button
          className="jp-AIQueueMain-button"
          onClick={props.onClose}
          type="button"
        >
          {trans.__('Close')}
        </button>
      </div>
      <div ref={answer}>
        {model.failure && !isRefused && (
          <Banner kind="error" name="submit">
            <Sentence text={model.failure.message} />
          </Banner>
        )}
        {model.rehearsal && (
          <Outlook rehearsal={model.rehearsal} trans={trans} />
        )}
        {(model.repeated || model.rehearsal?.repeated) && (
          <Banner
            action={{
              label: trans.__('Submit again'),
              onClick: () => submit(true)
            }}
            kind="warning"
            name="repeated"
          >
            <Sentence
              text={
                model.repeated ?? trans.__('Exactly this has succeeded before.')
              }
            />{' '}
          </Banner>
        )}
      </div>
    </form>
  );
}

/**
 * Where the values come from.
 */
function Origin(props: {
  job: IJobRecord | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { job, trans } = props;
  return (
    <p className="jp-AIQueueSubmit-hint" data-aiq-origin={job?.job_id ?? ''}>
      {job === null
        ? trans.__(
            'This notebook has no jobs yet. The next form will have what you submit now.'
          )
        : trans.__(
            'As job %1 (%2) had it.',
            shortId(job.job_id),
            jobTitle(job, trans)
          )}
    </p>
  );
}

/**
 * A field for a line of text, with proposals.
 */
function TextField(props: {
  hint?: string;
  label: string;
  list?: readonly string[];
  name: string;
  onChange: (value: string) => void;
  onLeave: () => void;
  problem?: string;
  sample?: string;
  value: string;
}): JSX.Element {
  const { hint, label, list = [], name, problem, value } = props;
  return (
    <LabelledField hint={hint} label={label} name={name} problem={problem}>
      {attributes => (
        <>
          <input
            {...attributes}
            autoComplete="off"
            className="jp-AIQueueMain-input"
            list={list.length > 0 ? `${attributes.id}-list` : undefined}
            onBlur={props.onLeave}
            onChange={event => props.onChange(event.target.value)}
            placeholder={props.sample}
            spellCheck={false}
            type="text"
            value={value}
          />
          {list.length > 0 && (
            <datalist id={`${attributes.id}-list`}>
              {list.map(one => (
                <option key={one} value={one} />
              ))}
            </datalist>
          )}
        </>
      )}
    </LabelledField>
  );
}

/**
 * What the job waits for before it is put in line.
 */
function Hold(props: {
  draft: IDraft;
  edit: (changes: Partial<IDraft>) => void;
  leave: (field: Field) => void;
  problems: Problems;
  text: (
    name: 'when' | 'by',
    label: string,
    options: { hint?: string; sample?: string }
  ) => JSX.Element;
  trans: TranslationBundle;
}): JSX.Element {
  const { draft, edit, leave, problems, text, trans } = props;
  return (
    <fieldset className="jp-AIQueueSubmit-hold">
      <legend>{trans.__('When quiet')}</legend>
      <div className="jp-AIQueueSubmit-fields">
        {text('when', trans.__('Hold it until'), {
          hint: trans.__('Empty: it is put in line at once.'),
          sample: 'wait < 10m and after 22:00'
        })}
        {text('by', trans.__('At the latest'), {
          hint: trans.__('Then it is put in line in any case.'),
          sample: '08:00'
        })}
        <LabelledField
          label={trans.__('Drop it then')}
          name="expire"
          problem={problems.get('expire')}
        >
          {attributes => (
            <input
              {...attributes}
              checked={draft.expire}
              onBlur={() => leave('expire')}
              onChange={event => edit({ expire: event.target.checked })}
              type="checkbox"
            />
          )}
        </LabelledField>
      </div>
    </fieldset>
  );
}

/**
 * What would happen to the job, in sentences.
 */
function Outlook(props: {
  rehearsal: IRehearsal;
  trans: TranslationBundle;
}): JSX.Element {
  const { rehearsal, trans } = props;
  return (
    <section
      aria-label={trans.__('What would happen')}
      aria-live="polite"
      className="jp-AIQueueSubmit-outlook"
      data-aiq-section="rehearsal"
    >
      <h3>{trans.__('What would happen')}</h3>
      <ul>
        {rehearsal.sentences.map((sentence, i) => (
          <li key={i}>
            <Sentence text={sentence} />
          </li>
        ))}
      </ul>
      <p className="jp-AIQueueSubmit-hint">
        {trans.__('Its config: %1', JSON.stringify(rehearsal.config))}
      </p>
    </section>
  );
}
