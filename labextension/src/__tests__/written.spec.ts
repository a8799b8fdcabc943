import { nullTranslator } from '@jupyterlab/translation';

import { kindOf, written } from '../written';

describe('kindOf', () => {
  const trans = nullTranslator.load('jupyter_aiqueue');

  it.each([
    ['10', 'number'],
    ['-1e-3', 'number'],
    ['.5', 'number'],
    ['0x1F', 'number'],
    ['true', 'boolean'],
    ['TRUE', 'boolean'],
    ['tRUE', 'text'],
    ['no', 'text'],
    ['12:30', 'text'],
    ['1.2.3', 'text'],
    ['1e', 'text'],
    ['null', 'null'],
    ['[64, 32]', 'list'],
    ['[64', 'text'],
    ['{a: 1}', 'mapping'],
    ['"10"', 'text'],
    ['', 'text'],
    ['resnet50', 'text']
  ])('tells what %s is read as: %s', (text, kind) => {
    expect(kindOf(text, trans)).toBe(kind);
  });

  it('reads what was written from values as what they were', () => {
    const config = {
      a: 1e-7,
      b: '10',
      c: false,
      d: null,
      e: [1],
      f: 'x',
      g: {}
    };
    const texts = written({ ...config, task_id: 'x' });
    expect(
      Object.fromEntries(
        Object.entries(texts).map(([key, text]) => [key, kindOf(text, trans)])
      )
    ).toEqual({
      a: 'number',
      b: 'text',
      c: 'boolean',
      d: 'null',
      e: 'list',
      f: 'text',
      g: 'mapping'
    });
  });
});
