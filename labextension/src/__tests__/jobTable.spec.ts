import { JOB_SCHEMA } from '../events';
import { JobTable } from '../jobTable';
import { job } from './records';

const EARLY = '2026-11-21T10:00:00Z';
const LATE = '2026-11-21T10:00:05Z';

function ids(table: JobTable): string[] {
  return table.records.map(record => record.job_id);
}

describe('JobTable', () => {
  it('drops what the server no longer lists', () => {
    const table = new JobTable();
    table.replace([job('b'), job('a')]);
    table.replace([job('c'), job('b')]);
    expect(ids(table)).toEqual(['c', 'b']);
    expect(table.size).toBe(2);
  });

  it('tells that it has changed, and when it has not', () => {
    const table = new JobTable();
    table.put(job('a'));
    const { records, revision } = table;
    table.put(job('a'));
    table.remove('b');
    expect([table.records, table.revision]).toEqual([records, revision]);
    expect(table.records).toBe(records);
    table.put(job('b'));
    expect(table.revision).not.toBe(revision);
    expect(ids(table)).toEqual(['b', 'a']);
  });

  it('puts a new job at its place in time', () => {
    const table = new JobTable();
    table.replace([
      job('new', { submitted_at: '2026-11-21T12:00:00Z' }),
      job('old', { submitted_at: '2026-11-21T08:00:00Z' })
    ]);
    table.put(job('between', { submitted_at: '2026-11-21T10:00:00Z' }));
    table.put(job('newest', { submitted_at: '2026-11-21T13:00:00Z' }));
    table.put(job('oldest', { submitted_at: null }));
    expect(ids(table)).toEqual(['newest', 'new', 'between', 'old', 'oldest']);
  });

  it('does not go back to an older record', () => {
    const table = new JobTable();
    table.put(job('a', { state: 'succeeded', updated_at: LATE }));
    table.put(job('a', { state: 'running', updated_at: EARLY }));
    table.replace([job('a', { state: 'running', updated_at: EARLY })]);
    expect(table.get('a')?.state).toBe('succeeded');
  });

  it('keeps the object of a job that has not changed', () => {
    const table = new JobTable();
    table.replace([job('a'), job('b')]);
    const before = table.get('a');
    table.replace([job('a'), job('b', { state: 'running', updated_at: LATE })]);
    expect(table.get('a')).toBe(before);
    expect(table.get('b')?.state).toBe('running');
  });

  it('shows at once what an event says of a known job', () => {
    const table = new JobTable();
    table.put(job('a', { updated_at: EARLY, name: 'baseline' }));
    const isKnown = table.apply({
      schema_id: JOB_SCHEMA,
      job_id: 'a',
      state: 'running',
      cancelling: true,
      progress: 0.5,
      attempt: 1,
      updated_at: LATE
    });
    expect(isKnown).toBe(true);
    expect(table.get('a')).toMatchObject({
      state: 'running',
      cancelling: true,
      progress: 0.5,
      attempt: 1,
      name: 'baseline'
    });
  });

  it('ignores an event that is older than what is known', () => {
    const table = new JobTable();
    table.put(job('a', { state: 'succeeded', updated_at: LATE }));
    table.apply({
      schema_id: JOB_SCHEMA,
      job_id: 'a',
      state: 'running',
      updated_at: EARLY
    });
    expect(table.get('a')?.state).toBe('succeeded');
  });

  it('says when it does not know the job of an event', () => {
    const table = new JobTable();
    expect(
      table.apply({ schema_id: JOB_SCHEMA, job_id: 'x', state: 'queued' })
    ).toBe(false);
  });
});
