import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretUpIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { plainText } from '../terminal';
import { IconButton, Sentence } from '../widgets/frame';
import { findAll } from './log';

/**
 * Places of a searched text that are marked.
 */
const MOST_FOUND = 1000;

/**
 * The output, at its end while it grows, with search.
 */
export function OutputView(props: {
  failure: string | null;
  isOver: boolean;
  label: string;

  /**
   * Characters before the text that are not known; null when that is not known.
   */
  missing: number | null;
  text: string | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { failure, isOver, label, missing, trans } = props;
  const [follows, setFollows] = React.useState(true);
  const [wanted, setWanted] = React.useState('');
  const [current, setCurrent] = React.useState(0);
  const pre = React.useRef<HTMLPreElement>(null);
  const text = React.useMemo(
    () => (props.text === null ? null : plainText(props.text)),
    [props.text]
  );
  const places = React.useMemo(
    () => findAll(text ?? '', wanted, MOST_FOUND),
    [text, wanted]
  );
  const at = places.length === 0 ? -1 : current % places.length;

  React.useLayoutEffect(() => {
    const node = pre.current;
    if (node && follows) {
      node.scrollTop = node.scrollHeight;
    }
  }, [text, follows]);
  React.useLayoutEffect(() => {
    const node = pre.current;
    const mark = node?.querySelector<HTMLElement>('mark[data-aiq-current]');
    if (node && mark) {
      setFollows(false);
      node.scrollTop = mark.offsetTop - node.clientHeight / 2;
    }
  }, [at, wanted]);

  const step = (by: number) =>
    setCurrent((Math.max(at, 0) + by + places.length) % places.length);
  return (
    <section
      aria-label={trans.__('Log')}
      className="jp-AIQueueMain-section"
      data-aiq-section="log"
    >
      <div className="jp-AIQueueMain-sectionBar">
        <h3>{trans.__('Log')}</h3>
        {text && (
          <>
            <input
              aria-label={trans.__('Search in the log')}
              className="jp-AIQueueMain-input"
              onChange={event => {
                setWanted(event.target.value);
                setCurrent(0);
              }}
              onKeyDown={event => {
                if (event.key === 'Enter' && places.length > 0) {
                  step(event.shiftKey ? -1 : 1);
                }
              }}
              placeholder={trans.__('Search')}
              type="search"
              value={wanted}
            />
            {wanted !== '' && (
              <>
                <span aria-live="polite" className="jp-AIQueue-count">
                  {places.length === 0
                    ? trans.__('not found')
                    : trans.__(
                        'place %1 of %2',
                        at + 1,
                        places.length < MOST_FOUND
                          ? places.length
                          : `${MOST_FOUND}+`
                      )}
                </span>
                <IconButton
                  disabled={places.length === 0}
                  icon={caretUpIcon}
                  label={trans.__('Previous place')}
                  onClick={() => step(-1)}
                />
                <IconButton
                  disabled={places.length === 0}
                  icon={caretDownIcon}
                  label={trans.__('Next place')}
                  onClick={() => step(1)}
                />
              </>
            )}
            {!isOver && (
              <label className="jp-AIQueueMain-check">
                <input
                  checked={follows}
                  onChange={event => setFollows(event.target.checked)}
                  type="checkbox"
                />
                {trans.__('Follow')}
              </label>
            )}
          </>
        )}
      </div>
      {failure && (
        <p className="jp-AIQueue-actionFailure" role="alert">
          <Sentence text={failure} />
        </p>
      )}
      {text ? (
        <>
          {missing !== 0 && (
            <p className="jp-AIQueue-quiet jp-AIQueueMain-remark">
              {missing === null
                ? trans.__('The end of the output, as it was recorded.')
                : trans._n(
                    '%1 character before this is not shown.',
                    '%1 characters before this are not shown.',
                    missing
                  )}
            </p>
          )}
          <pre
            aria-label={label}
            aria-live="off"
            className="jp-AIQueue-log"
            onScroll={event => {
              const node = event.currentTarget;
              const isAtEnd =
                node.scrollHeight - node.scrollTop - node.clientHeight < 4;
              if (isAtEnd !== follows) {
                setFollows(isAtEnd);
              }
            }}
            ref={pre}
            role="log"
            tabIndex={0}
          >
            <Marked
              at={at}
              length={wanted.length}
              places={places}
              text={text}
            />
          </pre>
        </>
      ) : (
        !failure && (
          <p className="jp-AIQueue-quiet">
            {isOver && text !== null
              ? trans.__('The job wrote no output.')
              : trans.__('No output yet.')}
          </p>
        )
      )}
    </section>
  );
}

/**
 * A text with marks where the searched text is.
 */
const Marked = React.memo(
  (props: {
    at: number;
    length: number;
    places: readonly number[];
    text: string;
  }): JSX.Element => {
    const { at, length, places, text } = props;
    const parts: React.ReactNode[] = [];
    let end = 0;
    places.forEach((place, i) => {
      parts.push(text.slice(end, place));
      end = place + length;
      parts.push(
        <mark data-aiq-current={i === at ? '' : undefined} key={place}>
          {text.slice(place, end)}
        </mark>
      );
    });
    parts.push(text.slice(end));
    return <>{parts}</>;
  }
);
Marked.displayName = 'Marked';
