import { ServerConnection } from '@jupyterlab/services';

import { RequestError } from './request';

/**
 * Why nothing could be shown or done.
 *
 * - `no-extension`: this Jupyter server does not know the API.
 * - `broker`: the server extension answers, and cannot use the broker.
 * - `no-permission`: the server refuses this user.
 * - `no-server`: the Jupyter server itself does not answer.
 * - `other`: everything else.
 */
export type FailureKind =
  'no-extension' | 'broker' | 'no-permission' | 'no-server' | 'other';

/**
 * A failed request, for people.
 */
export interface IFailure {
  readonly kind: FailureKind;

  /**
   * The server's own sentence.
   */
  readonly message: string;

  /**
   * A stable word such as `no-broker`, if the server gave one.
   */
  readonly reason: string | null;
}

/**
 * Say what an error of a request means.
 */
export function describeFailure(error: unknown): IFailure {
  if (error instanceof RequestError) {
    const { message, reason, status } = error;
    return { kind: kindOf(status), message, reason };
  }
  const message = error instanceof Error ? error.message : String(error);
  const kind =
    error instanceof ServerConnection.NetworkError ? 'no-server' : 'other';
  return { kind, message, reason: null };
}

function kindOf(status: number): FailureKind {
  switch (status) {
    case 404:
      return 'no-extension';
    case 401:
    case 403:
      return 'no-permission';
    case 503:
      return 'broker';
    case 502:
    case 504:
      return 'no-server';
    default:
      return 'other';
  }
}
