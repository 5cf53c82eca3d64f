// Tests the opening of configured volumes: which files are created, extended, locked and refused, and which ids are kept. Also tests memory
// volumes. The oracles are the file system and flock(1) of util-linux. The tests of the backends test reads and writes.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { areLockable, takeLocks } from '../storage/locks/file-locks.ts';
import type { FileSystem } from '../machine/file-system.ts';
import { BoundedCalls } from '../machine/bounded-calls.ts';
import { type FileCalls, fileCalls } from '../machine/file-calls.ts';
import { LOCKABLE_FILES_AT_ONCE } from '../machine/limits.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import { Volumes } from './volumes.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const HOLDER = { node: 'big-2', address: '127.45.0.2', sinceMs: 1_284_476_552_000 };
let directory = '';
let prepared: Volumes[] = [];
let heldIds = new Set<string>();
/**
 * Maps a directory to the kind of file system that the test simulates for it. The temporary directory of the test may itself be on a
 * memory file system.
 */
let systems = new Map<string, FileSystem>();
let logged: string[] = [];
/** True if this machine has flock(1). */
let isLocking = true;
let syncCommand: readonly string[] | undefined;
const log = {
  info: (message: string) => void logged.push(message),
  warn: (message: string) => void logged.push(message),
  error: (message: string) => void logged.push(message),
};

beforeEach((context) => needPrograms(context, 'flock'));

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  prepared = [];
  heldIds = new Set();
  systems = new Map();
  isLocking = true;
  logged = [];
  syncCommand = undefined;
});
afterEach(async () => {
  for (const one of prepared) await one.close();
  await removeFolder(directory);
});

const inDirectory = (name: string): string => path.join(directory, name);
const idsFile = (): string => inDirectory('state/rssrv/volumes.json');

const volume = (changes: Partial<ServerVolumeConfig>): ServerVolumeConfig => volumeConfig({ path: inDirectory('oracle.img'), ...changes });

async function prepare(...volumes: ServerVolumeConfig[]): Promise<Volumes> {
  const result = new Volumes({
    idsFile: idsFile(),
    memoryDirectory: inDirectory('shm'),
    takeLocks: isLocking ? undefined : async (requests) => requests.map(() => 'unavailable'),
    fileSystemOf: (place) => Promise.resolve(systems.get(place) ?? 'other'),
    clock: systemClock,
    syncCommand,
    log,
    syncFailedLate: () => undefined,
    isHeld: (id) => heldIds.has(id),
    holdersOf: (id) => (heldIds.has(id) ? [HOLDER] : []),
    incarnationEnded: async () => undefined,
  });
  await result.open({ volumes });
  prepared.push(result);
  return result;
}

/** Returns the message of the only failure. */
async function failureOf(...volumes: ServerVolumeConfig[]): Promise<string> {
  const { failures } = await prepare(...volumes);
  expect(failures).toHaveLength(1);
  expect(failures[0]?.error.code).toBe('E_VOLUME');
  return failures[0]?.error.message ?? '';
}

test('a missing file is created sparse with its size, for its owner only', async () => {
  const { served: volumes, failures } = await prepare(volume({ sizeBytes: 1024 * 1024 }));
  expect(failures).toEqual([]);
  expect(volumes).toEqual([
    {
      name: 'oracle',
      universe: 0,
      id: expect.stringMatching(UUID),
      type: 'file',
      path: inDirectory('oracle.img'),
      sizeBytes: 1024 * 1024,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      takeOver: null,
      takeOverForce: false,
      clients: null,
      storage: expect.stringMatching(/^file \d+:\d+$/) as string,
    },
  ]);
  expect(fs.statSync(inDirectory('oracle.img'))).toMatchObject({ size: 1024 * 1024, blocks: 0, mode: 0o100600 });
  expect(logged).toEqual([expect.stringContaining('Created')]);
});

test.each([false, true])('a smaller file is grown and keeps its content (readonly: %s)', async (readonly) => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(1000, 7));
  const { served: volumes } = await prepare(volume({ sizeBytes: 4096, readonly }));
  expect(volumes[0]?.sizeBytes).toBe(4096);
  const content = fs.readFileSync(inDirectory('oracle.img'));
  expect(content.equals(Buffer.concat([Buffer.alloc(1000, 7), Buffer.alloc(3096)]))).toBe(true);
});

test('a larger file is never truncated, and only its beginning is served', async () => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(10_000, 7));
  const { served: volumes } = await prepare(volume({ sizeBytes: 4096 }));
  expect(volumes[0]?.sizeBytes).toBe(4096);
  expect(fs.statSync(inDirectory('oracle.img')).size).toBe(10_000);
});

test('without a configured size the whole blocks of the file are served', async () => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(10_000, 7));
  const { served: volumes } = await prepare(volume({ blockSizeBytes: 4096 }));
  expect(volumes[0]?.sizeBytes).toBe(8192);
  expect(fs.statSync(inDirectory('oracle.img')).size).toBe(10_000);
});

test('a missing device does not become a file in memory', async () => {
  systems.set(inDirectory('dev'), 'devices');
  fs.mkdirSync(inDirectory('dev'));
  const file = inDirectory('dev/nosuch');
  expect(await failureOf(volume({ path: file, sizeBytes: 1 << 20 }))).toBe(
    `Volume oracle: ${file} does not exist, and a file below /dev would be lost at the next boot: ` +
      'connect the device if it is one, correct path =, or set type = memory',
  );
  expect(fs.existsSync(file)).toBe(false);
});

test('a file with a partial last block is served without its end, and one in memory is served, each with a warning', async () => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(4096 + 100));
  systems.set(directory, 'tmpfs');
  const { served } = await prepare(volume({ blockSizeBytes: 4096 }));
  expect(served[0]?.sizeBytes).toBe(4096);
  expect(logged.join('\n')).toMatch(
    /is in memory \(tmpfs\) .*\n.* has 4196 bytes, not a multiple of the block size 4096, and its last 100 bytes are not served/,
  );
});

test('each bad volume reports the problem and the remedy, and the others are served', async () => {
  fs.writeFileSync(inDirectory('small'), Buffer.alloc(100));
  const named = (name: string, changes: Partial<ServerVolumeConfig>) => volume({ name, path: inDirectory(name), ...changes });
  const { served: volumes, failures } = await prepare(
    named('nodir', { path: inDirectory('no/such/file'), sizeBytes: 512 }),
    named('nosize', {}),
    named('nopath', { path: null, sizeBytes: 512 }),
    named('relative', { path: 'x/y', sizeBytes: 512 }),
    named('small', {}),
    named('odd', { sizeBytes: 700 }),
    named('directory', { path: directory, sizeBytes: 512 }),
    named('nodevice', { path: inDirectory('small'), type: 'block' }),
    named('memory', { type: 'memory', path: null }),
    named('toolong', { path: inDirectory('small/file'), sizeBytes: 512 }),
    named('good', { sizeBytes: 512 }),
  );
  expect(volumes.map(({ name }) => name)).toEqual(['good']);
  const messages = Object.fromEntries(failures.map(({ name, error }) => [name, error.message]));
  expect(messages).toEqual({
    nodir: `Volume nodir: directory ${inDirectory('no/such')} does not exist: create it, or correct path =`,
    nosize: `Volume nosize: ${inDirectory('nosize')} does not exist and has no size: create it, or set size =`,
    nopath: 'Volume nopath: it has no path: set path =',
    relative: 'Volume relative: path x/y is not absolute: begin it with /',
    small: `Volume small: ${inDirectory('small')} is less than one block of 512 bytes: set a larger size =`,
    odd: 'Volume odd: size is 700 bytes, not a multiple of the block size 512: round size =',
    directory: `Volume directory: ${directory} is not a regular file or block device: correct path = or type =`,
    nodevice: `Volume nodevice: ${inDirectory('small')} is not a block device: correct path = or type =`,
    memory: 'Volume memory: type memory needs a size: set size =',
    toolong: `Volume toolong: ${inDirectory('small/file')} cannot be inspected (ENOTDIR): let rssrv read its directories`,
  });
  expect(fs.existsSync(inDirectory('nosize'))).toBe(false);
});

test('one file is not served as two volumes, not even by another name, unless both are read-only', async () => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(4096));
  fs.symlinkSync('oracle.img', inDirectory('alias'));
  const alias = volume({ name: 'alias', path: inDirectory('alias') });
  expect(await failureOf(volume({}), alias)).toContain('is already volume oracle');
  await prepared.pop()?.close();
  const { served: volumes } = await prepare(volume({ readonly: true }), { ...alias, readonly: true });
  expect(volumes).toHaveLength(2);
});

test('a file that another rssrv serves is refused and not grown; it is free once that rssrv has ended', async () => {
  const first = await prepare(volume({ sizeBytes: 4096 }));
  expect(await failureOf(volume({ sizeBytes: 8192 }))).toMatch(/oracle\.img is locked: stop the other/);
  expect(fs.statSync(inDirectory('oracle.img')).size).toBe(4096);
  await first.close();
  expect((await prepare(volume({ sizeBytes: 8192 }))).failures).toEqual([]);
});

test('several rssrv may serve one file read-only, but none while another one writes it', async () => {
  fs.writeFileSync(inDirectory('oracle.img'), Buffer.alloc(4096));
  const readers = [await prepare(volume({ readonly: true })), await prepare(volume({ readonly: true }))];
  expect(readers.map(({ served }) => served.length)).toEqual([1, 1]);
  expect(await failureOf(volume({}))).toMatch(/oracle\.img is locked: stop the other/);
  for (const reader of readers) await reader.close();
  expect((await prepare(volume({}))).failures).toEqual([]);
  expect(await failureOf(volume({ readonly: true }))).toMatch(/oracle\.img is locked: stop the other/);
});

test('other programs see the lock, and children do not inherit it', async () => {
  const first = await prepare(volume({ sizeBytes: 4096 }));
  const probe = () => spawnSync('flock', ['-n', inDirectory('oracle.img'), 'true']).status;
  expect(probe()).toBe(1);
  const child = spawnSync('ls', ['-l', '/proc/self/fd']).stdout.toString();
  expect(child).not.toContain('oracle.img');
  await first.close();
  expect(probe()).toBe(0);
});

test('a file that cannot be locked is not served, unless the configuration says unlocked', async () => {
  isLocking = false;
  const sentence = await failureOf(volume({ sizeBytes: 4096 }));
  expect(sentence).toBe(
    `Volume oracle: ${inDirectory('oracle.img')} cannot be locked, and another rssrv could serve it, too: use a file system that has locks, ` +
      'or make sure that no other program uses it and set unlocked = yes',
  );
  expect(fs.existsSync(inDirectory('oracle.img')), 'one that was made for it').toBe(false);
  fs.writeFileSync(inDirectory('there.img'), Buffer.alloc(4096));
  await failureOf(volume({ path: inDirectory('there.img') }));
  expect(fs.statSync(inDirectory('there.img')).size).toBe(4096);
  expect((await prepare(volume({ sizeBytes: 4096, unlocked: true }))).served).toHaveLength(1);
  expect((await prepare(volume({ path: null, type: 'memory', sizeBytes: 4096 }))).served).toHaveLength(1);
  expect(logged.filter((line) => line.includes('cannot be locked: make sure that no other program uses it'))).toHaveLength(2);
});

test('many descriptors are locked', async () => {
  const descriptors = Array.from({ length: LOCKABLE_FILES_AT_ONCE + 30 }, (_, index) => fs.openSync(inDirectory(`lock${index}`), 'w+'));
  expect(new Set(await takeLocks(descriptors.map((descriptor) => ({ descriptor, shared: false }))))).toEqual(new Set(['held']));
  const again = fs.openSync(inDirectory(`lock${LOCKABLE_FILES_AT_ONCE}`), 'r');
  expect(await takeLocks([{ descriptor: again, shared: true }])).toEqual(['taken']);
  for (const descriptor of [...descriptors, again]) fs.closeSync(descriptor);
});

test('the check whether files can be locked locks none, even if another process holds a lock', async () => {
  const first = await prepare(volume({ sizeBytes: 4096 }));
  const free = inDirectory('free');
  fs.writeFileSync(free, '');
  const files = [inDirectory('oracle.img'), inDirectory('none'), directory, ...Array.from({ length: 70 }, () => free)];
  const asked: string[] = [];
  const flock: FileCalls['flock'] = (descriptor, operation) => {
    asked.push(operation);
    return fileCalls().flock(descriptor, operation);
  };
  expect(new Set(await areLockable(files, new BoundedCalls(systemClock, { ...fileCalls(), flock })))).toEqual(new Set([true]));
  expect(spawnSync('flock', ['-n', inDirectory('oracle.img'), 'true']).status, 'still locked').toBe(1);
  expect(new Set(asked)).toEqual(new Set(['unlock']));
  await first.close();
});

test('a memory volume is a sparse file that is gone after close, and is new after a crash', async () => {
  const memory = volume({ type: 'memory', path: null, sizeBytes: 1024 * 1024, id: 'AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee' });
  const file = inDirectory('shm/rsio-aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee');
  fs.mkdirSync(path.dirname(file), { mode: 0o700 });
  fs.writeFileSync(file, 'left behind');
  const first = await prepare(memory);
  expect(first.served[0]).toMatchObject({ type: 'memory', path: file, sizeBytes: 1024 * 1024 });
  expect(fs.statSync(file)).toMatchObject({ size: 1024 * 1024, blocks: 0, mode: 0o100600 });
  fs.writeFileSync(file, 'in use', { flag: 'r+' });
  expect(await failureOf(memory)).toContain('another rssrv has id aaaaaaaa-');
  expect(fs.readFileSync(file).subarray(0, 6).toString()).toBe('in use');
  await first.close();
  expect(fs.existsSync(file)).toBe(false);
});

test('memory volumes are in a folder that no other user can write to, or nowhere', async () => {
  const memory = volume({ type: 'memory', path: null, sizeBytes: 4096 });
  const folder = inDirectory('shm');
  const { served } = await prepare(memory);
  expect([served.length, fs.statSync(folder).mode]).toEqual([1, 0o040700]);
  fs.chmodSync(folder, 0o1777);
  expect(await failureOf(memory)).toContain(
    `${folder}, where memory volumes are kept, is open to other users: check its content, then chmod 700`,
  );
  fs.renameSync(folder, `${folder}.own`);
  fs.chmodSync(`${folder}.own`, 0o700);
  fs.symlinkSync(`${folder}.own`, folder);
  expect(await failureOf(memory)).toContain(
    'where memory volumes are kept, is not a directory: find out which program created it, and remove it',
  );
  fs.unlinkSync(folder);
  fs.mkdirSync(folder, { mode: 0o700 });
  const own = process.geteuid?.() ?? 0;
  vi.spyOn(process, 'geteuid').mockReturnValue(own + 1);
  expect(await failureOf(memory)).toContain(`where memory volumes are kept, belongs to user ${own}: find out`);
  vi.restoreAllMocks();
});

test('ids are created once and stay over restarts, changes of order and removals', async () => {
  const nothing = { type: 'null', path: null, sizeBytes: 512 } as const;
  const [a, b, c] = ['a', 'b', 'c'].map((name) => volume({ name, ...nothing })) as [ServerVolumeConfig, ...ServerVolumeConfig[]];
  const other = { ...a, universe: 1 };
  const idsOf = async (...volumes: (ServerVolumeConfig | undefined)[]) =>
    new Map((await prepare(...volumes.filter((one) => one !== undefined))).served.map((one) => [`${one.name}@${one.universe}`, one.id]));
  const first = await idsOf(a, b, other);
  expect(new Set(first.values()).size).toBe(3);
  const text = fs.readFileSync(idsFile(), 'utf8');
  await idsOf(b);
  expect(fs.readFileSync(idsFile(), 'utf8')).toBe(text);
  const second = await idsOf(c, other, b, a);
  for (const [key, id] of first) expect(second.get(key)).toBe(id);
  expect(fs.statSync(idsFile()).mode & 0o777).toBe(0o600);
  expect(fs.readdirSync(path.dirname(idsFile()))).toEqual(['volumes.json']);
});

test('a configured id is used unchanged, without the file; two volumes cannot share one', async () => {
  const id = 'AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee';
  const one = volume({ type: 'null', path: null, sizeBytes: 512, id });
  expect((await prepare(one)).served[0]?.id).toBe(id.toLowerCase());
  expect(fs.existsSync(idsFile())).toBe(false);
  expect(await failureOf(one, { ...one, name: 'twin' })).toContain('which volume oracle has');
});

test('volumes.json on a full disk: no id is used that could not be stored, and nothing is created', async (context) => {
  context.skip(!fs.existsSync('/dev/full'), 'needs /dev/full');
  fs.mkdirSync(path.dirname(idsFile()), { recursive: true });
  fs.symlinkSync('/dev/full', `${idsFile()}.new`);
  await expect(prepare(volume({ sizeBytes: 512 }))).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: `${idsFile()} cannot be written (ENOSPC): free space there`,
  });
  expect(fs.existsSync(inDirectory('oracle.img'))).toBe(false);
});

test.each([
  ['nothing', '', 'it is empty'],
  ['half of it', '{"version":1,"volu', 'it is not JSON'],
  ['no version', '{"volumes":{}}', 'it begins neither with its checksum nor with its version'],
  ['a bad id', '{"version":1,"volumes":{"oracle@0":"x"}}', 'the id of oracle@0 is not a UUID'],
  ['a name that drives a terminal', '{"version":1,"volumes":{"a\\u001b[2J@0":"x"}}', 'the id of a\\x1b[2J@0 is not a UUID'],
  ['a list', '{"version":1,"volumes":[]}', 'it has no volumes'],
  ['a newer format', '{"version":2,"volumes":{}}', 'has format 2, this rssrv knows up to 1'],
])('volumes.json with %s stops the start and is left alone', async (_, text, what) => {
  fs.mkdirSync(path.dirname(idsFile()), { recursive: true });
  fs.writeFileSync(idsFile(), text);
  const error = await prepare(volume({ sizeBytes: 512 })).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining(what) });
  expect(error).toMatchObject({ message: expect.stringContaining(idsFile()) });
  expect(fs.readFileSync(idsFile(), 'utf8')).toBe(text);
  expect(fs.existsSync(inDirectory('oracle.img'))).toBe(false);
});

test('a write-back error that a process has already reported does not fail the next sync, but a new one does', async () => {
  const errors = inDirectory('errors');
  // Like the kernel, reports each error once for each descriptor.
  const script = `const fs = require('fs'); if (fs.existsSync(process.argv[1])) { fs.rmSync(process.argv[1]); process.stdout.write('EIO'); process.exitCode = 1; }`;
  syncCommand = [process.execPath, '-e', script, errors];
  const volumes = await prepare(volume({ sizeBytes: 4096 }));
  const id = volumes.served[0]?.id ?? '';
  fs.writeFileSync(errors, '');
  await volumes.clearOldError(id);
  await expect(volumes.sync(id)).resolves.toBeUndefined();
  fs.writeFileSync(errors, '');
  await expect(volumes.sync(id)).rejects.toMatchObject({ code: 'E_VOLUME', message: expect.stringContaining('EIO') });
});
