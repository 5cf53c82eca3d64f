// Tests that banned phrases are found in prose and in comments, also across line ends, but not in code. Also tests that a part may have its
// allowed number of phrases.

import { expect, test } from 'vitest';
import { commentsOf, phraseProblems, phrasesIn, proseOf } from './phrases.mjs';

test('a phrase is found with its line, whatever its case, and over the end of a line', () => {
  expect(phrasesIn('Start\nAnew, and what\nis left')).toEqual([
    { line: 2, phrase: 'anew' },
    { line: 2, phrase: 'what is' },
  ]);
  expect(phrasesIn('what isolates, renewed, of item, somewhat is')).toEqual([]);
});

test('code, commands and generated parts of a page are no prose', () => {
  const made = '<!-- made from keys: npm run man -->\nwhat is made\n<!-- end -->';
  const page = `a\n\n\`\`\`\nwhat is\n\`\`\`\n\n    what is\n\nb \`of it\`\n${made}\n- [0001](x.md) What is\nof it\n`;
  expect(phrasesIn(proseOf(page))).toEqual([{ line: 14, phrase: 'of it' }]);
});

test('comments are joined, and code is left out', () => {
  const source = "// What\n// is this\nconst anew = 'of it'; // somebody\n/**\n * whoever\n */\n";
  expect(phrasesIn(commentsOf(source)).map(({ phrase }) => phrase)).toEqual(['what is', 'somebody', 'whoever']);
});

test('a document has none; a part has at most what is allowed', () => {
  const files = [
    ['docs/a.md', 'All of it'],
    ['docs/adr/0001-a.md', 'anew, anew'],
    ['packages/x/src/a.ts', "// of it\nconst a = 'two words of it';\n"],
  ];
  expect(phraseProblems(files, { 'docs/adr': 2, 'packages/x': 2 })).toEqual([
    'docs/a.md:1: "of it": docs/STYLE.md says what to write instead',
  ]);
  expect(phraseProblems(files.slice(1), { 'docs/adr': 1, 'packages/x': 2 })).toEqual([
    'docs/adr has 2 phrases that docs/STYLE.md bans, more than 1: mend those that are new',
  ]);
});
