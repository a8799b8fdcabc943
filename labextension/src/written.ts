/* Config values as people write them, by the rules of `jupyter_aiqueue.core.parameters`. */

import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * Values as somebody would type them. `task_id` is the job's own id and will be another.
 */
export function written(
  config: Readonly<Record<string, unknown>>
): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (key !== 'task_id') {
      texts[key] =
        typeof value === 'string' && !isAmbiguous(value)
          ? value
          : JSON.stringify(value);
    }
  }
  return texts;
}

/**
 * Whether a text would be read as something else unless it is in quotes.
 */
function isAmbiguous(text: string): boolean {
  return (
    text.trim() !== text ||
    /^$|^~$|^[[{"']|\n/.test(text) ||
    /^(true|false|null)$/i.test(text) ||
    /^[-+.]?[0-9]/.test(text)
  );
}

/**
 * What a text is read as, in a word.
 */
export function kindOf(text: string, trans: TranslationBundle): string {
  const plain = text.trim();
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(plain)) {
    return trans.__('boolean');
  }
  if (/^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/.test(plain)) {
    return trans.__('number');
  }
  if (/^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(plain)) {
    return trans.__('number');
  }
  if (/^(~|null|Null|NULL)$/.test(plain)) {
    return trans.__('null');
  }
  if (/^\[.*\]$/.test(plain)) {
    return trans.__('list');
  }
  if (/^\{.*\}$/.test(plain)) {
    return trans.__('mapping');
  }
  return trans.__('text');
}
