import * as React from 'react';

import type { IJobRecord } from '../api';
import { RowHeights } from './heights';
import type { JobList } from './model';
import { Sight } from './sight';

/**
 * Rows beyond the visible ones that are drawn, pixels: what is scrolled into sight is there.
 */
const SPARE = 500;

/**
 * The jobs that are listed. Only the rows in sight exist.
 *
 * Arrow keys move the active row, Enter opens it, Space selects it. Escape ends the selection.
 *
 * @param props.children - Draws a row; its element has the job's id as `data-aiq-job`.
 */
export function JobRows(props: {
  children: (row: IJobRecord, index: number, id: string) => JSX.Element;
  label: string;
  list: JobList;
  onOpen: (id: string) => void;
}): JSX.Element {
  const { list, label, onOpen } = props;
  const { active, question, rows } = list;
  const ref = React.useRef<HTMLDivElement>(null);
  const drawn = React.useRef<HTMLDivElement>(null);
  const [sight] = React.useState(() => new Sight());
  const [heights] = React.useState(() => new RowHeights());
  const [, redraw] = React.useReducer((n: number) => n + 1, 0);
  const seen = React.useSyncExternalStore(sight.subscribe, sight.get);
  const places = heights.places(rows.length, id => list.indexOf(id));
  const first = places.at(seen.top - SPARE);
  const last = places.at(seen.top + seen.height + SPARE);
  const shown = rows.slice(first, last + 1);

  React.useLayoutEffect(() => {
    const node = ref.current;
    const scroller = node?.closest<HTMLElement>('.jp-AIQueue');
    return node && scroller ? sight.attach(node, scroller) : undefined;
  }, [sight]);

  const measure = React.useCallback(() => {
    let isNews = false;
    for (const node of drawn.current?.children ?? []) {
      const id = (node as HTMLElement).dataset.aiqJob ?? '';
      isNews =
        heights.measured(id, node.getBoundingClientRect().height) || isNews;
    }
    if (isNews) {
      redraw();
    }
  }, [heights]);
  React.useLayoutEffect(measure);
  React.useEffect(() => {
    if (typeof ResizeObserver === 'undefined' || drawn.current === null) {
      return;
    }
    const observer = new ResizeObserver(measure);
    observer.observe(drawn.current);
    return () => observer.disconnect();
  }, [measure]);

  // What one looks at stays where it is when jobs come or go above it.
  const before = React.useRef({
    rows,
    question,
    places: new Map<string, number>()
  });
  React.useLayoutEffect(() => {
    const last = before.current;
    if (last.question !== question) {
      sight.scrollBy(Math.min(0, -sight.above));
    } else if (last.rows !== rows && sight.above > 0) {
      const moves = [...last.places]
        .map(([id, place]) => [list.indexOf(id), place])
        .filter(([now]) => now >= 0)
        .map(([now, place]) => now - place)
        .sort((a, b) => a - b);
      const middle = moves[Math.floor(moves.length / 2)] ?? 0;
      sight.scrollBy(middle * heights.usual);
    }
    sight.look();
    const from = places.at(sight.above);
    const to = places.at(sight.above + sight.height);
    before.current = {
      rows,
      question,
      places: new Map(
        rows.slice(from, to + 1).map((row, i) => [row.job_id, from + i])
      )
    };
  });

  const bringIntoSight = (index: number): void => {
    const node = ref.current;
    if (node === null || index < 0) {
      return;
    }
    // What stays at the top while the list is scrolled covers a part of it.
    const tools = node.parentElement?.querySelector('.jp-AIQueue-tools');
    const covered = tools?.getBoundingClientRect().height ?? 0;
    const top = places.top(index) - covered - HEADING;
    const bottom = places.top(index + 1);
    if (top < sight.above) {
      sight.scrollBy(top - sight.above);
    } else if (bottom > sight.above + sight.height) {
      sight.scrollBy(bottom - sight.above - sight.height);
    }
  };

  const onKeyDown = (event: React.KeyboardEvent): void => {
    const isOurs = event.target === ref.current;
    const page = Math.max(1, Math.floor(sight.height / heights.usual) - 2);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length
    };
    if (event.key === 'Escape' && list.selection.length > 0) {
      list.clearSelection();
    } else if (
      event.key.toLowerCase() === 'a' &&
      (event.ctrlKey || event.metaKey) &&
      isOurs
    ) {
      list.selectAll();
    } else if (isOurs && event.key in steps) {
      const index = list.move(steps[event.key]);
      if (event.shiftKey && index >= 0) {
        list.extendTo(rows[index].job_id);
      }
      bringIntoSight(index);
    } else if (isOurs && event.key === 'Enter' && active !== null) {
      onOpen(active);
    } else if (isOurs && event.key === ' ' && active !== null) {
      list.toggle(active);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const prefix = React.useId();
  const isActiveShown = shown.some(row => row.job_id === active);
  return (
    <div
      aria-activedescendant={isActiveShown ? `${prefix}${active}` : undefined}
      aria-label={label}
      aria-multiselectable="true"
      aria-rowcount={rows.length}
      className={`jp-AIQueue-jobList ${list.selection.length > 0 ? 'jp-mod-selecting' : ''}`}
      onKeyDown={onKeyDown}
      ref={ref}
      role="grid"
      style={{ height: places.top(rows.length) }}
      tabIndex={0}
    >
      <div ref={drawn} role="rowgroup" style={{ top: places.top(first) }}>
        {shown.map((row, i) =>
          props.children(row, first + i, `${prefix}${row.job_id}`)
        )}
      </div>
    </div>
  );
}

/**
 * Height of the section's heading, as in the style sheet.
 */
const HEADING = 28;
