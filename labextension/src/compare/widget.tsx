import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { IJobRecord } from '../api';
import { CurvesPanel } from '../charts/curvesPanel';
import { differences } from '../differences';
import { exactly } from '../duration';
import { queueIcon, stateIcons } from '../icons';
import { formatBytes, formatValue } from '../quantity';
import { jobTitle, shortId, stateWord } from '../state';
import { Banner, IconButton, Sentence } from '../widgets/frame';
import { WatchedTab } from '../widgets/watched';
import type { CompareModel, ICompared } from './model';

/**
 * A compared job of which something is known.
 */
type Known = ICompared & { readonly job: IJobRecord };

/**
 * Several jobs side by side: what differs, and their curves over each other.
 */
export class CompareView extends WatchedTab<CompareModel> {
  constructor(private readonly _options: CompareView.IOptions) {
    super(_options.model);
    const { model, trans } = _options;
    this.addClass('jp-AIQueue');
    this.addClass('jp-AIQueueMain');
    this.addClass('jp-AIQueueCompare');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Comparison of jobs'));
    this.title.label = trans._n(
      'Compare %1 job',
      'Compare %1 jobs',
      model.compared.length
    );
    this.title.icon = queueIcon;
  }

  protected override render(): JSX.Element {
    const { onOpen, trans } = this._options;
    const model = this._options.model;
    const known = model.compared.filter(
      (one): one is Known => one.job !== null
    );
    const lines = known.flatMap(({ mark, job, series }) =>
      series ? [{ mark, label: jobTitle(job, trans), series }] : []
    );
    return (
      <>
        {model.isLoading && (
          <p className="jp-AIQueue-quiet" role="status">
            {trans.__('Looking for the jobs…')}
          </p>
        )}
        {model.compared.map(
          ({ id, failure }) =>
            failure && (
              <Banner
                action={{
                  label: trans.__('Leave out'),
                  onClick: () => model.remove(id)
                }}
                key={id}
                kind="warning"
                name="missing"
              >
                {shortId(id)}: <Sentence text={failure.message} />
              </Banner>
            )
        )}
        {known.length > 0 && (
          <Differences
            known={known}
            onOpen={onOpen}
            onRemove={id => model.remove(id)}
            trans={trans}
          />
        )}
        {known.length > 0 && (
          <section
            aria-label={trans.__('Curves')}
            className="jp-AIQueueMain-section"
            data-aiq-section="curves"
          >
            <h3>{trans.__('Curves')}</h3>
            {lines.length > 0 ? (
              <CurvesPanel all={lines} trans={trans} />
            ) : (
              <p className="jp-AIQueue-quiet">
                {trans.__('No curves of these jobs are known.')}
              </p>
            )}
          </section>
        )}
      </>
    );
  }
}

/**
 * The namespace of `CompareView`.
 */
export namespace CompareView {
  export interface IOptions {
    model: CompareModel;
    onOpen: (id: string) => void;
    trans: TranslationBundle;
  }
}

/**
 * What is not the same in all jobs, and on demand the rest, too.
 */
function Differences(props: {
  known: readonly Known[];
  onOpen: (id: string) => void;
  onRemove: (id: string) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { known, onOpen, onRemove, trans } = props;
  const [showsAll, setShowsAll] = React.useState(false);
  const parts: [title: string, columns: Record<string, unknown>[]][] = [
    [trans.__('Config'), known.map(({ job }) => parameters(job))],
    [trans.__('Metrics'), known.map(({ job }) => ({ ...job.metrics }))],
    [trans.__('Run'), known.map(({ job }) => factsOf(job, trans))]
  ];
  const width = known.length + 1;
  return (
    <section
      aria-label={trans.__('Differences')}
      className="jp-AIQueueMain-section"
      data-aiq-section="differences"
    >
      <div className="jp-AIQueueMain-sectionBar">
        <h3>{trans.__('Differences')}</h3>
        <label className="jp-AIQueueMain-check">
          <input
            checked={showsAll}
            onChange={event => setShowsAll(event.target.checked)}
            type="checkbox"
          />
          {trans.__('Also what is the same')}
        </label>
      </div>
      <div className="jp-AIQueueMain-scroll" tabIndex={0}>
        <table className="jp-AIQueueMain-table">
          <thead>
            <tr>
              <td />
              {known.map(one => (
                <JobHeading
                  compared={one}
                  key={one.id}
                  onOpen={onOpen}
                  onRemove={known.length > 2 ? onRemove : null}
                  trans={trans}
                />
              ))}
            </tr>
          </thead>
          {parts.map(([title, columns]) => {
            const differing = differences(columns);
            const names = new Set(differing.map(({ key }) => key));
            const rows = showsAll ? everything(columns) : differing;
            return (
              <tbody key={title}>
                <tr className="jp-AIQueueMain-rowGroup">
                  <th colSpan={width} scope="rowgroup">
                    {title}
                  </th>
                </tr>
                {rows.length === 0 ? (
                  <tr>
                    <td className="jp-AIQueue-quiet" colSpan={width}>
                      {trans.__('the same in all')}
                    </td>
                  </tr>
                ) : (
                  rows.map(({ key, values }) => (
                    <tr
                      className={names.has(key) ? '' : 'jp-mod-same'}
                      data-aiq-key={key}
                      key={key}
                    >
                      <th scope="row">{key}</th>
                      {values.map((value, i) => (
                        <td key={known[i].id}>
                          {value === undefined ? '—' : formatValue(value)}
                        </td>
                      ))}
                    </tr>
                  ))
                )}
              </tbody>
            );
          })}
        </table>
      </div>
    </section>
  );
}

function JobHeading(props: {
  compared: Known;
  onOpen: (id: string) => void;
  onRemove: ((id: string) => void) | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { compared, onOpen, onRemove, trans } = props;
  const { id, job, mark } = compared;
  const Icon = stateIcons[job.state] ?? stateIcons.held;
  const title = jobTitle(job, trans);
  return (
    <th data-aiq-job={id} data-aiq-state={job.state} scope="col">
      <span className="jp-AIQueueCompare-job">
        <b>{mark}</b>
        <button
          className="jp-AIQueue-link"
          onClick={() => onOpen(id)}
          title={id}
          type="button"
        >
          {title} <span className="jp-AIQueue-jobId">{shortId(id)}</span>
        </button>
        {onRemove && (
          <IconButton
            icon={closeIcon}
            label={trans.__('Leave out %1', title)}
            onClick={() => onRemove(id)}
          />
        )}
      </span>
      <span className="jp-AIQueueCompare-state">
        <Icon.react tag="span" className="jp-AIQueue-stateIcon" />
        {stateWord(job, trans)}
      </span>
    </th>
  );
}

function parameters(job: IJobRecord): Record<string, unknown> {
  // The job's id, put there for consumers that read nothing but the body.
  return Object.fromEntries(
    Object.entries(job.config).filter(([key]) => key !== 'task_id')
  );
}

/**
 * How the last attempt went, as names and texts.
 */
function factsOf(
  job: IJobRecord,
  trans: TranslationBundle
): Record<string, unknown> {
  const { result } = job;
  const facts: [string, string | number | null | undefined][] = [
    [trans.__('task'), job.task],
    [trans.__('attempts'), job.attempt],
    [
      trans.__('duration'),
      typeof result?.duration_s === 'number'
        ? exactly(result.duration_s, trans)
        : null
    ],
    [
      trans.__('CPU time'),
      typeof result?.cpu_s === 'number' ? exactly(result.cpu_s, trans) : null
    ],
    [
      trans.__('peak memory'),
      typeof result?.peak_memory_bytes === 'number'
        ? formatBytes(result.peak_memory_bytes)
        : null
    ],
    [trans.__('worker'), job.worker],
    [trans.__('host'), result?.host],
    [trans.__('environment'), result?.environment],
    [trans.__('commit'), result?.git_commit],
    [trans.__('reason'), job.reason]
  ];
  return Object.fromEntries(
    facts.filter(([, value]) => value !== null && value !== undefined)
  );
}

/**
 * All names with their values, the same or not.
 */
function everything(
  columns: readonly Readonly<Record<string, unknown>>[]
): { key: string; values: unknown[] }[] {
  const keys = new Set(columns.flatMap(column => Object.keys(column)));
  return [...keys].map(key => ({
    key,
    values: columns.map(column => column[key])
  }));
}
