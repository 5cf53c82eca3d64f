// Tests which parameters test-branches.mjs lists for a project of two files, one of which calls functions of the other. `npm run check`
// applies this check to the product.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';

const listeners = process.listeners('exit');
const { testBranches } = await import('./test-branches.mjs');
// Remove the listeners that the compiler's client has added to this process.
afterAll(() => {
  for (const one of process.listeners('exit')) if (!listeners.includes(one)) process.off('exit', one);
});

const CALLEE = 'callee.ts';
const FROM = ['from', `'./${CALLEE}'`].join(' ');

let root;

beforeEach(() => {
  root = `${mkdtempSync(join(tmpdir(), 'test-branches-'))}/`;
  mkdirSync(join(root, 'src'));
  const compilerOptions = { module: 'nodenext', target: 'es2023', strict: true, noEmit: true, types: [], allowImportingTsExtensions: true };
  writeFileSync(join(root, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
});

afterEach(() => rmSync(root, { recursive: true }));

test('parameters that every call gives are listed: of functions, methods, constructors, also through other types', () => {
  writeFileSync(
    join(root, 'src', CALLEE),
    [
      'export function always(one: number, two = 2): number { return one + two; }',
      'export function sometimes(one: number, two = 2): number { return one + two; }',
      'export function open(one: number, two?: number): number { return one + (two ?? 0); }',
      'export function passedOn(one: number, two = 2): number { return one + two; }',
      'export class Thing {',
      '  constructor(readonly a: number, readonly b: string | null = null) {}',
      '  does(what: string, turn: boolean = false): string { return `${what}${turn}`; }',
      '}',
      'export interface Port { run(what?: string): void; }',
      'export class Own implements Port { run(what = "own"): void { void what; } }',
      'export function nobody(one = 1): number { return one; }',
    ].join('\n'),
  );
  writeFileSync(
    join(root, 'src/caller.ts'),
    [
      `import { always, open, type Own, passedOn, sometimes, Thing } ${FROM}`,
      'export function all(two: number | undefined, own: Own, does: Pick<Thing, "does">): unknown[] {',
      '  own.run("x");',
      '  return [always(1, 2), always(3, 4), sometimes(1), sometimes(1, 2), open(1, two), [1].map(passedOn), passedOn(1, 2),',
      '    new Thing(1, "b").does("x", true), does.does("y", false)];',
      '}',
    ].join('\n'),
  );
  expect(testBranches(join(root, 'tsconfig.json'), root)).toEqual([
    'src/callee.ts:1: always always gets two',
    'src/callee.ts:5: Thing always gets b',
    'src/callee.ts:7: does always gets turn',
  ]);
});
