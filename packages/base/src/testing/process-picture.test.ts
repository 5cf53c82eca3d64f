// Tests that each change that a test file might leave in its process is detected and named, and that unchanged entries are not reported.
// The test undoes each change before it checks the result, because this process runs further test files.

import fs from 'node:fs';
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { changedSince, picture } from './process-picture.ts';

const undo: (() => void)[] = [];
const { open } = fs;
const { now } = Date;
const connect = Object.getOwnPropertyDescriptor(net.Socket.prototype, 'connect')!;
const { setTimeout: later } = globalThis;
const folder = process.cwd();
const mask = process.umask();

afterEach(() => {
  for (const step of undo.splice(0)) step();
});

const nothing = (): never => {
  throw new Error('Not to be called');
};

test.each<[string, () => void, () => void]>([
  ['folder', () => process.chdir('/'), () => process.chdir(folder)],
  ['mask', () => process.umask(mask ^ 0o077), () => process.umask(mask)],
  ['process.env.RSIO_ANY', () => (process.env['RSIO_ANY'] = 'x'), () => delete process.env['RSIO_ANY']],
  ['listeners of rsio-any', () => process.on('rsio-any', nothing), () => process.off('rsio-any', nothing)],
  ['fs.open', () => Object.assign(fs, { open: nothing }), () => Object.assign(fs, { open })],
  ['Date.now', () => Object.assign(Date, { now: nothing }), () => Object.assign(Date, { now })],
  [
    'net.Socket.prototype.connect',
    () => Object.assign(net.Socket.prototype, { connect: nothing }),
    () => Object.defineProperty(net.Socket.prototype, 'connect', connect),
  ],
  [
    'globalThis.setTimeout',
    () => Object.assign(globalThis, { setTimeout: nothing }),
    () => Object.assign(globalThis, { setTimeout: later }),
  ],
  ['globalThis.rsioAny', () => Object.assign(globalThis, { rsioAny: 1 }), () => Reflect.deleteProperty(globalThis, 'rsioAny')],
])('%s', (name, change, back) => {
  const before = picture();
  undo.push(back);
  change();
  const changed = changedSince(before);
  for (const step of undo.splice(0)) step();
  expect(changed).toEqual([name]);
  expect(changedSince(before)).toEqual([]);
});

test('the permissions of the process', (context) => {
  context.skip(process.geteuid?.() !== 0, 'needs root, to change the user');
  const before = picture();
  undo.push(() => process.seteuid?.(0));
  process.seteuid?.(65_534);
  const changed = changedSince(before);
  process.seteuid?.(0);
  expect(changed).toEqual(['rights']);
});

test('lazily loaded parts of Node are no change', () => {
  const before = picture();
  expect([AbortController, BroadcastChannel, CompressionStream, fs.promises].every(Boolean)).toBe(true);
  expect(changedSince(before)).toEqual([]);
});
