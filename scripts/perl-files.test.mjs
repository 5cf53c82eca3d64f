// Tests the build's check of Perl programs: it finds every program, accepts those in the checkout, and fails for a broken one. For the
// broken program, the check runs in its own process on a temporary folder, because the check must end its process with an error.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { perlFiles, perlProblems } from './perl-files.mjs';
import { checkPerl, ROOT } from './prepare.mjs';

const { needPrograms } = await import(join(ROOT, 'packages/base/src/testing/needs.ts'));
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-perl-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name, text) {
  const file = join(folder, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  return file;
}

test('every Perl program of the checkout is checked', () => {
  const all = ['packages', 'test', 'bench', 'scripts', 'bin', 'packaging']
    .flatMap((top) => filesBelow(join(ROOT, top)))
    .filter((file) => file.endsWith('.pl'));
  expect(perlFiles(ROOT)).toEqual(all.toSorted((a, b) => (a < b ? -1 : 1)));
  expect(all.map((file) => relative(ROOT, file))).toContain('packages/rsiod/helpers/keeper.pl');
});

test('the programs of the checkout compile without a warning', (context) => {
  needPrograms(context, 'perl');
  expect(perlProblems(perlFiles(ROOT))).toBe('');
});

test('a broken program is named with its line; a warning counts, too', (context) => {
  needPrograms(context, 'perl');
  const broken = write('broken.pl', 'use strict;\nmy $one = ;\n');
  const doubtful = write('doubtful.pl', 'exec "true";\nprint 1;\n');
  expect(perlProblems([broken])).toMatch(/syntax error at \S+broken\.pl line 2/);
  expect(perlProblems([doubtful])).toMatch(/Statement unlikely to be reached at \S+doubtful\.pl line 2/);
  expect(perlProblems([write('good.pl', 'print 1;\n')])).toBe('');
});

test('a program that cannot be read is a problem, and a machine without perl is none', (context) => {
  expect(perlProblems([write('good.pl', 'print 1;\n')], '/nowhere/perl')).toBe(null);
  needPrograms(context, 'perl');
  expect(perlProblems([join(folder, 'nowhere.pl')])).toContain('nowhere.pl');
});

test('the build fails with a broken program, and checks again only after a change', (context) => {
  needPrograms(context, 'perl');
  const file = write('tree/packages/rsiod/helpers/keeper.pl', 'my $one = ;\n');
  const build = () => {
    const code = `import { checkPerl } from ${JSON.stringify(join(ROOT, 'scripts/prepare.mjs'))};\ncheckPerl(${JSON.stringify(join(folder, 'tree'))});`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    return { status, stderr };
  };
  const red = build();
  expect(red.status).toBe(1);
  expect(red.stderr).toMatch(
    /syntax error at \S+keeper\.pl line 1[^]*\nrsio: A Perl program does not compile: see above \[E_NOT_BUILT\]\n$/,
  );
  writeFileSync(file, 'print 1;\n');
  expect(build()).toEqual({ status: 0, stderr: '' });
  expect(checkPerl(join(folder, 'tree'), '/nowhere/perl'), 'it was checked before').toBe('unchanged');
});

function filesBelow(top) {
  return readdirSync(top, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return [];
    const path = join(top, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}
