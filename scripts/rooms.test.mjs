// For each rule, tests with a made-up tree that rooms.mjs refuses violations. Also tests that the permitted pairs of layers and programs
// match docs/ARCHITECTURE.md. `npm run check` applies the rules to the real tree.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, tool } from './prepare.mjs';
import { circles, roomProblems } from './rooms.mjs';

const MAY_IMPORT = {
  base: {
    lib: [],
    structures: ['lib'],
    log: ['lib'],
    files: ['lib'],
    daemon: ['lib', 'log', 'files'],
  },
  common: { config: [], control: [], metrics: [], events: ['control'], triggers: ['config'], cli: ['config', 'control'] },
  protocol: { wire: [], auth: ['wire'], link: ['wire'], client: ['wire', 'auth', 'link'], explorer: ['wire', 'auth', 'link'] },
};
/** Floors, the highest first. */
const FLOORS = [
  'listener',
  'server',
  'admin',
  'session',
  'jobs',
  'mirrors',
  'snapshots',
  'volumes',
  'pools',
  'storage',
  'machine',
  'events',
];
const PROGRAMS = ['rssrv', 'rsiod', 'rsconfig', 'crsio'];

/** Returns the problems of a made-up tree. `tree`: maps the path of a file to the modules that the file imports. */
function found(tree) {
  const sources = new Map(
    Object.entries(tree).map(([path, modules]) => [path, modules.map((one) => `import { a } from '${one}';\n`).join('')]),
  );
  return roomProblems(sources).map(({ text }) => text);
}

describe.each(Object.keys(MAY_IMPORT))('package %s', (name) => {
  const layers = Object.keys(MAY_IMPORT[name]);

  test.each(layers)('layer %s imports downwards only, from a folder below too', (layer) => {
    for (const [file, up] of [
      ['probe.ts', '..'],
      ['deep/probe.ts', '../..'],
    ]) {
      const others = layers.filter((other) => other !== layer);
      const problems = found({ [`packages/${name}/src/${layer}/${file}`]: others.map((other) => `${up}/${other}/thing.ts`) });
      const forbidden = others.filter((other) => !MAY_IMPORT[name][layer].includes(other));
      expect(problems).toEqual(forbidden.map((other) => `Layer ${layer} may not import packages/${name}/src/${other}/thing.ts`));
    }
  });

  test('a folder that is no layer is refused', () => {
    expect(found({ [`packages/${name}/src/stuff/a.ts`]: [] })).toEqual([expect.stringContaining('stuff is not a layer')]);
  });
});

test.each(FLOORS)('floor %s of rssrv imports its own folders and lower floors only, from a folder below too', (floor) => {
  const others = FLOORS.filter((other) => other !== floor);
  const above = FLOORS.slice(0, FLOORS.indexOf(floor));
  for (const [folder, up] of [
    [floor, '..'],
    [`${floor}/deep`, '../..'],
  ]) {
    const modules = [...others.map((other) => `${up}/${other}/thing.ts`), `${up}/${floor}/other/thing.ts`];
    const problems = found({ [`packages/rssrv/src/${folder}/probe.ts`]: modules, [`packages/rssrv/src/${folder}/second.ts`]: [] });
    expect(problems).toEqual(above.map((other) => `Layer ${floor} may not import packages/rssrv/src/${other}/thing.ts`));
  }
});

test('rssrv: what starts a process may import every floor, no floor imports it, and a folder that is no floor is refused', () => {
  expect(found({ 'packages/rssrv/src/main.ts': FLOORS.map((floor) => `./${floor}/thing.ts`) })).toEqual([]);
  const tree = { 'packages/rssrv/src/server/a.ts': ['../main.ts'], 'packages/rssrv/src/server/b.ts': [] };
  expect(found(tree)).toEqual(['Layer server may not import packages/rssrv/src/main.ts']);
  expect(found({ 'packages/rssrv/src/stuff/a.ts': [], 'packages/rssrv/src/stuff/b.ts': [] })).toEqual(
    Array(2).fill(expect.stringContaining('stuff is not a layer')),
  );
});

test('a folder of rssrv has two files at least; tests do not count, and other programs may have folders for one file', () => {
  const tree = { 'packages/rssrv/src/pools/disk/a.ts': [], 'packages/rssrv/src/pools/disk/a.test.ts': [] };
  expect(found(tree)).toEqual([expect.stringContaining('A folder for one file')]);
  expect(found({ ...tree, 'packages/rssrv/src/pools/disk/b.ts': [] })).toEqual([]);
  expect(found({ 'packages/rsiod/src/x/a.ts': [] })).toEqual([]);
});

test('packages import downwards only: no program another one, base nothing', () => {
  expect(found({ 'packages/base/src/lib/a.ts': ['@rsio/protocol/wire/frames'] })).toHaveLength(1);
  expect(found({ 'packages/base/src/lib/a.ts': ['@rsio/common/config/schema'] })).toHaveLength(1);
  expect(found({ 'packages/protocol/src/wire/a.ts': ['@rsio/base/lib/errors', '@rsio/rssrv/main'] })).toHaveLength(1);
  for (const program of PROGRAMS) {
    const others = PROGRAMS.filter((other) => other !== program);
    const allowed = ['@rsio/base/lib/errors', '@rsio/protocol/wire/frames', './own.ts'];
    const forbidden = others.flatMap((other) => [`@rsio/${other}/thing`, `../../${other}/src/thing.ts`]);
    const problems = found({ [`packages/${program}/src/a.ts`]: [...allowed, ...forbidden] });
    expect(problems).toEqual(others.flatMap((other) => Array(2).fill(`${program} may not import packages/${other}/src/thing.ts`)));
  }
});

test.each(['appliance', 'csi', 'gates', 'rsapp', 'rsweb'])('npm test in the folder of satellite %s runs tests that exist', (name) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8'));
  const [, filters] = /^node \.\.\/\.\.\/scripts\/test\.mjs (.+)$/.exec(scripts.test) ?? [];
  // Not all of packages: node_modules has ten times as many files.
  const folders = ['test', ...readdirSync(join(ROOT, 'packages')).map((one) => `packages/${one}/src`)];
  const files = folders.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true }).map((file) => join(folder, String(file))));
  const tests = files.filter((file) => file.endsWith('.test.ts'));
  for (const filter of filters.split(' '))
    expect(
      tests.filter((file) => file.includes(filter)),
      filter,
    ).not.toEqual([]);
});

test('a package that nobody placed is refused', () => {
  expect(found({ 'packages/extra/src/a.ts': [] })).toEqual([expect.stringContaining('extra is not in the table of packages')]);
});

test('a circle between files is found, through types and over several files', () => {
  const sources = new Map();
  const imports = (name, before, other, after = "';") => sources.set(`packages/rsiod/src/x/${name}.ts`, `${before}./${other}.ts${after}`);
  imports('a', "import type { B } from '", 'b');
  imports('b', "export type { C } from '", 'c');
  imports('c', "const a = await import('", 'a', "');");
  imports('d', "import { a } from '", 'a');
  const [problem, ...more] = roomProblems(sources);
  expect(problem.text).toMatch(/circle.*x\/a\.ts, .*x\/b\.ts, .*x\/c\.ts$/);
  expect(more).toEqual([]);
});

test('a circle between folders is found where no files form one; tests and their helpers do not count', () => {
  const tree = {
    'packages/rsiod/src/x/a.ts': ['../y/b.ts'],
    'packages/rsiod/src/y/b.ts': [],
    'packages/rsiod/src/y/c.ts': ['../x/d.ts'],
    'packages/rsiod/src/x/d.ts': [],
  };
  expect(found(tree)).toEqual([expect.stringMatching(/folders.*rsiod\/src\/x, .*rsiod\/src\/y$/)]);
  expect(found({ ...tree, 'packages/rsiod/src/y/c.ts': [], 'packages/rsiod/src/y/c.test.ts': ['../x/d.ts'] })).toEqual([]);
});

test('more than 25 files in one folder are refused', () => {
  const tree = (count) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`packages/rsiod/src/x/a${index}.ts`, []]));
  expect(found(tree(25))).toEqual([]);
  expect(found(tree(26))).toEqual([expect.stringContaining('26 files in one folder')]);
});

test('folders of test/: no circle, and not more than 25 files beside tests; files may import each other', () => {
  const tree = { 'test/sim/x/a.ts': ['./b.ts', '../y/c.ts'], 'test/sim/x/b.ts': ['./a.ts'], 'test/sim/y/c.ts': [] };
  expect(found(tree)).toEqual([]);
  expect(found({ ...tree, 'test/sim/y/c.test.ts': ['../x/a.ts'] })).toEqual([]);
  expect(found({ ...tree, 'test/sim/y/d.ts': ['../x/b.ts'] })).toEqual([expect.stringMatching(/folders.*test\/sim\/x, test\/sim\/y$/)]);
  const files = (count, ending) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`test/fuzz/a${index}${ending}`, []]));
  expect(found({ ...files(25, '.ts'), ...files(60, '.test.ts') })).toEqual([]);
  expect(found(files(26, '.ts'))).toEqual([expect.stringContaining('26 files in one folder')]);
});

test('circles: none in a tree, each once, a node that imports itself is none', () => {
  const graph = (text) => new Map(text.split(' ').map((one) => [one[0], [...one.slice(1)]]));
  expect(circles(graph('abc bc c'))).toEqual([]);
  expect(circles(graph('ab ba cd dc ea'))).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  expect(circles(graph('aa'))).toEqual([]);
});

test('lint: the sans-I/O layers know no sockets, except the one transport', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-layers-'));
  try {
    copyFileSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    const paths = ['wire', 'auth', 'link', 'client', 'client/paths'].map((layer) => `packages/protocol/src/${layer}/sockets.ts`);
    const transport = 'packages/protocol/src/link/tcp-transport.ts';
    for (const path of [...paths, transport]) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), "import 'node:net';\nimport 'node:crypto';\n");
    }
    const { stdout } = spawnSync(tool('oxlint'), ['--format=json', ...paths, transport], { cwd: folder, encoding: 'utf8' });
    const refused = JSON.parse(stdout).diagnostics.filter(({ code }) => code.includes('no-restricted-imports'));
    expect(refused.every(({ message }) => message.includes("'node:net'"))).toBe(true);
    expect(new Set(refused.map(({ filename }) => filename))).toEqual(new Set(paths));
    expect(refused).toHaveLength(paths.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
