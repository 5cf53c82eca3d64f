// Breaks every rule of tidy once: tidy must report each violation, and accept a clean file. tidy skips this file, because it contains
// violations.

import { expect, test } from 'vitest';
import { missingFiles, problemsOf, unknownRules } from './tidy-rules.mjs';

const SOURCE = 'packages/protocol/src/lib/thing.ts';
const TEST = 'packages/protocol/src/lib/thing.test.ts';

const found = (path, body) => problemsOf(path, body).map(({ text }) => text);

test('a clean file passes', () => {
  expect(found(SOURCE, "import { a } from './a.ts';\nimport { b } from '@rsio/protocol/wire/b';\nexport const c = a + b;\n")).toEqual([]);
  expect(found(TEST, "import { F } from '../testing/fake.ts';\ntest('x', (context) => context.skip('needs nbdkit'));\n")).toEqual([]);
});

test.each([
  ['unfinished work', SOURCE, '// TODO: later\n'],
  ['a home path', SOURCE, `const a = '/home/anna/rsio';\n`],
  ['a relative import without ending', SOURCE, "import { a } from './a';\n"],
  ['a relative import of compiled code', SOURCE, "import { a } from '../a.js';\n"],
  ['a dynamic import without ending', SOURCE, "const a = await import('./a');\n"],
  ['testing/ in a product file', SOURCE, "import { a } from '../testing/fake.ts';\n"],
  ['testing/ in a program', 'packages/rsiod/src/daemon.ts', "import { a } from '@rsio/protocol/testing/fake';\n"],
  ['testing.ts in a product file', 'packages/rssrv/src/volumes/volumes.ts', "import { a } from './backends/testing.ts';\n"],
  ['a barrel', SOURCE, "export * from './a.ts';\n"],
  ['the text of a program as an argument', SOURCE, "spawn('perl', ['-e', SCRIPT]);\n"],
  ['a rule switched off silently', SOURCE, '// oxlint-disable-next-line no-eval\n'],
  ['only', TEST, `test.only('x', () => {});\n`],
  ['skip', TEST, `test.skip('x', () => {});\n`],
  ['skipIf', TEST, `describe.skipIf(true)('x', () => {});\n`],
  ['skip without reason', TEST, `test('x', (context) => context.skip());\n`],
])('%s is refused', (_, path, body) => {
  expect(found(path, body)).toHaveLength(1);
});

test('a rule switched off with a reason passes', () => {
  expect(found(SOURCE, '// oxlint-disable-next-line no-eval -- the input is our own\n')).toEqual([]);
});

test('documents are searched for words only', () => {
  expect(problemsOf('docs/A_b.md', 'test.only, index.ts\n')).toEqual([]);
  expect(problemsOf('docs/a.md', 'see /srv/checkout/rsio/docs\n', ['/srv/checkout/rsio/'])).toEqual([
    { line: 1, text: expect.any(String) },
  ]);
});

test('a comment names only files that exist, with or without folders', () => {
  const comment = (text) => `// ${text}\nexport const a = 'gone.ts';\n`;
  const found = (text) => [...missingFiles(new Map([[SOURCE, comment(text)]]))].map((problem) => problem.text);
  expect(found('See thing.ts, lib/thing.ts and *.test.ts.')).toEqual([]);
  expect(found('See gone.ts.')).toEqual(['The comment names gone.ts, which does not exist']);
  expect(found('See wire/thing.ts.')).toEqual(['The comment names wire/thing.ts, which does not exist']);
});

test('a comment names only rules that the documents have', () => {
  const rules = ['docs/PROTOCOL.md', '**S1. One answer.** Text, which names S2.\n**M12. A copy.**\n'];
  const code = "// Keeps S1 and M12, not M13.\n/**\n * S9: none. F1 is a key.\n */\nconst [name, rule] = ['M14', S8]; // As S1 says.\n";
  const problems = [...unknownRules(new Map([rules, [SOURCE, code]]))];
  expect(problems.map(({ line, text }) => [line, /rule (\w+):/.exec(text)?.[1]])).toEqual([
    [1, 'M13'],
    [3, 'S9'],
  ]);
});
