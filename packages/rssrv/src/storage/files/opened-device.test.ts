// Tests block devices: facts from a /sys directory that the test makes, and a loop device, whose image file is the oracle.
// file-backend.test.ts tests the behaviour that devices and files share.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { POOL_RUN_REQUESTS } from '../limits.ts';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterAll, afterEach, beforeAll, expect, type TestContext, test } from 'vitest';
import { openStorage, releaseStorage, settleSize } from '../../volumes/volume-storage.ts';
import { Volumes } from '../../volumes/volumes.ts';
import { WOULD_WAIT } from '../io/backend.ts';
import { blockDeviceFacts, deviceName } from './block-device.ts';
import { openBackend } from '../open-backend.ts';
import { promised, servedVolume, temporaryDirectory, testPorts } from '../../testing/backend-scene.ts';
import { volumeConfig } from '../../testing/volume-config.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const DEVICE_BYTES = 8 * 1024 * 1024;
const directory = temporaryDirectory();
const image = path.join(directory, 'image');
fs.writeFileSync(image, '');
fs.truncateSync(image, DEVICE_BYTES);
/** Path of the loop device of the running test; null if the test has not attached a loop device. */
let attached: string | null = null;

beforeAll(() => fs.mkdirSync(path.join(directory, 'sys')));
afterEach(() => {
  if (attached !== null) spawnSync('losetup', ['--detach', attached]);
  attached = null;
});
afterAll(() => removeFolder(directory));

function needLoopDevice(context: TestContext): string {
  needPrograms(context, 'losetup');
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', image], { encoding: 'utf8' });
  context.skip(status !== 0, 'needs a loop device: run as root where the kernel has loop');
  attached = stdout.trim();
  return attached;
}

/** Reads a block of a file or device with another program, so that no state of this process matters. */
function blockOf(file: string, positionBytes: number, ...flags: readonly string[]): Buffer | string {
  const from = [`if=${file}`, 'bs=4096', `skip=${positionBytes / 4096}`, 'count=1', 'status=none', ...flags];
  const { status, stdout, stderr } = spawnSync('dd', from);
  return status === 0 ? stdout : stderr.toString().trim();
}

/** Returns the part of `found` that differs from `wanted`, with its first bytes in hex. */
function difference(found: Buffer | string, wanted: Buffer): string {
  if (typeof found === 'string') return found;
  if (found.equals(wanted)) return 'as written';
  const differing = [...wanted.keys()].filter((index) => found[index] !== wanted[index]);
  const [first = wanted.length, last = found.length] = [differing[0], differing.at(-1)];
  const hex = found.toString('hex', first, first + 16);
  return `${found.length} bytes, ${differing.length} bytes from ${first} to ${last} differ, which begin with ${hex}`;
}

/**
 * Expects a block of the image. If the block differs, the error says what the image and the device contain at this moment, which descriptors
 * lead to the device, and whether syncs are real. A direct read comes after the others, because the kernel writes its cache back before it.
 */
function expectInImage(device: string, positionBytes: number, wanted: Buffer): void {
  const there = fs.readFileSync(image).subarray(positionBytes, positionBytes + wanted.length);
  if (there.equals(wanted)) return;
  const name = path.basename(device);
  const sys = ['size', 'diskseq', 'loop/backing_file', 'loop/offset', 'loop/sizelimit', 'loop/autoclear', 'loop/dio'];
  const targets = fs.readdirSync('/proc/self/fd').map((number) => [number, linkOf(`/proc/self/fd/${number}`)] as const);
  throw new Error(
    [
      `The image differs at ${positionBytes}: ${difference(there, wanted)}`,
      `image: ${fs.statSync(image).size} bytes, inode ${fs.statSync(image).ino}`,
      `image again: ${difference(blockOf(image, positionBytes), wanted)}`,
      `image on the disk: ${difference(blockOf(image, positionBytes, 'iflag=direct'), wanted)}`,
      `device: ${difference(blockOf(device, positionBytes), wanted)}`,
      `device without cache: ${difference(blockOf(device, positionBytes, 'iflag=direct'), wanted)}`,
      `image after that: ${difference(blockOf(image, positionBytes), wanted)}`,
      `fdatasync: ${fs.fdatasync.name}, ${fs.fdatasync.length} parameters`,
      `descriptors of the device: ${targets.flatMap(([number, target]) => (target === device ? [number] : [])).join(', ')}`,
      ...sys.map((file) => `${file}: ${textOf(`/sys/block/${name}/${file}`)}`),
      spawnSync('losetup', ['--list', device], { encoding: 'utf8' }).stdout,
    ].join('\n'),
  );
}

/** Returns the content of a file, or the error. */
function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch (thrown) {
    return String(thrown);
  }
}

/** Returns the target of a link; an empty text if the link no longer exists. */
function linkOf(link: string): string {
  try {
    return fs.readlinkSync(link);
  } catch {
    return '';
  }
}

function sysDevice(name: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    const target = path.join(directory, 'sys', name, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  }
}

test('device numbers have the form that /sys uses', () => {
  expect(deviceName(0x0801n)).toBe('8:1');
  expect(deviceName(0x700n)).toBe('7:0');
  // The device number has minor 0x12345 and major 0xfd.
  expect(deviceName(0x1230_fd45n)).toBe('253:74565');
});

test('size and features come from /sys, those of a partition from its disk', () => {
  sysDevice('disk', { size: '2048\n', 'queue/write_zeroes_max_bytes': '65536\n', 'part/size': '16\n' });
  sysDevice('old', { size: '8\n', 'queue/write_zeroes_max_bytes': '0\n' });
  const sys = path.join(directory, 'sys');
  fs.symlinkSync('disk', path.join(sys, '8:0'));
  fs.symlinkSync('disk/part', path.join(sys, '8:1'));
  fs.symlinkSync('old', path.join(sys, '8:16'));
  expect(blockDeviceFacts(0x800n, sys)).toEqual({ sizeBytes: 1024 * 1024, canPunch: true });
  expect(blockDeviceFacts(0x801n, sys)).toEqual({ sizeBytes: 8192, canPunch: true });
  expect(blockDeviceFacts(0x810n, sys)).toEqual({ sizeBytes: 4096, canPunch: false });
  expect(() => blockDeviceFacts(0x820n, sys)).toThrow('ENOENT');
});

test('a block device is read, written, zeroed and flushed, and starts in the pool', async (context) => {
  const device = needLoopDevice(context);
  const ports = testPorts();
  const backend = await openBackend(servedVolume({ type: 'block', path: device, sizeBytes: DEVICE_BYTES }), ports);
  const io = promised(backend);
  const buffer = Buffer.alloc(4096, 7);
  for (let request = 0; request < POOL_RUN_REQUESTS; request++) expect(backend.tryRead(buffer, 0, 4096, 0)).toBe(WOULD_WAIT);
  expect(backend.capabilities).toMatchObject({ type: 'block', canExtents: false });
  expect(await io.write(buffer, 0, 4096, DEVICE_BYTES - 4096)).toBe(STATUS.OK);
  expect(await io.write(buffer, 0, 4096, 0, true)).toBe(STATUS.OK);
  expectInImage(device, 0, buffer);
  expect(await io.flush()).toBe(STATUS.OK);
  expectInImage(device, DEVICE_BYTES - 4096, buffer);
  for (const [position, keep] of [
    [0, false],
    [DEVICE_BYTES - 4096, true],
  ] as const) {
    expect(await io.zero(position, 4096, keep, true)).toBe(STATUS.OK);
    expect(await io.read(buffer, 0, 4096, position)).toBe(STATUS.OK);
    expect(buffer.equals(Buffer.alloc(4096))).toBe(true);
  }
  expect(await io.discard(0, DEVICE_BYTES)).toBe(STATUS.OK);
  expect(await io.extents(0, 4096)).toEqual([8, EXTENT.DATA]);
  expect(await io.read(buffer, 0, 4096, DEVICE_BYTES)).toBe(STATUS.VOLUME_UNAVAILABLE);
  expect(ports.errors).toEqual(['read SHORT_READ']);
  await backend.close();
});

test('a block device has its own size, is held exclusively, and is never grown', async (context) => {
  const device = needLoopDevice(context);
  const volume = volumeConfig({ name: 'disk', path: device, blockSizeBytes: 4096 });
  const ports = { memoryDirectory: directory, fileSystemOf: () => Promise.resolve('other' as const) };
  const storage = await openStorage(volume, 'id', ports, false);
  expect(storage.type).toBe('block');
  expect(storage.identity).toMatch(/^device \d+:\d+$/);
  expect(await settleSize(storage, false)).toEqual({ sizeBytes: DEVICE_BYTES, grownFromBytes: null });
  await expect(openStorage(volume, 'id', ports, false)).rejects.toThrow(/cannot be opened \(EBUSY\): unmount it/);
  await releaseStorage(storage);
  const larger = await openStorage({ ...volume, sizeBytes: 2 * DEVICE_BYTES }, 'id', ports, false);
  await expect(settleSize(larger, false)).rejects.toThrow(`has ${DEVICE_BYTES} bytes, but size is ${2 * DEVICE_BYTES}: lower size =`);
  await releaseStorage(larger);
  await expect(openStorage({ ...volume, type: 'file' }, 'id', ports, false)).rejects.toThrow('is not a regular file: correct path');
});

test('a device that a process of a killed listener has open is not served before it is closed', async (context) => {
  const device = needLoopDevice(context);
  const nothing = (): undefined => undefined;
  const volumes = new Volumes({
    idsFile: path.join(directory, 'volumes.json'),
    memoryDirectory: path.join(directory, 'shm'),
    fileSystemOf: () => Promise.resolve('other'),
    clock: systemClock,
    log: { info: nothing, warn: nothing, error: nothing },
    syncFailedLate: nothing,
    isHeld: () => false,
    holdersOf: () => [],
    incarnationEnded: async () => undefined,
  });
  const configured = [volumeConfig({ name: 'disk', type: 'block', path: device })];
  const backend = await openBackend(servedVolume({ type: 'block', path: device, sizeBytes: DEVICE_BYTES }), testPorts());
  await volumes.open({ volumes: configured });
  expect(volumes.failures.map(({ error }) => error.message)).toEqual([
    expect.stringContaining(`${device} is still open in a server process`),
  ]);
  await backend.close();
  await volumes.open({ volumes: configured });
  expect(volumes.served.map(({ name }) => name)).toEqual(['disk']);
  await volumes.close();
});
