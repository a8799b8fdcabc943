import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from '../widgets/frame';
import { kindOf } from '../written';
import type { Problems } from './checks';
import type { IRow } from './draft';
import { Problem } from './fields';

/**
 * The config: a row for each of its values, with what the value is read as.
 */
export function ConfigRows(props: {
  onChange: (rows: readonly IRow[]) => void;
  onLeave: (row: number) => void;
  problems: Problems;
  rows: readonly IRow[];
  trans: TranslationBundle;
}): JSX.Element {
  const { onChange, problems, rows, trans } = props;
  const id = React.useId();
  const list = React.useRef<HTMLUListElement>(null);
  const added = React.useRef(false);
  const change = (row: IRow, changes: Partial<IRow>): void => {
    onChange(rows.map(one => (one === row ? { ...row, ...changes } : one)));
  };
  const add = (): void => {
    const next = Math.max(-1, ...rows.map(row => row.id)) + 1;
    onChange([...rows, { id: next, key: '', value: '' }]);
    added.current = true;
  };
  React.useLayoutEffect(() => {
    // Before the next key is typed.
    if (added.current) {
      added.current = false;
      list.current?.querySelector<HTMLElement>('li:last-child input')?.focus();
    }
  }, [rows]);
  return (
    <fieldset className="jp-AIQueueSubmit-config">
      <legend>{trans.__('Config')}</legend>
      <p className="jp-AIQueueSubmit-hint" id={`${id}-hint`}>
        {trans.__(
          'Values are read as in %submit_train: 10 is a number, true a boolean, [64, 32] a list; in quotes it is text.'
        )}
      </p>
      <ul ref={list}>
        {rows.map((row, i) => {
          const problem = problems.get(`row-${row.id}`);
          const problemId = `${id}-${row.id}`;
          const name = row.key.trim();
          return (
            <li
              className={problem ? 'jp-mod-wrong' : ''}
              data-aiq-row={name}
              key={row.id}
              onBlur={event => {
                if (!event.currentTarget.contains(event.relatedTarget)) {
                  props.onLeave(row.id);
                }
              }}
            >
              <input
                aria-describedby={problem && problemId}
                aria-invalid={problem ? true : undefined}
                aria-label={trans.__('Name of value %1', i + 1)}
                className="jp-AIQueueMain-input"
                onChange={event => change(row, { key: event.target.value })}
                placeholder={trans.__('name')}
                spellCheck={false}
                type="text"
                value={row.key}
              />
              <input
                aria-describedby={`${id}-hint ${problemId}-kind`}
                aria-label={
                  name
                    ? trans.__('Value of %1', name)
                    : trans.__('Value %1', i + 1)
                }
                className="jp-AIQueueMain-input"
                onChange={event => change(row, { value: event.target.value })}
                placeholder={trans.__('value')}
                spellCheck={false}
                type="text"
                value={row.value}
              />
              <span className="jp-AIQueueSubmit-kind" id={`${problemId}-kind`}>
                {name || row.value ? kindOf(row.value, trans) : ''}
              </span>
              <IconButton
                icon={closeIcon}
                label={
                  name
                    ? trans.__('Remove %1', name)
                    : trans.__('Remove value %1', i + 1)
                }
                onClick={() => onChange(rows.filter(one => one !== row))}
              />
              <Problem id={problemId} text={problem} />
            </li>
          );
        })}
      </ul>
      <button className="jp-AIQueueMain-button" onClick={add} type="button">
        <addIcon.react tag="span" className="jp-AIQueueMain-buttonIcon" />
        {trans.__('Add a value')}
      </button>
    </fieldset>
  );
}
