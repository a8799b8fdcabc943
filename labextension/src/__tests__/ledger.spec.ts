import { Ledger } from '../ledger/ledger';
import example from './ledger.json';

const PATH = 'lab/train.jobs.jsonl';
const TEXT = `${example.lines.join('\n')}\n`;

/** What a record of the Python package has, of one of ours. */
function shown(ledger: Ledger): Record<string, unknown> {
  const names = Object.keys(example.records['01a']);
  return Object.fromEntries(
    ledger.records.map(record => {
      const all = { ...record } as Record<string, unknown>;
      return [
        record.job_id,
        Object.fromEntries(names.map(name => [name, all[name]]))
      ];
    })
  );
}

describe('Ledger', () => {
  it('makes the same of a file as the Python package', () => {
    const ledger = new Ledger(PATH, 'all');
    ledger.read(TEXT);
    expect(shown(ledger)).toEqual(example.records);
  });

  it('comes to the same when the file grows line by line', () => {
    const ledger = new Ledger(PATH, 'all');
    for (let end = 0; end <= TEXT.length; end += 97) {
      ledger.read(TEXT.slice(0, end));
    }
    ledger.read(TEXT);
    expect(shown(ledger)).toEqual(example.records);
  });

  it('lists the newest job first, beside its notebook wherever both lie', () => {
    const ledger = new Ledger(PATH, 'table');
    ledger.read(TEXT);
    const ids = ledger.records.map(record => record.job_id);
    expect(ids).toEqual([...ids].sort().reverse());
    expect(ledger.records[0].path).toBe('lab/train.ipynb');
    expect(ledger.records[0].ledger).toBe(PATH);
  });

  it('does not read a torn last line', () => {
    const ledger = new Ledger(PATH, 'all');
    ledger.read(TEXT.slice(0, TEXT.indexOf('succeeded')));
    expect(ledger.find('01a')?.state).toBe('running');
  });

  it('keeps a record that has not changed', () => {
    const ledger = new Ledger(PATH, 'table');
    const half = example.lines.slice(0, 6).join('\n') + '\n';
    ledger.read(half);
    const before = ledger.find('01a');
    ledger.read(TEXT);
    expect(ledger.find('01a')).toBe(before);
  });

  it('starts over when the file was replaced', () => {
    const ledger = new Ledger(PATH, 'table');
    ledger.read(TEXT);
    const lines = example.lines.filter(line => !line.includes('"01a"'));
    ledger.read(lines.join('\n') + '\n');
    expect(ledger.find('01a')).toBeUndefined();
    expect(ledger.records).toHaveLength(
      Object.keys(example.records).length - 1
    );
  });

  it('counts the lines that are not ours', () => {
    const ledger = new Ledger(PATH, 'table');
    ledger.read(TEXT);
    expect(ledger.strangeLines).toBe(2);
  });

  it('gives the past of one job with its curves', () => {
    const ledger = new Ledger(PATH, 'all');
    ledger.read(TEXT, '01a');
    expect(ledger.records).toHaveLength(1);
    expect(ledger.records[0].path).toBe('lab/train.ipynb');
    const { events, series } = ledger.history('01a');
    expect(events.map(event => event.event)).toEqual([
      'submitted',
      'started',
      'succeeded'
    ]);
    expect(series).toEqual([
      {
        attempt: 1,
        seconds: [1, 2],
        metrics: { loss: [0.5, 0.1] },
        complete: true
      }
    ]);
    expect(ledger.history('nobody').events).toEqual([]);
  });

  it('drops logs and curves for a table', () => {
    const ledger = new Ledger(PATH, 'table');
    ledger.read(TEXT);
    expect(ledger.find('01a')?.log_tail).toBeNull();
    expect(ledger.history('01a').series).toEqual([]);
  });
});
