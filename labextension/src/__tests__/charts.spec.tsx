import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';
import { createRoot } from 'react-dom/client';

import {
  axesOf,
  curvesOf,
  metricsOf,
  nearest,
  scaleOf,
  TIME
} from '../charts/curves';
import { CurvesPanel } from '../charts/curvesPanel';
import type { ISeries } from '../history';

const { act } = jest.requireActual<{
  act: (work: () => void) => void;
}>('react');

(globalThis as Record<string, unknown>).IS_REACT_ACT_ENVIRONMENT = true;

const trans = nullTranslator.load('jupyter_aiqueue');

function series(metrics: ISeries['metrics'], seconds?: number[]): ISeries {
  const length = Object.values(metrics)[0].length;
  return {
    attempt: 1,
    seconds: seconds ?? [...Array(length).keys()],
    metrics,
    complete: true
  };
}

describe('axesOf', () => {
  it('prefers what counts upwards in all series', () => {
    const counts = series({ loss: [3, 2], epoch: [1, 2], step: [5, 9] });
    const counted = series({ loss: [3, 2], epoch: [1, 2], step: [9, 5] });
    expect(axesOf([counts])).toEqual(['epoch', 'step', TIME]);
    expect(axesOf([counts, counted])).toEqual(['epoch', TIME]);
    expect(axesOf([series({ loss: [1] })])).toEqual([TIME]);
    expect(axesOf([])).toEqual([TIME]);
  });
});

describe('curvesOf', () => {
  it('leaves out gaps, and stands where the counter was last', () => {
    const one = series({
      epoch: [1, null, 2, null],
      loss: [4, 3, null, 1]
    });
    const labelled = [{ mark: 'A', label: String(1), series: one }];
    expect(curvesOf(labelled, 'loss', 'epoch')[0].points).toEqual([
      [1, 4],
      [1, 3],
      [2, 1]
    ]);
    expect(curvesOf(labelled, 'loss', TIME)[0].points).toEqual([
      [0, 4],
      [1, 3],
      [3, 1]
    ]);
    expect(curvesOf(labelled, 'accuracy', TIME)).toEqual([]);
  });

  it('survives columns of different lengths', () => {
    const odd = series({ epoch: [1], loss: [1, 2, 3] }, [0]);
    const labelled = [{ mark: 'A', label: String(1), series: odd }];
    expect(curvesOf(labelled, 'loss', TIME)[0].points).toHaveLength(3);
  });
});

describe('scaleOf', () => {
  it('has round numbers within the range', () => {
    expect(scaleOf([0.06, 1.53], 4).ticks).toEqual([0.5, 1, 1.5]);
    expect(scaleOf([0, 1000], 4).ticks).toEqual([0, 500, 1000]);
    expect(scaleOf([-0.1, 0.1], 4).ticks).toEqual([-0.1, -0.05, 0, 0.05, 0.1]);
  });

  it('has a range also for one value, and for none', () => {
    const { low, high } = scaleOf([5], 4);
    expect(low).toBeLessThan(5);
    expect(high).toBeGreaterThan(5);
    expect(scaleOf([], 4)).toMatchObject({ low: 0, high: 1 });
    expect(scaleOf([1e-12, 1e12], 4).ticks.length).toBeLessThan(12);
  });
});

it('finds the point that is nearest', () => {
  const points = [
    [0, 1],
    [10, 2],
    [20, 3]
  ] as const;
  expect(nearest({ mark: '', label: '', points }, 12)).toEqual([10, 2]);
});

it('orders metrics as people look at them, counters apart', () => {
  const one = series({ zeta: [1], epoch: [1], accuracy: [1], loss: [1] });
  expect(metricsOf([one], 'epoch')).toEqual(['loss', 'accuracy', 'zeta']);
});

describe('CurvesPanel', () => {
  let node: HTMLElement;

  function draw(...all: ISeries[]): void {
    node = document.createElement('div');
    document.body.replaceChildren(node);
    const labelled = all.map((one, i) => ({
      mark: String(i + 1),
      label: `attempt ${i + 1}`,
      series: one
    }));
    act(() =>
      createRoot(node).render(<CurvesPanel all={labelled} trans={trans} />)
    );
  }

  function click(label: string): void {
    const button = [...node.querySelectorAll('button')].find(
      one => one.textContent === label
    );
    act(() => button?.click());
  }

  const fell = series({ loss: [2, 1, 0.5], epoch: [1, 2, 3] }, [0, 10, 20]);
  const rose = series({ loss: [2, 3], epoch: [1, 2] }, [0, 10]);

  it('says in a sentence what it draws', () => {
    draw(fell);
    expect(node.querySelector('svg')?.getAttribute('aria-label')).toBe(
      'loss: from 2 to 0.5, lowest 0.5, highest 2'
    );
    expect(node.querySelectorAll('path')).toHaveLength(1);
  });

  it('marks several lines, and not a single one', () => {
    draw(fell);
    expect(node.querySelectorAll('.jp-AIQueue-chartMark')).toHaveLength(0);
    draw(fell, rose);
    const marks = [...node.querySelectorAll('.jp-AIQueue-chartMark')];
    expect(marks.map(mark => mark.textContent)).toEqual(['1', '2']);
    const lines = [...node.querySelectorAll('.jp-AIQueue-curve')];
    expect(new Set(lines.map(line => line.getAttribute('class'))).size).toBe(2);
  });

  it('shows the same as a table', () => {
    draw(fell, rose);
    click('Table');
    const rows = [...node.querySelectorAll('tbody tr')].map(row =>
      [...row.children].map(cell => cell.textContent)
    );
    expect(rows).toEqual([
      ['1', '2', '2'],
      ['2', '1', '3'],
      ['3', '0.5', '']
    ]);
  });

  it('changes what is on the horizontal axis', () => {
    draw(fell);
    click('time');
    click('Table');
    const places = [...node.querySelectorAll('tbody th')];
    expect(places.map(place => place.textContent)).toEqual([
      '0 s',
      '10 s',
      '20 s'
    ]);
  });

  it('tells the values at a place that arrow keys move', () => {
    draw(fell, rose);
    const svg = node.querySelector('svg');
    const press = (key: string) =>
      act(() => {
        svg?.dispatchEvent(
          new KeyboardEvent('keydown', { key, bubbles: true })
        );
      });
    press('ArrowLeft');
    press('ArrowLeft');
    const value = node.querySelector('.jp-AIQueue-chartValue');
    expect(value?.textContent).toBe('21 12 3');
    press('Escape');
    expect(value?.textContent).toBe('');
  });
});
