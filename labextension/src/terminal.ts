/* Terminal output as it would stand on the screen, without a terminal. */

// The escape character cannot stand in a regular expression literal (no-control-regex).
const ESCAPE = String.fromCharCode(27);
const SEQUENCES = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^\\u0007${ESCAPE}]*(?:\\u0007|${ESCAPE}\\\\)|[@-Z\\\\-_])`,
  'g'
);

/**
 * Output as plain text: colours are dropped, and of a line that was overwritten with
 * carriage returns (a progress bar) the last state is kept.
 */
export function plainText(output: string): string {
  return output
    .replace(SEQUENCES, '')
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map(line => {
      const states = line.split('\r').filter(state => state !== '');
      return states[states.length - 1] ?? '';
    })
    .join('\n');
}
