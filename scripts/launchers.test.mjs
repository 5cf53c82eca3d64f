// Tests the launchers in bin/: each is executable, has a program with a source, and explains what to do if nothing is built. The test
// runs copies beside an empty packages folder, as in a fresh clone, and through symbolic links.

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './prepare.mjs';

const LAUNCHERS = ['rssrv', 'rsiod', 'rsconfig', 'crsio', 'rsclogcat', 'rsslogcat', 'rsapp', 'rsweb', 'rsio-csi'];

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-bin-'));
  cpSync(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function targetOf(launcher) {
  return /launch\('[a-z-]+', '([^']+)'\)/.exec(readFileSync(join(ROOT, 'bin', launcher), 'utf8'))[1];
}

test.each(LAUNCHERS)('%s is executable and leads to a source', (launcher) => {
  accessSync(join(ROOT, 'bin', launcher), constants.X_OK);
  const source = targetOf(launcher)
    .replace(/\/dist\/(program\/)?/, '/src/')
    .replace('.js', '.ts');
  expect(existsSync(join(ROOT, 'packages', source)), source).toBe(true);
});

test.each(LAUNCHERS)('%s says what to do when nothing is built', (launcher) => {
  const { status, stderr } = spawnSync(join(folder, 'bin', launcher), { encoding: 'utf8' });
  expect(stderr).toMatch(new RegExp(`^${launcher}: The programs are not built: run npm run build in .*\\[E_NOT_BUILT\\]\\n$`));
  expect(status).toBe(1);
});

test('a launcher runs its program with its arguments, through a symbolic link too', () => {
  const program = join(folder, 'packages', targetOf('rsconfig'));
  mkdirSync(dirname(program), { recursive: true });
  writeFileSync(program, 'console.log(process.argv.slice(2).join());');
  symlinkSync(join(folder, 'bin/rsconfig'), join(folder, 'anywhere'));
  expect(spawnSync(join(folder, 'anywhere'), ['-q', 'x'], { encoding: 'utf8', cwd: tmpdir() }).stdout).toBe('-q,x\n');
});
