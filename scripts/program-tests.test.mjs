// Tests which tests count as ones that can start a program: the ones that npm run bare runs. The sources are texts with imports alone.
// Invariant: every case names the whole list of tests that is expected.

import { expect, test } from 'vitest';
import { programTests } from './program-tests.mjs';

const importing = (...names) => names.map((name) => `import '${name}';`).join('\n');

test('a test counts if its imports lead to node:child_process, over other files and packages, and with circles', () => {
  const sources = new Map([
    ['packages/common/src/lib/bytes.ts', importing('./words.ts')],
    ['packages/common/src/lib/words.ts', importing('node:path')],
    ['packages/common/src/lib/bytes.test.ts', importing('./bytes.ts')],
    ['packages/common/src/daemon/run.ts', importing('node:child_process')],
    ['packages/rssrv/src/holes.ts', importing('@rsio/common/daemon/run')],
    ['packages/rssrv/src/holes.test.ts', importing('./holes.ts', './a.ts')],
    ['packages/rssrv/src/a.ts', importing('./b.ts')],
    ['packages/rssrv/src/b.ts', importing('./a.ts', './holes.ts')],
    ['packages/rssrv/src/a.test.ts', importing('./a.ts')],
    ['scripts/man.test.mjs', importing('node:child_process')],
    ['test/integration/keeper.test.ts', importing('node:child_process')],
  ]);
  expect(programTests(sources)).toEqual(['packages/rssrv/src/a.test.ts', 'packages/rssrv/src/holes.test.ts', 'scripts/man.test.mjs']);
});

test('an import that leads to no known file counts', () => {
  const test = 'packages/common/src/lib/x.test.ts';
  expect(programTests(new Map([[test, importing('./generated.ts')]]))).toEqual([test]);
});
