// Tests which problems `rssrv --check` finds on this machine. Invariant: the check changes nothing. volumes.test.ts and
// listening-sockets.test.ts test a start of rssrv, which reports the same problems with the same messages. test/bad-input/start.test.ts
// runs the program.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FileSystem } from '../machine/file-system.ts';
import { missingAddresses, type EnvironmentPorts, volumeWarnings } from './environment-check.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
let systems = new Map<string, FileSystem>();
/** True if this machine has the lock program. */
let isLocking = true;
let asked: readonly string[] = [];

beforeEach(() => {
  isLocking = true;
  asked = [];
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  systems = new Map();
});
afterEach(() => removeFolder(directory));

const at = (name: string): string => path.join(directory, name);

const volume = (changes: Partial<ServerVolumeConfig>): ServerVolumeConfig => volumeConfig({ path: at('oracle.img'), ...changes });

const ports: EnvironmentPorts = {
  systemOf: (place) => Promise.resolve(systems.get(place) ?? 'other'),
  lockable: (files) => {
    asked = files;
    return Promise.resolve(files.map(() => isLocking));
  },
};

const wordsOf = async (changes: Partial<ServerVolumeConfig>): Promise<string[]> =>
  (await volumeWarnings([volume(changes)], ports)).map((text) => text.replace(' [E_VOLUME]', '').replaceAll(directory, 'DIR'));

test('volumes that exist, that can be created, or that need no file pass; nothing is created', async () => {
  fs.writeFileSync(at('there.img'), Buffer.alloc(4096));
  const { mtimeMs } = fs.statSync(at('there.img'));
  expect(await wordsOf({ path: at('there.img') })).toEqual([]);
  expect(await wordsOf({ path: at('there.img'), sizeBytes: 1 << 20 })).toEqual([]);
  expect(await wordsOf({ sizeBytes: 1 << 20 })).toEqual([]);
  expect(await wordsOf({ path: null, type: 'memory', sizeBytes: 1 << 20 })).toEqual([]);
  expect(fs.readdirSync(directory)).toEqual(['there.img']);
  expect(fs.statSync(at('there.img'))).toMatchObject({ size: 4096, mtimeMs });
});

test('the check reports what a start would report of a volume', async () => {
  fs.mkdirSync(at('folder'));
  fs.writeFileSync(at('small.img'), 'x');
  expect(await wordsOf({})).toEqual(['Volume oracle: DIR/oracle.img does not exist and has no size: create it, or set size =']);
  expect(await wordsOf({ path: at('none/oracle.img'), sizeBytes: 4096 })).toEqual([
    'Volume oracle: directory DIR/none does not exist: create it, or correct path =',
  ]);
  expect(await wordsOf({ path: at('folder') })).toEqual([
    'Volume oracle: DIR/folder is not a regular file or block device: correct path = or type =',
  ]);
  expect(await wordsOf({ path: at('small.img'), type: 'block' })).toEqual([
    'Volume oracle: DIR/small.img is not a block device: correct path = or type =',
  ]);
  expect(await wordsOf({ path: at('small.img') })).toEqual([
    'Volume oracle: DIR/small.img is less than one block of 512 bytes: set a larger size =',
  ]);
  expect(await wordsOf({ path: '/proc/cmdline/oracle.img', sizeBytes: 4096 })).toEqual([
    'Volume oracle: /proc/cmdline/oracle.img cannot be inspected (ENOTDIR): let rssrv read its directories',
  ]);
});

test('a file served without its end, and one in memory, are reported', async () => {
  fs.writeFileSync(at('odd.img'), Buffer.alloc(4096 + 164));
  expect(await wordsOf({ path: at('odd.img') })).toEqual([
    'Volume oracle: DIR/odd.img has 4260 bytes, not a multiple of the block size 512, and its last 164 bytes are not served: extend it with truncate(1)',
  ]);
  expect(await wordsOf({ path: at('odd.img'), sizeBytes: 4096 }), 'meant').toEqual([]);
  systems.set(directory, 'tmpfs');
  const inMemory = [
    'Volume oracle: DIR/oracle.img is in memory (tmpfs) and is lost at the next boot: correct path =, or set type = memory if that is intended',
  ];
  expect(await wordsOf({ sizeBytes: 4096 })).toEqual(inMemory);
  systems.set(directory, 'ramfs');
  expect(await wordsOf({ sizeBytes: 4096 })).toEqual([
    'Volume oracle: DIR/oracle.img does not exist, and a file on a ramfs would be lost at the next boot: connect the device if it is one, correct path =, or set type = memory',
  ]);
});

test('a file that cannot be locked is reported as at a start, whether it exists or not; devices and memory are not locked', async () => {
  isLocking = false;
  fs.writeFileSync(at('there.img'), Buffer.alloc(4096));
  const words = (name: string): string =>
    `Volume oracle: DIR/${name} cannot be locked, and another rssrv could serve it, too: use a file system that has locks, ` +
    'or make sure that no other program uses it and set unlocked = yes';
  expect(await wordsOf({ path: at('there.img') })).toEqual([words('there.img')]);
  expect(asked).toEqual([at('there.img')]);
  expect(await wordsOf({ sizeBytes: 4096 })).toEqual([words('oracle.img')]);
  expect(asked).toEqual([directory]);
  expect(await wordsOf({ path: at('there.img'), unlocked: true })).toEqual([
    'DIR/there.img of volume oracle cannot be locked: make sure that no other program uses it',
  ]);
  expect(await wordsOf({ path: null, type: 'memory', sizeBytes: 1 << 20 })).toEqual([]);
  expect(asked).toEqual([]);
});

test('one unusable volume does not hide the next', async () => {
  expect(await volumeWarnings([volume({ name: 'a' }), volume({ name: 'b', sizeBytes: 4096 }), volume({ name: 'c' })], ports)).toHaveLength(
    2,
  );
});

test('addresses of this machine pass, even if a program listens there; others are named with their interface', async () => {
  const on = (name: string, address: string): ServerInterfaceConfig => ({ name, address, prefixLength: null, port: 5000 });
  expect(await missingAddresses([on('if1', '127.45.0.10'), on('if2', '127.46.0.10')])).toEqual([]);
  const missing = await missingAddresses([on('if1', '127.45.0.10'), on('if2', '198.51.100.7'), on('if3', '2001:db8::7')]);
  expect(missing.map(({ code, message }) => `${code} ${message}`)).toEqual([
    'E_ADDRESS_MISSING Cannot listen on 198.51.100.7 port 5000 (interface if2): this machine does not have the address. Correct it, or bring the interface up',
    expect.stringMatching(/^E_\w+ Cannot listen on 2001:db8::7 port 5000 \(interface if3\): /),
  ]);
});
