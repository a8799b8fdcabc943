import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/**
 * Where the server extension's API lives, below the server's base URL.
 */
const API = ['aiqueue', 'api'];

/**
 * An answer of the server extension.
 */
export interface IReply<T> {
  readonly data: T;

  /**
   * The server's clock when it answered (the `Date` header), if it said.
   */
  readonly date: string | null;
}

/**
 * The server answered, and the answer is an error.
 *
 * `message` is a sentence for people, `reason` a stable word such as `no-broker`.
 */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason: string | null
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

/**
 * Call the server extension.
 *
 * @param settings - The connection of the running application.
 * @param path - Path segments below the API, not encoded.
 * @param query - Query parameters; undefined ones are left out, lists are sent one by one.
 * @param init - Method and body.
 * @returns The decoded answer.
 * @throws RequestError when the answer is an error or not JSON.
 * @throws ServerConnection.NetworkError when there is no answer.
 */
export async function request<T>(
  settings: ServerConnection.ISettings,
  path: readonly string[],
  query: Readonly<
    Record<string, string | number | readonly string[] | undefined>
  > = {},
  init: RequestInit = {}
): Promise<IReply<T>> {
  const parameters = Object.entries(query).flatMap(([key, value]) => {
    const values = typeof value === 'object' ? value : [value ?? []].flat();
    return values.map(
      one => `${encodeURIComponent(key)}=${encodeURIComponent(one)}`
    );
  });
  const url =
    URLExt.join(settings.baseUrl, ...API, ...path.map(encodeURIComponent)) +
    (parameters.length > 0 ? `?${parameters.join('&')}` : '');
  const response = await ServerConnection.makeRequest(url, init, settings);
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new RequestError(
      response.ok ? 502 : response.status,
      response.ok
        ? 'The answer is not JSON.'
        : response.statusText || `HTTP ${response.status}`,
      null
    );
  }
  if (!response.ok) {
    const { message, reason } = (body ?? {}) as {
      message?: string;
      reason?: string | null;
    };
    throw new RequestError(
      response.status,
      message || response.statusText || `HTTP ${response.status}`,
      reason ?? null
    );
  }
  return { data: body as T, date: response.headers.get('Date') };
}
