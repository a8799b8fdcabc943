/* Everything that is said is also said in Chinese. */

import { Gettext } from '@jupyterlab/translation/lib/gettext';
import * as React from 'react';
import { createRoot } from 'react-dom/client';
import ts from 'typescript';

import { LineChart } from '../charts/lineChart';
import { exactly } from '../duration';
import catalog from '../../../jupyter_aiqueue/locale/zh_CN/LC_MESSAGES/jupyter_aiqueue.json';
import schema from '../../schema/plugin.json';

declare const __dirname: string;

const { readdirSync, readFileSync, statSync } = jest.requireActual<{
  readdirSync: (folder: string) => string[];
  readFileSync: (path: string, encoding: 'utf8') => string;
  statSync: (path: string) => { isDirectory: () => boolean };
}>('fs');
const { act } = jest.requireActual<{ act: (work: () => void) => void }>(
  'react'
);

(globalThis as Record<string, unknown>).IS_REACT_ACT_ENVIRONMENT = true;

const SOURCE = `${__dirname}/..`;

/** Comes between the context of a text, such as that of the settings, and the text. */
const CONTEXT = '\u0004';
const MESSAGES = catalog as unknown as Record<string, string[]>;

interface IMessage {
  readonly id: string;
  readonly isPlural: boolean;
}

/** The texts of all calls of `__` and `_n`. */
function messages(folder = SOURCE): IMessage[] {
  return readdirSync(folder).flatMap(name => {
    const path = `${folder}/${name}`;
    if (name === '__tests__') {
      return [];
    }
    if (statSync(path).isDirectory()) {
      return messages(path);
    }
    return /\.tsx?$/.test(name) && !name.endsWith('.d.ts') ? inFile(path) : [];
  });
}

function inFile(path: string): IMessage[] {
  const found: IMessage[] = [];
  const visit = (node: ts.Node): void => {
    if (
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      ['__', '_n'].includes(node.expression.name.text)
    ) {
      const [text] = node.arguments;
      if (!ts.isStringLiteralLike(text)) {
        throw new Error(`${path}: ${node.getText()} cannot be translated`);
      }
      const isPlural = node.expression.name.text === '_n';
      found.push({ id: text.text, isPlural });
    }
    ts.forEachChild(node, visit);
  };
  visit(
    ts.createSourceFile(
      path,
      readFileSync(path, 'utf8'),
      ts.ScriptTarget.Latest,
      true,
      path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS
    )
  );
  return found;
}

function places(text: string): string[] {
  return (text.match(/%\d/g) ?? []).sort();
}

describe('the Chinese catalog', () => {
  it('has every text of the front end', () => {
    const all = messages();
    expect(all.length).toBeGreaterThan(200);
    expect(all.filter(({ id }) => !(id in MESSAGES))).toEqual([]);
  });

  it('has no text that nobody says', () => {
    const said = new Set(messages().map(({ id }) => id));
    const texts = Object.keys(MESSAGES).filter(
      id => id && !id.includes(CONTEXT)
    );
    expect(texts.filter(id => !said.has(id))).toEqual([]);
  });

  it('has texts with a number in the form that is looked up', () => {
    for (const { id, isPlural } of messages()) {
      expect([id, MESSAGES[id].length]).toEqual([id, isPlural ? 2 : 1]);
    }
  });

  it('has the same gaps in the translation', () => {
    for (const [id, translations] of Object.entries(MESSAGES)) {
      for (const text of id === '' ? [] : translations) {
        expect([id, places(text)]).toEqual([id, places(id)]);
      }
    }
  });

  it('has the texts of the settings', () => {
    for (const { title, description } of Object.values(schema.properties)) {
      expect(MESSAGES[`settings${CONTEXT}${title}`]).toBeDefined();
      expect(MESSAGES[`settings${CONTEXT}${description}`]).toBeDefined();
    }
  });

  it('is used', () => {
    // As JupyterLab's translation manager does it.
    const { '': header, ...texts } = catalog;
    const trans = new Gettext({ domain: header.domain, locale: 'zh-CN' });
    const data = { '': { ...header, pluralForms: header.plural_forms } };
    trans.loadJSON({ ...data, ...texts } as never, header.domain);
    expect(exactly(192, trans)).toBe('3 分 12 秒');
    expect(trans._n('%1 job', '%1 jobs', 3)).toBe('3 个任务');
    const node = document.createElement('div');
    const points = [
      [1, 2],
      [2, 1]
    ] as const;
    act(() =>
      createRoot(node).render(
        <LineChart
          axis="epoch"
          curves={[{ mark: '1', label: '', points }]}
          title={String('loss')}
          trans={trans}
        />
      )
    );
    expect(node.querySelector('svg')?.getAttribute('aria-label')).toBe(
      'loss：从 2 到 1，最低 1，最高 2'
    );
    expect(node.querySelector('button')?.textContent).toBe('表格');
  });
});
