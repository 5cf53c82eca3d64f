// Runs the unit tests that can start a program (program-tests.mjs) as on a machine with only Node and the coreutils: PATH is a folder that
// contains only these programs. A test that needs another program must be skipped with a reason. Arguments replace vitest's own.
// Invariant: the exit code is 0 exactly if nothing failed; the reasons for skips are printed with their counts.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { install, ROOT } from './prepare.mjs';
import { programTests } from './program-tests.mjs';
import { failureLines, SUMMARY_FILE_VARIABLE } from './summary-reporter.mjs';

const NODE = ['npm', 'npx'];
const COREUTILS =
  '[ base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df dirname du echo env expand expr false fold head id install join link ln ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc od paste pathchk pinky pr printenv printf pwd readlink realpath rm rmdir seq sha256sum shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname uniq unlink wc who whoami yes'.split(
    ' ',
  );

const given = process.argv.slice(2);
if (given.includes('--help') || given.includes('-h')) {
  console.log(
    'usage: npm run bare -- [ARGUMENT...]\n' +
      "Runs the unit tests that can start a program, with a PATH of Node and the coreutils alone. Arguments replace vitest's own:\n" +
      '  npm run bare -- --project integration test/integration/keeper.test.ts',
  );
  process.exit(0);
}
install();
const folder = mkdtempSync(join(tmpdir(), 'rsio-bare-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
symlinkSync(process.execPath, join(folder, 'node'));
// Every system has a shell, at /bin/sh for programs that do not search PATH.
for (const program of ['sh', ...NODE, ...COREUTILS]) link(program);
const file = join(folder, 'summary.json');
const { status } = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...(given.length > 0 ? given : ['--project', 'unit', ...programTests(sources())]),
    '--reporter=dot',
    `--reporter=${join(ROOT, 'scripts/summary-reporter.mjs')}`,
  ],
  { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, PATH: folder, [SUMMARY_FILE_VARIABLE]: file } },
);
if (!existsSync(file)) {
  console.error('bare: vitest ended before it ran a test: see its message above and npm run bare -- --help');
  process.exit(1);
}
const { passed, failures, skipped } = JSON.parse(readFileSync(file, 'utf8'));
const reasons = new Map();
for (const { reason } of skipped) reasons.set(reason ?? 'no reason given', (reasons.get(reason ?? 'no reason given') ?? 0) + 1);
for (const [reason, times] of reasons) console.log(`skipped: ${times} times: ${reason}`);
for (const line of failureLines(failures)) console.log(line);
console.log(`bare: ${passed} passed, ${failures.length} failed, ${skipped.length} skipped`);
process.exitCode = status === 0 && failures.length === 0 && passed > 0 ? 0 : 1;

/** The sources of everything that a unit test can import, as a Map from the path below the root to the text. */
function sources() {
  const found = new Map();
  for (const top of ['packages', 'bench', 'scripts', 'test']) {
    for (const { name, parentPath } of readdirSync(join(ROOT, top), { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, join(parentPath, name));
      if (/\.(?:ts|mjs)$/.test(name) && !/(?:^|\/)(?:node_modules|dist)\//.test(path))
        found.set(path, readFileSync(join(ROOT, path), 'utf8'));
    }
  }
  return found;
}

function link(program) {
  for (const at of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = join(at, program);
    try {
      accessSync(found, constants.X_OK);
    } catch {
      continue;
    }
    symlinkSync(found, join(folder, program));
    return;
  }
}
