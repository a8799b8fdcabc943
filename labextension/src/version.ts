import { version } from '../package.json';

/**
 * The version of this front end.
 */
export const VERSION = version;

const STAGES: Readonly<Record<string, string>> = {
  alpha: 'a',
  beta: 'b',
  rc: 'rc'
};

/**
 * Whether two versions are one release, in npm's spelling (`1.0.0-alpha.2`) or Python's
 * (`1.0.0a2`).
 */
export function sameVersion(one: string, other: string): boolean {
  return pythonSpelling(one) === pythonSpelling(other);
}

function pythonSpelling(version: string): string {
  return version.replace(
    /-(alpha|beta|rc)\.(\d+)$/,
    (_, stage: string, number: string) => `${STAGES[stage]}${number}`
  );
}
