/* The list of jobs as the server gives it: in parts. */

import type { IJobPage, IJobRecord, IQueueAPI } from '../api';
import { MOST_JOBS } from '../api';

/**
 * Jobs that are asked for by their ids at once: an address has its limits.
 */
const NAMED = 100;

const UNFINISHED = 'held,queued,running,retrying';

/**
 * Pages of jobs, newest first, until `limit` of them (those before the offset counted) or all
 * there are have been given.
 */
export async function* fetchPages(
  api: IQueueAPI,
  query: { notebook?: string; offset: number; state?: string },
  limit = Infinity
): AsyncGenerator<IJobPage> {
  const { notebook, state } = query;
  let { offset } = query;
  let page: IJobPage;
  do {
    const part = Math.min(MOST_JOBS, limit - offset);
    page = (await api.jobs({ notebook, state, limit: part, offset })).data;
    offset += page.jobs.length;
    yield page;
  } while (page.jobs.length > 0 && offset < Math.min(limit, page.total));
}

/**
 * All jobs that are not over.
 */
export async function fetchUnfinished(
  api: IQueueAPI,
  notebook: string | undefined
): Promise<IJobRecord[]> {
  const jobs: IJobRecord[] = [];
  const query = { notebook, offset: 0, state: UNFINISHED };
  for await (const page of fetchPages(api, query)) {
    jobs.push(...page.jobs);
  }
  return jobs;
}

/**
 * The jobs with these ids, as far as there are any.
 */
export async function fetchJobs(
  api: IQueueAPI,
  notebook: string | undefined,
  ids: readonly string[]
): Promise<IJobRecord[]> {
  const jobs: IJobRecord[] = [];
  for (let i = 0; i < ids.length; i += NAMED) {
    const id = ids.slice(i, i + NAMED);
    const query = { notebook, id, limit: NAMED, offset: 0 };
    jobs.push(...(await api.jobs(query)).data.jobs);
  }
  return jobs;
}
