// Tests that a folder without a text, a text without a folder and a decision without its kind are found.
// `npm run check` compares docs/TREE.md with the sources.

import { expect, test } from 'vitest';
import { boundsOf, decisionOf, folderProblems, pageOf } from './tree.mjs';

test('each folder with files needs a text, and each text a folder', () => {
  const files = ['packages/a/package.json', 'packages/a/src/b/c.ts', 'packages/a/src/testing/d.ts', 'docs/e.md'];
  expect(folderProblems(files, { docs: 'pages', 'packages/a/src': 'all', 'packages/a/src/b': 'b' })).toEqual([]);
  expect(folderProblems(files, { docs: 'pages', 'docs/old': 'gone' })).toEqual([
    'Folder packages/a/src/b has no text: add it to scripts/tree-texts.mjs',
    'Folder docs/old does not exist: remove it from scripts/tree-texts.mjs',
  ]);
});

test('a decision has a number, a title and a kind', () => {
  expect(decisionOf('x.md', '# 0001 A title\n\nKind: note\n')).toEqual({ path: 'x.md', number: '0001', title: 'A title', kind: 'note' });
  expect(() => decisionOf('x.md', '# 0001 A title\n\n## Context\n')).toThrow('x.md lacks its kind');
  expect(() => decisionOf('x.md', 'Kind: note\n')).toThrow('does not begin with');
});

test('a file of bounds gives its first sentence and its constants', () => {
  const text =
    '// Bounds of the a/ folder, in two\n// lines. Units are in the names.\n\n/** Text. */\nexport const A_MS = 1;\nexport const B = 2;\n';
  expect(boundsOf(text)).toEqual({ sentence: 'Bounds of the a/ folder, in two lines', names: ['A_MS', 'B'] });
  const page = pageOf({ docs: 'pages' }, [['packages/a/src/limits.ts', text]], []);
  expect(page).toContain('- `a/src/limits.ts`: Bounds of the a/ folder, in two lines. A_MS, B\n');
});
