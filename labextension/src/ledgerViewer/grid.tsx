import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretUpIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IJobRecord } from '../api';
import { exactly, localTime } from '../duration';
import { stateIcons } from '../icons';
import { formatValue } from '../quantity';
import { jobTitle, shortId, stateWord } from '../state';
import type { Column } from './columns';
import { columnId } from './columns';
import type { LedgerViewModel } from './model';

/**
 * Pixels; the same in the style sheet.
 */
const ROW_HEIGHT = 28;
const SELECT_WIDTH = 20;
const GAP = 10;
const PADDING = 12;

/**
 * Rows beyond the visible ones that are drawn, so that scrolling shows no gaps.
 */
const SPARE = 12;

/**
 * Rows that Page Up and Page Down move by when the height is not known.
 */
const PAGE = 20;

/**
 * The table of jobs. Only the rows in sight exist.
 *
 * Arrow keys move the active row, Enter opens its job, Space selects it.
 */
export function JobGrid(props: {
  model: LedgerViewModel;
  onOpen: (id: string) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { model, onOpen, trans } = props;
  const { active, columns, rows, selected } = model;
  const ref = React.useRef<HTMLDivElement>(null);
  const [sight, setSight] = React.useState({ top: 0, height: 600 });
  React.useLayoutEffect(() => {
    const node = ref.current;
    if (node === null) {
      return;
    }
    const look = () =>
      setSight({ top: node.scrollTop, height: node.clientHeight || 600 });
    look();
    if (typeof ResizeObserver === 'undefined') {
      return;
    }
    const observer = new ResizeObserver(look);
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(sight.top / ROW_HEIGHT) - SPARE);
  const count = Math.ceil(sight.height / ROW_HEIGHT) + 2 * SPARE;
  const shown = rows.slice(first, first + count);
  const template = [
    `${SELECT_WIDTH}px`,
    ...columns.map(column => trackOf(column))
  ].join(' ');
  // All rows are equally wide, or their columns would not stand below each other.
  const minWidth = columns.reduce(
    (sum, column) => sum + widthOf(column) + GAP,
    SELECT_WIDTH + 2 * PADDING
  );

  const bringIntoSight = (index: number): void => {
    const node = ref.current;
    if (node === null || index < 0) {
      return;
    }
    const top = index * ROW_HEIGHT;
    // The heading covers the first row's height.
    if (top < node.scrollTop) {
      node.scrollTop = top;
    } else if (top + 2 * ROW_HEIGHT > node.scrollTop + node.clientHeight) {
      node.scrollTop = top + 2 * ROW_HEIGHT - node.clientHeight;
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.target !== ref.current) {
      return;
    }
    const page = Math.max(1, Math.floor(sight.height / ROW_HEIGHT) - 2) || PAGE;
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length
    };
    if (event.key in steps) {
      bringIntoSight(model.move(steps[event.key]));
    } else if (event.key === 'Enter' && active !== null) {
      onOpen(active);
    } else if (event.key === ' ' && active !== null) {
      model.toggle(active);
    } else {
      return;
    }
    event.preventDefault();
  };
  const prefix = React.useId();
  const isActiveShown = shown.some(row => row.job_id === active);
  return (
    <div
      aria-activedescendant={isActiveShown ? `${prefix}${active}` : undefined}
      aria-colcount={columns.length + 1}
      aria-label={trans.__('Jobs')}
      aria-multiselectable="true"
      aria-rowcount={rows.length + 1}
      className="jp-AIQueueLedger-grid"
      onKeyDown={onKeyDown}
      onScroll={event => {
        const { scrollTop, clientHeight } = event.currentTarget;
        setSight({ top: scrollTop, height: clientHeight });
      }}
      ref={ref}
      role="grid"
      tabIndex={0}
    >
      <div
        aria-rowindex={1}
        className="jp-AIQueueLedger-head"
        role="row"
        style={{ gridTemplateColumns: template, minWidth }}
      >
        <span role="columnheader">
          <span className="jp-AIQueue-spoken">{trans.__('selected')}</span>
        </span>
        {columns.map(column => (
          <Heading
            column={column}
            key={columnId(column)}
            model={model}
            trans={trans}
          />
        ))}
      </div>
      <div
        className="jp-AIQueueLedger-rows"
        role="rowgroup"
        style={{ height: rows.length * ROW_HEIGHT, minWidth }}
      >
        {shown.map((record, i) => (
          <Row
            columns={columns}
            id={`${prefix}${record.job_id}`}
            index={first + i}
            isActive={record.job_id === active}
            isSelected={selected.has(record.job_id)}
            key={record.job_id}
            model={model}
            onOpen={onOpen}
            record={record}
            template={template}
            trans={trans}
          />
        ))}
      </div>
    </div>
  );
}

/**
 * The heading of a column, which orders by it.
 */
function Heading(props: {
  column: Column;
  model: LedgerViewModel;
  trans: TranslationBundle;
}): JSX.Element {
  const { column, model, trans } = props;
  const id = columnId(column);
  const order = model.order?.column === id ? model.order : null;
  const Caret = order?.isDescending ? caretDownIcon : caretUpIcon;
  return (
    <span
      aria-sort={
        order ? (order.isDescending ? 'descending' : 'ascending') : 'none'
      }
      className={`jp-mod-${column.kind}`}
      role="columnheader"
    >
      <button onClick={() => model.orderBy(id)} type="button">
        <span>{titleOf(column, trans)}</span>
        {order && <Caret.react tag="span" className="jp-AIQueue-caret" />}
      </button>
    </span>
  );
}

interface IRowProps {
  columns: readonly Column[];
  id: string;
  index: number;
  isActive: boolean;
  isSelected: boolean;
  model: LedgerViewModel;
  onOpen: (id: string) => void;
  record: IJobRecord;
  template: string;
  trans: TranslationBundle;
}

/**
 * One job. It is drawn again only when something of it has changed.
 */
const Row = React.memo((props: IRowProps): JSX.Element => {
  const { columns, index, isActive, isSelected, model, record, trans } = props;
  const { job_id } = record;
  const marks = `${isActive ? 'jp-mod-active' : ''} ${isSelected ? 'jp-mod-selected' : ''}`;
  return (
    <div
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      className={`jp-AIQueueLedger-row ${marks}`}
      data-aiq-job={job_id}
      data-aiq-state={record.state}
      id={props.id}
      onClick={() => model.activate(job_id)}
      onDoubleClick={() => props.onOpen(job_id)}
      role="row"
      style={{
        gridTemplateColumns: props.template,
        top: index * ROW_HEIGHT
      }}
    >
      <span role="gridcell">
        <input
          aria-label={trans.__('Select %1', jobTitle(record, trans))}
          checked={isSelected}
          onChange={() => model.toggle(job_id)}
          tabIndex={-1}
          type="checkbox"
        />
      </span>
      {columns.map(column => (
        <span
          className={`jp-mod-${column.kind}`}
          key={columnId(column)}
          role="gridcell"
        >
          <Cell
            column={column}
            onOpen={props.onOpen}
            record={record}
            trans={trans}
          />
        </span>
      ))}
    </div>
  );
});
Row.displayName = 'Row';

function Cell(props: {
  column: Column;
  onOpen: (id: string) => void;
  record: IJobRecord;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { column, onOpen, record, trans } = props;
  switch (column.kind) {
    case 'state': {
      const Icon = stateIcons[record.state] ?? stateIcons.held;
      return (
        <>
          <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
          {stateWord(record, trans)}
        </>
      );
    }
    case 'name':
      return (
        <button
          className="jp-AIQueue-link"
          onClick={() => onOpen(record.job_id)}
          tabIndex={-1}
          title={record.reason ?? record.job_id}
          type="button"
        >
          {jobTitle(record, trans)}{' '}
          <span className="jp-AIQueue-jobId">{shortId(record.job_id)}</span>
        </button>
      );
    case 'submitted':
      return record.submitted_at ? (
        <time dateTime={record.submitted_at}>
          {localTime(record.submitted_at)}
        </time>
      ) : null;
    case 'duration': {
      const seconds = record.result?.duration_s;
      return typeof seconds === 'number' ? (
        <>{exactly(seconds, trans)}</>
      ) : null;
    }
    case 'attempts':
      return <>{record.attempt || ''}</>;
    case 'config':
      return <Value value={record.config[column.key]} />;
    case 'metric':
      return <Value value={record.metrics[column.key]} />;
  }
}

function Value(props: { value: unknown }): JSX.Element | null {
  if (props.value === undefined) {
    return null;
  }
  const text = formatValue(props.value);
  return <span title={text}>{text}</span>;
}

function titleOf(column: Column, trans: TranslationBundle): string {
  switch (column.kind) {
    case 'state':
      return trans.__('State');
    case 'name':
      return trans.__('Job');
    case 'submitted':
      return trans.__('Submitted');
    case 'duration':
      return trans.__('Duration');
    case 'attempts':
      return trans.__('Attempts');
    default:
      return column.key;
  }
}

/**
 * The least width of a column, pixels.
 */
function widthOf(column: Column): number {
  switch (column.kind) {
    case 'state':
      return 104;
    case 'name':
      return 170;
    case 'submitted':
      return 160;
    case 'duration':
      return 84;
    case 'attempts':
      return 68;
    default:
      return 72;
  }
}

/**
 * A column as a track of the grid.
 */
function trackOf(column: Column): string {
  const share = shareOf(column);
  return share === 0
    ? `${widthOf(column)}px`
    : `minmax(${widthOf(column)}px, ${share}fr)`;
}

/**
 * How much of the room that is left a column takes.
 */
function shareOf(column: Column): number {
  return column.kind === 'name' ? 3 : 'key' in column ? 1 : 0;
}
