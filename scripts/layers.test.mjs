// Proves that the layer rule in .oxlintrc.json refuses what it should: a tree of probe files, one per layer and program,
// each importing every other; what lint reports must be exactly what docs/ARCHITECTURE.md forbids.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
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

/** What lint is shown: a file's path, and what it imports. */
const probes = new Map();
/** What lint said of each file. */
const messages = new Map();

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-layers-'));
  try {
    copyFileSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    for (const [path, specifiers] of probes) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), specifiers.map((specifier) => `import '${specifier}';\n`).join(''));
      messages.set(path, []);
    }
    const { stdout } = spawnSync(tool('oxlint'), ['--format=json', ...probes.keys()], { cwd: folder, encoding: 'utf8' });
    for (const { code, filename, message } of JSON.parse(stdout).diagnostics) {
      if (code.includes('no-restricted-imports')) messages.get(filename).push(message);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A probe that imports `specifiers`, which all are linted together; gives, then, those that lint refuses. */
function probe(path, specifiers) {
  if (probes.has(path)) throw new Error(`There are two probes ${path}`);
  probes.set(path, specifiers);
  return () => specifiers.filter((specifier) => messages.get(path).some((message) => message.includes(`'${specifier}'`)));
}

describe.each(LAYERS)('layer %s', (layer) => {
  const others = LAYERS.filter((other) => other !== layer);
  const expected = others.filter((other) => !MAY_IMPORT[layer].includes(other));
  const found = [
    [`${layer}/probe.ts`, '../'],
    [`${layer}/deep/probe.ts`, '../../'],
  ].map(([path, up]) => {
    const refused = probe(`packages/protocol/src/${path}`, [`${up}limits.ts`, ...others.map((other) => `${up}${other}/thing.ts`)]);
    return { refused, up };
  });

  test('imports downwards only', () => {
    for (const { refused, up } of found) expect(refused()).toEqual(expected.map((other) => `${up}${other}/thing.ts`));
  });
});

const ofLimits = probe(
  'packages/protocol/src/limits.ts',
  LAYERS.map((layer) => `./${layer}/thing.ts`),
);

test('limits.ts counts as lib', () => {
  expect(ofLimits()).toEqual(LAYERS.filter((layer) => layer !== 'lib').map((layer) => `./${layer}/thing.ts`));
});

describe.each(PROGRAMS)('program %s', (program) => {
  const others = PROGRAMS.filter((other) => other !== program);
  const allowed = ['@rsio/protocol/lib/thing', './own.ts'];
  const forbidden = others.flatMap((other) => [`@rsio/${other}/thing`, `../../${other}/src/thing.ts`]);
  const refused = probe(`packages/${program}/src/probe.ts`, [...allowed, ...forbidden]);

  test('never imports another', () => {
    expect(refused()).toEqual(forbidden);
  });
});

const ofLayer = probe('packages/protocol/src/trunk/sockets.ts', ['node:net', 'node:crypto']);
const ofTransport = probe('packages/protocol/src/trunk/tcp-transport.ts', ['node:net']);

test('the sans-I/O layers know no sockets, except the one transport', () => {
  expect(ofLayer()).toEqual(['node:net']);
  expect(ofTransport()).toEqual([]);
});
