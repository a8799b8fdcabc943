/* The lines of a ledger, as `jupyter_aiqueue.core.ledger` writes them. */

import type { EventKind, IPastEvent } from '../history';

/**
 * The first line of a ledger.
 */
export interface ILedgerHeader {
  readonly ledger: string;

  /**
   * File name of the notebook that it belongs to.
   */
  readonly notebook?: string | null;
}

/**
 * One line: what happened to a job. What is not known is missing.
 */
export interface ILedgerEvent extends IPastEvent {
  readonly job_id: string;
  readonly id: string;
  readonly turn?: number;
  readonly task?: string;
  readonly group?: string;
  readonly priority?: string;
  readonly name?: string;
  readonly notebook?: string;
  readonly user?: string;
  readonly retry_of?: string;
  readonly submitted_at?: string;
  readonly max_attempts?: number;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly progress?: number;
  readonly log?: string;
  readonly series?: {
    readonly seconds: readonly number[];
    readonly metrics: Readonly<Record<string, readonly (number | null)[]>>;
  };
}

/**
 * A line that takes the record of a job out of what is shown, if the job is over.
 */
export interface ILedgerRemoval {
  readonly removed: string;
}

const KINDS: ReadonlySet<string> = new Set<EventKind>([
  'held',
  'submitted',
  'started',
  'requeued',
  'retrying',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
  'dead',
  'duplicate'
]);

/**
 * Read one line; null if it is none of ours. (Lines that somebody else has written stay in the
 * file and mean nothing.)
 */
export function readLine(
  line: string
): ILedgerHeader | ILedgerEvent | ILedgerRemoval | null {
  if (!line.startsWith('{')) {
    return null;
  }
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof value.ledger === 'string') {
    return value as unknown as ILedgerHeader;
  }
  if (typeof value.removed === 'string') {
    return value as unknown as ILedgerRemoval;
  }
  const { event, id, job_id, timestamp } = value;
  return typeof event === 'string' &&
    KINDS.has(event) &&
    typeof id === 'string' &&
    typeof job_id === 'string' &&
    typeof timestamp === 'string' &&
    !Number.isNaN(Date.parse(timestamp))
    ? (value as unknown as ILedgerEvent)
    : null;
}

/**
 * Whether a line is the header.
 */
export function isHeader(
  line: ILedgerHeader | ILedgerEvent | ILedgerRemoval
): line is ILedgerHeader {
  return 'ledger' in line;
}

/**
 * Whether a line removes a record.
 */
export function isRemoval(
  line: ILedgerEvent | ILedgerRemoval
): line is ILedgerRemoval {
  return 'removed' in line;
}
