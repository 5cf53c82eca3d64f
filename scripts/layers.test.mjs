// Proves that the layer rule in .oxlintrc.json refuses what it should: a tree of probe files, one per layer and program,
// each importing every other; what lint reports must be exactly what docs/ARCHITECTURE.md forbids.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, tool } from './prepare.mjs';

const MAY_IMPORT = {
  lib: [],
  wire: ['lib'],
  auth: ['lib', 'wire'],
  trunk: ['lib', 'wire', 'auth'],
  explorer: ['lib', 'wire', 'auth', 'trunk'],
  config: ['lib'],
  control: ['lib'],
};
const LAYERS = Object.keys(MAY_IMPORT);
const PROGRAMS = ['rssrv', 'rsiod', 'rsconfig', 'crsio'];

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-layers-'));
  copyFileSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Writes one probe that imports `specifiers`, and returns those that lint refuses. */
function refused(path, specifiers) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, specifiers.map((specifier) => `import '${specifier}';\n`).join(''));
  const { stdout } = spawnSync(tool('oxlint'), ['--format=json', path], { cwd: folder, encoding: 'utf8' });
  const messages = JSON.parse(stdout).diagnostics.filter(({ code }) => code.includes('no-restricted-imports'));
  return specifiers.filter((specifier) => messages.some(({ message }) => message.includes(`'${specifier}'`)));
}

test.each(LAYERS)('layer %s imports downwards only', (layer) => {
  const others = LAYERS.filter((other) => other !== layer);
  const expected = others.filter((other) => !MAY_IMPORT[layer].includes(other));
  for (const [path, up] of [
    [`${layer}/probe.ts`, '../'],
    [`${layer}/deep/probe.ts`, '../../'],
  ]) {
    const found = refused(`packages/protocol/src/${path}`, [`${up}limits.ts`, ...others.map((other) => `${up}${other}/thing.ts`)]);
    expect(found).toEqual(expected.map((other) => `${up}${other}/thing.ts`));
  }
});

test('limits.ts counts as lib', () => {
  const found = refused(
    'packages/protocol/src/limits.ts',
    LAYERS.map((layer) => `./${layer}/thing.ts`),
  );
  expect(found).toEqual(LAYERS.filter((layer) => layer !== 'lib').map((layer) => `./${layer}/thing.ts`));
});

test.each(PROGRAMS)('program %s never imports another', (program) => {
  const others = PROGRAMS.filter((other) => other !== program);
  const allowed = ['@rsio/protocol/lib/thing', './own.ts'];
  const forbidden = others.flatMap((other) => [`@rsio/${other}/thing`, `../../${other}/src/thing.ts`]);
  expect(refused(`packages/${program}/src/probe.ts`, [...allowed, ...forbidden])).toEqual(forbidden);
});

test('the sans-I/O layers know no sockets, except the one transport', () => {
  expect(refused('packages/protocol/src/trunk/probe.ts', ['node:net', 'node:crypto'])).toEqual(['node:net']);
  expect(refused('packages/protocol/src/trunk/tcp-transport.ts', ['node:net'])).toEqual([]);
});
