import { ServerConnection } from '@jupyterlab/services';

import { QueueAPI } from '../api';
import { describeFailure } from '../failure';
import { request, RequestError } from '../request';
import { FakeServer } from './fakeServer';
import { job } from './records';

describe('request', () => {
  let server: FakeServer;

  beforeEach(() => {
    server = new FakeServer();
    server.install();
  });

  afterEach(() => jest.restoreAllMocks());

  it('joins the base URL and encodes what it is given', async () => {
    server.failures.set('jobs', [200, {}]);
    await request(server.settings, ['jobs', 'a/b c'], {
      notebook: 'über & unter/x.ipynb',
      offset: undefined
    });
    expect(server.taken()).toEqual([
      'jobs/a%2Fb%20c?notebook=%C3%BCber%20%26%20unter%2Fx.ipynb'
    ]);
  });

  it('gives the answer and the date it carries', async () => {
    server.date = 'Sat, 21 Nov 2026 10:00:00 GMT';
    const { data, date } = await new QueueAPI(server.settings).load();
    expect(data.broker.version).toBe('3.10.8');
    expect(date).toBe('Sat, 21 Nov 2026 10:00:00 GMT');
  });

  it("throws the server's own sentence and reason", async () => {
    server.failures.set('load', [
      503,
      { message: 'No broker is configured.', reason: 'no-broker' }
    ]);
    const error = await request(server.settings, ['load']).catch(e => e);
    expect(error).toBeInstanceOf(RequestError);
    expect(describeFailure(error)).toEqual({
      kind: 'broker',
      message: 'No broker is configured.',
      reason: 'no-broker'
    });
  });

  it.each([
    [404, '<html>not found</html>', 'no-extension'],
    [403, { message: 'Forbidden' }, 'no-permission'],
    [502, '<html>bad gateway</html>', 'no-server'],
    [200, '<html>a login page</html>', 'no-server'],
    [500, { message: 'Unhandled error' }, 'other'],
    [0, '', 'no-server']
  ])('tells what status %p with body %p means', async (status, body, kind) => {
    server.failures.set('load', [status, body]);
    const error = await request(server.settings, ['load']).catch(e => e);
    expect(describeFailure(error).kind).toBe(kind);
  });

  it('lets a lost connection through as such', async () => {
    server.failures.set('load', [0, '']);
    await expect(request(server.settings, ['load'])).rejects.toBeInstanceOf(
      ServerConnection.NetworkError
    );
  });

  it('posts JSON', async () => {
    server.jobs = [job('one')];
    await new QueueAPI(server.settings).retry('one');
    expect(server.requests).toEqual([
      { method: 'POST', path: 'jobs/one/retry', body: { written: {} } }
    ]);
  });
});
