/**
 * A part of a cell's output: its representations by MIME type.
 */
export type Bundle = Readonly<Record<string, unknown>>;

/**
 * What a cell says of jobs: its code, and what that has put out.
 */
export interface ICellText {
  readonly source: string;
  readonly outputs: readonly Bundle[];
}

/**
 * Ids as `jupyter_aiqueue.core.job.new_job_id` makes them.
 */
const ID = /\b[0-7][0-9a-hjkmnp-tv-z]{25}\b/g;

/**
 * Where jobs are named; the first that an output has is read.
 */
const TYPES = [
  'text/html',
  'text/plain',
  'application/vnd.jupyter.stdout',
  'application/vnd.jupyter.stderr'
];

/**
 * Characters of one output that are read. What names a job is short.
 */
const MOST_READ = 100_000;

/**
 * How a table of jobs begins (`jupyter_aiqueue.kernel.table`).
 */
const TABLE = '<table class="aiq-t"';

/**
 * The jobs that a cell may have submitted: those that its outputs name, and its code does not,
 * because nobody knows an id before the submit. A table lists jobs of others as well, so it
 * counts only where the code submits.
 */
export function jobsIn({ source, outputs }: ICellText): string[] {
  const lists = !/submit|retry/.test(source);
  const found = new Set<string>();
  for (const bundle of outputs) {
    const type = TYPES.find(one => one in bundle);
    const text = type === undefined ? '' : textOf(bundle[type]);
    if (!(lists && text.includes(TABLE))) {
      for (const [id] of text.slice(0, MOST_READ).matchAll(ID)) {
        found.add(id);
      }
    }
  }
  return [...found].filter(id => !source.includes(id));
}

/**
 * Give each job to the cell that submitted it: the first that may have.
 *
 * @param cells - What `jobsIn` found, in the order of the notebook.
 */
export function shareOut(cells: readonly (readonly string[])[]): string[][] {
  const taken = new Set<string>();
  return cells.map(ids =>
    ids.filter(id => !taken.has(id) && taken.add(id).has(id))
  );
}

/**
 * A text is a list of lines where it comes from a file.
 */
function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join('') : String(value);
}
