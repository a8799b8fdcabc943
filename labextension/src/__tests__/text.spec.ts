import { nullTranslator } from '@jupyterlab/translation';

import { briefly, exactly } from '../duration';
import {
  formatBytes,
  formatNumber,
  formatValue,
  orderedMetrics
} from '../quantity';
import { canCancel, canRetry, shortId, stateWord } from '../state';
import { plainText } from '../terminal';
import { sameVersion, VERSION } from '../version';
import { job } from './records';

const trans = nullTranslator.load('jupyter_aiqueue');

describe('durations', () => {
  it.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [7_199_000, '1 h'],
    [172_800_000, '2 d']
  ])('says %p ms briefly as %p', (milliseconds, text) => {
    expect(briefly(milliseconds, trans)).toBe(text);
  });

  it.each([
    [0.04, '0 s'],
    [0.84, '0.8 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [192.4, '3 min 12 s'],
    [3599.9, '1 h 0 min'],
    [7500, '2 h 5 min'],
    [180_000, '2 d 2 h']
  ])('says %p s exactly as %p', (seconds, text) => {
    expect(exactly(seconds, trans)).toBe(text);
  });
});

describe('quantities', () => {
  it.each([
    [0.412345, '0.4123'],
    [1.34e-7, '1.34e-7'],
    [15000, '15000'],
    [NaN, 'NaN']
  ])('writes %p as %p', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it.each([
    [512, '512 B'],
    [1536, '1.5 KiB'],
    [1_843_200_000, '1.7 GiB'],
    [200 * 1024 ** 2, '200 MiB']
  ])('writes %p bytes as %p', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('writes any value on one line', () => {
    expect(formatValue('a b')).toBe('a b');
    expect(formatValue({ flip: true, sizes: [1, 2] })).toBe(
      '{"flip":true,"sizes":[1,2]}'
    );
    expect(formatValue(null)).toBe('null');
    expect(formatValue(undefined)).toBe('');
  });

  it('puts loss and accuracy before other metrics', () => {
    expect(
      orderedMetrics({ epoch: 3, auc: 0.9, accuracy: 0.8, loss: 0.4 })
    ).toEqual(['loss', 'accuracy', 'epoch', 'auc']);
  });
});

describe('states', () => {
  it('says that a cancel is on its way, until the job is over', () => {
    const running = job('one', { state: 'running', cancelling: true });
    expect(stateWord(running, trans)).toBe('cancelling');
    expect(stateWord({ ...running, state: 'succeeded' }, trans)).toBe(
      'succeeded'
    );
  });

  it('lets a job be cancelled once, and retried when it is over', () => {
    expect(canCancel(job('one', { state: 'retrying' }))).toBe(true);
    expect(canCancel(job('one', { state: 'running', cancelling: true }))).toBe(
      false
    );
    expect(canRetry(job('one', { state: 'running' }))).toBe(false);
    expect(canRetry(job('one', { state: 'dead' }))).toBe(true);
  });

  it('shortens ids to the end that tells them apart', () => {
    expect(shortId('01k9h3q7f2v8d6m4yzab3c821f')).toBe('ab3c821f');
    expect(shortId('job1')).toBe('job1');
  });
});

describe('terminal output', () => {
  it('loses its colours and keeps its text', () => {
    expect(plainText('\u001b[1;32mdone\u001b[0m \u001b]0;title\u0007ok')).toBe(
      'done ok'
    );
  });

  it('keeps the last state of a line that was overwritten', () => {
    expect(plainText(' 10%|#   |\r 50%|##  |\r100%|####|\nend\r\n')).toBe(
      '100%|####|\nend\n'
    );
  });
});

describe('versions', () => {
  it('are one in the spelling of npm and of Python', () => {
    expect(sameVersion('1.0.0-rc.2', '1.0.0rc2')).toBe(true);
    expect(sameVersion('1.0.0', '1.0.1')).toBe(false);
  });

  it('comes from the package', () => {
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  });
});
