import { QueueAPI } from '../api';
import { JobForecasts } from '../forecasts';
import { FakeServer } from './fakeServer';
import { forecast, job } from './records';
import { pass, stopTime } from './timeline';

describe('forecasts', () => {
  let server: FakeServer;
  let forecasts: JobForecasts;
  let changes: number;

  beforeEach(() => {
    stopTime('2026-11-21T10:00:00Z');
    server = new FakeServer();
    server.install();
    changes = 0;
    forecasts = new JobForecasts(new QueueAPI(server.settings), () => {
      changes += 1;
    });
    server.jobs = Array.from({ length: 1000 }, (_, i) => job(`job-${i}`));
  });

  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('are not asked for while nobody sees a waiting job', async () => {
    await forecasts.fetch(server.jobs, null);
    server.change('job-1', { state: 'running' });
    forecasts.see('job-1', true);
    await forecasts.fetch(server.jobs, 'job-1');
    expect(server.taken()).toEqual([]);
    expect(changes).toBe(0);
  });

  it('are asked for a few at a time, the open one first, each in turn', async () => {
    for (let i = 0; i < 20; i += 1) {
      forecasts.see(`job-${i}`, true);
    }
    forecasts.see('job-3', false);
    const asked = new Set<string>();
    for (let look = 0; look < 5; look += 1) {
      await forecasts.fetch(server.jobs, 'job-700');
      const paths = server.taken();
      expect(paths).toHaveLength(6);
      expect(paths[0]).toBe('jobs/job-700/forecast');
      paths.forEach(path => asked.add(path));
      expect(changes).toBe(look + 1);
      await pass(5_000);
    }
    expect(asked.size).toBe(20);
    expect(asked.has('jobs/job-3/forecast')).toBe(false);
  });

  it('are not asked for again within seconds', async () => {
    forecasts.see('job-1', true);
    await forecasts.fetch(server.jobs, null);
    await forecasts.fetch(server.jobs, null);
    expect(server.taken()).toEqual(['jobs/job-1/forecast']);
  });

  it('are forgotten when the job does not wait any more', async () => {
    server.forecasts['job-1'] = { forecast: forecast(), missing: null };
    forecasts.see('job-1', true);
    await forecasts.fetch(server.jobs, null);
    expect(forecasts.get('job-1')?.forecast?.ahead).toBe(2);
    server.change('job-1', { state: 'running' });
    await forecasts.fetch(server.jobs, null);
    expect(forecasts.get('job-1')).toBeNull();
  });

  it('are unknown, and not asked for in vain, while the broker is away', async () => {
    server.forecasts['job-1'] = { forecast: forecast(), missing: null };
    forecasts.see('job-1', true);
    forecasts.see('job-2', true);
    await forecasts.fetch(server.jobs, null);
    await pass(5_000);
    server.taken();
    server.failures.set('jobs', [503, { message: 'It is away.' }]);
    await forecasts.fetch(server.jobs, null);
    expect(server.taken()).toHaveLength(1);
    expect(forecasts.get('job-1')).toBeNull();
    server.failures.clear();
    await forecasts.fetch(server.jobs, null);
    expect(forecasts.get('job-1')?.forecast?.ahead).toBe(2);
  });
});
