import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IJobRecord } from '../api';
import { Sentence } from '../widgets/frame';
import { written } from '../written';

/**
 * Submit the job again with other values of its config. What is typed is read by the server,
 * by the rules that `%submit_train` has.
 */
export function ResubmitForm(props: {
  failure: string | null;
  isBusy: boolean;
  job: IJobRecord;
  onClose: () => void;
  onSubmit: (written: Readonly<Record<string, string>>) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { failure, isBusy, job, onClose, onSubmit, trans } = props;
  const before = React.useMemo(() => written(job.config), [job.config]);
  const [texts, setTexts] = React.useState(before);
  const [key, setKey] = React.useState('');
  const [value, setValue] = React.useState('');
  const first = React.useRef<HTMLInputElement>(null);
  React.useEffect(() => first.current?.focus(), []);
  const changes: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    if (text !== before[name]) {
      changes[name] = text;
    }
  }
  if (key.trim() !== '') {
    changes[key.trim()] = value;
  }
  const count = Object.keys(changes).length;
  const hint = 'jp-AIQueue-formHint';
  return (
    <form
      aria-label={trans.__('Retry with changes')}
      className="jp-AIQueueJob-form"
      onKeyDown={event => {
        if (event.key === 'Escape') {
          onClose();
        }
      }}
      onSubmit={event => {
        event.preventDefault();
        onSubmit(changes);
      }}
    >
      <p className="jp-AIQueue-quiet" id={hint}>
        {trans.__(
          'Values are read as in %submit_train: 10 is a number, true a boolean, [64, 32] a list; in quotes it is text.'
        )}
      </p>
      <div className="jp-AIQueueJob-fields">
        {Object.entries(texts).map(([name, text], i) => {
          const isChanged = text !== before[name];
          return (
            <label className={isChanged ? 'jp-mod-changed' : ''} key={name}>
              <span>
                {name}
                {isChanged && <em> {trans.__('changed')}</em>}
              </span>
              <input
                aria-describedby={hint}
                className="jp-AIQueueMain-input"
                name={name}
                onChange={event =>
                  setTexts({ ...texts, [name]: event.target.value })
                }
                ref={i === 0 ? first : undefined}
                spellCheck={false}
                type="text"
                value={text}
              />
            </label>
          );
        })}
        <div className="jp-AIQueueJob-newField">
          <input
            aria-label={trans.__('Name of a further value')}
            className="jp-AIQueueMain-input"
            onChange={event => setKey(event.target.value)}
            placeholder={trans.__('further name')}
            spellCheck={false}
            type="text"
            value={key}
          />
          <input
            aria-label={trans.__('The further value')}
            className="jp-AIQueueMain-input"
            onChange={event => setValue(event.target.value)}
            placeholder={trans.__('value')}
            spellCheck={false}
            type="text"
            value={value}
          />
        </div>
      </div>
      {failure && (
        <p className="jp-AIQueue-actionFailure" role="alert">
          <Sentence text={failure} />
        </p>
      )}
      <div className="jp-AIQueueJob-formEnd">
        <button
          className="jp-AIQueueMain-button jp-mod-primary"
          disabled={isBusy}
          type="submit"
        >
          {count === 0
            ? trans.__('Submit unchanged')
            : trans._n(
                'Submit with %1 change',
                'Submit with %1 changes',
                count
              )}
        </button>
        <button
          className="jp-AIQueueMain-button"
          onClick={onClose}
          type="button"
        >
          {trans.__('Close')}
        </button>
      </div>
    </form>
  );
}
