import { findAll, Output } from '../jobView/log';

function after(...logs: [log: string, offset: number | null][]): Output {
  const output = new Output();
  for (const [log, offset] of logs) {
    output.add({ log, offset, complete: false });
  }
  return output;
}

describe('Output', () => {
  it('joins the ends that a worker sends', () => {
    const output = after(['one\ntwo\n', 0], ['two\nthree\n', 4]);
    expect(output.text).toBe('one\ntwo\nthree\n');
    expect(output.missing).toBe(0);
  });

  it('begins anew after a gap, and where another attempt writes', () => {
    expect(after(['one', 0], ['nine', 90])).toMatchObject({
      text: 'nine',
      missing: 90
    });
    expect(after(['late', 90], ['one', 0])).toMatchObject({
      text: 'one',
      missing: 0
    });
  });

  it('joins what was recorded, which has no place, where it fits', () => {
    const output = after(['epoch 1\nepoch 2\n', 0], ['epoch 2\nend\n', null]);
    expect(output.text).toBe('epoch 2\nend\n');
    const long = 'x'.repeat(300);
    expect(after([`a${long}`, 0], [`${long}end`, null]).text).toBe(
      `a${long}end`
    );
    expect(after(['one', 0], ['another', null])).toMatchObject({
      text: 'another',
      missing: null
    });
  });

  it('keeps the end of a long output', () => {
    const output = after(
      ['x'.repeat(900_000), 0],
      ['y'.repeat(200_000), 900_000]
    );
    expect(output.text).toHaveLength(1_000_000);
    expect(output.missing).toBe(100_000);
    expect(output.text?.endsWith('y')).toBe(true);
  });
});

it('finds a text whatever its case, so many times at most', () => {
  expect(findAll('Loss, loss, LOSS', 'loss', 9)).toEqual([0, 6, 12]);
  expect(findAll('Loss, loss, LOSS', 'loss', 2)).toEqual([0, 6]);
  expect(findAll('aaaa', 'aa', 9)).toEqual([0, 2]);
  expect(findAll('text', '', 9)).toEqual([]);
});
