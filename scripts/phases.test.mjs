// For each rule about the phases of a daemon, tests with made-up files that phases.mjs refuses violations, and accepts their remedy.

import { expect, test } from 'vitest';
import { phaseProblems } from './phases.mjs';

const DAEMON = { folder: 'packages/rssrv/src/made', phases: ['first.ts', 'second.ts'], owner: 'daemon.ts' };

/** Returns the problems of a daemon whose files have these texts. */
function found(files) {
  const all = { 'first.ts': '', 'second.ts': '', 'daemon.ts': '', ...files };
  const sources = new Map(Object.entries(all).map(([name, text]) => [`${DAEMON.folder}/${name}`, text]));
  return phaseProblems(sources, [DAEMON]).map(({ path, line, text }) => `${path.slice(DAEMON.folder.length + 1)}:${line}: ${text}`);
}

const imports = (name) => `import type { A } from '${`./${name}.ts`}';\n`;

test('a phase imports earlier phases only, types and other files of the folder included', () => {
  expect(found({ 'second.ts': imports('first'), 'daemon.ts': imports('second') })).toEqual([]);
  expect(found({ 'first.ts': imports('second') })).toEqual([expect.stringMatching(/^first\.ts:1: .*second\.ts/)]);
  expect(found({ 'first.ts': imports('helper'), 'helper.ts': imports('daemon') })).toEqual([
    expect.stringMatching(/^first\.ts:1: .*daemon\.ts/),
  ]);
});

test.each([
  ['an expression', 'const a = { volumes: () => this.volumes, b: 1 };\n'],
  ['a block', 'const a = { run: (id) => {\n  const b = id;\n  return this.run(b);\n} };\n'],
  ['an inner call', 'void start().then(() => ask((id) => [id, this]));\n'],
])('a function that refers to `this` is refused: %s', (_, text) => {
  expect(found({ 'daemon.ts': text })).toContainEqual(expect.stringMatching(/^daemon\.ts:1: A function refers to `this`/));
});

test('a method may refer to `this` beside a function, in a comment and in a text', () => {
  const text =
    "stop() {\n  const { a } = this.objects; // () => this.a\n  a.each((one) => one.stop('=> this'), this.b);\n  this.c = (() => 1)() + this.d;\n}\n";
  expect(found({ 'daemon.ts': text })).toEqual([]);
});

test('a constant is not used before it is made, nor in its own value', () => {
  const phase = (...lines) => ({ 'second.ts': `export function second({ log }) {\n${lines.map((line) => `  ${line}\n`).join('')}}\n` });
  expect(
    found(phase('const holds = new Holds();', 'const pools = new Pools({ holds, log, x: () => holds.pools });', 'return { pools };')),
  ).toEqual([]);
  expect(found(phase('const holds = new Holds(() => pools.states);', 'const pools = new Pools();'))).toEqual([
    expect.stringMatching(/^second\.ts:3: pools is used before/),
  ]);
  expect(found(phase('const pools = new Pools({', '  changed: () => pools.states,', '});'))).toEqual([
    expect.stringMatching(/^second\.ts:2: pools/),
  ]);
  expect(found(phase('const a = { ...holds };', 'const { b, c: holds } = made();'))).toEqual([
    expect.stringMatching(/^second\.ts:3: holds/),
  ]);
  expect(found({ 'second.ts': 'function a() {\n  return pools;\n}\nfunction b() {\n  const pools = 1;\n}\n' })).toEqual([]);
});

test('no member is set later', () => {
  expect(found({ 'second.ts': '  const pools = new Pools();\n  holds.pools = pools;\n' })).toEqual([
    expect.stringMatching(/^second\.ts:2: A member/),
  ]);
  expect(found({ 'daemon.ts': '    this.objects = made();\n' })).toEqual([]);
});

test('a file that the table names and that does not exist is reported', () => {
  expect(phaseProblems(new Map(), [DAEMON])).toHaveLength(3);
});
