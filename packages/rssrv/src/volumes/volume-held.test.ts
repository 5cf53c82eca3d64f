// Tests a restart of rssrv after the file of a held volume was replaced by another file, or its section by another section. The holder gets
// the same content as before, or waits for the administrator (docs/PROTOCOL.md H5). The files are real; the test simulates the holds.
// Rules: G13.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isSameStamp, storageStamp } from '../storage/files/storage-identity.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import { Volumes } from './volumes.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const MIB = 1 << 20;
const HOLDER = { node: 'big-2', address: '127.45.0.2', sinceMs: 1_284_476_552_000 };
const IDS = [
  ['made here', null],
  ['configured', '11111111-2222-4333-8444-555555555555'],
] as const;

let directory = '';
let isHeld = false;
let livesEnded: string[] = [];
let volumes: Volumes;
let id = '';

const at = (name: string): string => path.join(directory, name);
const image = (): string => at('oracle.img');
const oracle = (changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig =>
  volumeConfig({ path: image(), sizeBytes: MIB, ...changes });
const failure = (): string => volumes.failures[0]?.error.message ?? 'none';

function server(): Volumes {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  return new Volumes({
    idsFile: at('volumes.json'),
    memoryDirectory: at('shm'),
    fileSystemOf: () => Promise.resolve('other'),
    clock: systemClock,
    log,
    syncFailedLate: () => undefined,
    isHeld: (one) => isHeld && one === id,
    holdersOf: (one) => (isHeld && one === id ? [HOLDER] : []),
    incarnationEnded: async (one) => void livesEnded.push(one),
  });
}

/** Stops the server, and starts it with this section. */
async function restart(volume: ServerVolumeConfig): Promise<void> {
  await volumes.close();
  volumes = server();
  await volumes.open({ volumes: [volume] });
}

/** Serves the volume once, and gives a client a hold on it. */
async function held(volume: ServerVolumeConfig): Promise<void> {
  await volumes.open({ volumes: [volume] });
  id = volumes.served[0]!.id;
  isHeld = true;
}

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  [isHeld, livesEnded, id] = [false, [], ''];
  volumes = server();
});
afterEach(async () => {
  await volumes.close();
  await removeFolder(directory);
});

describe.each(IDS)('another file under the name of the held one (id %s)', (_what, given) => {
  async function swapped(): Promise<ServerVolumeConfig> {
    const volume = oracle({ id: given });
    await held(volume);
    fs.writeFileSync(at('backup.img'), Buffer.alloc(MIB, 0x55));
    fs.renameSync(at('backup.img'), image());
    return volume;
  }

  test('is not served, and the message says what to do', async () => {
    await restart(await swapped());
    expect(volumes.served).toEqual([]);
    expect(failure()).toMatch(
      /^Volume oracle: \S+oracle\.img is not the file or device that it was last served from \(i\d+\S*, not i\d+\S*\), and node big-2 at 127\.45\.0\.2 has held it since .*: restore that one; if this one has the same content, set same-content = i\d+\S*; if its content differs, give the volume another id =; then reload$/,
    );
    // The next start does not serve the volume either.
    await restart(oracle({ id: given }));
    expect(volumes.served).toEqual([]);
  });

  test('is served if the administrator confirms the same content: as a new incarnation, once', async () => {
    const volume = await swapped();
    await restart(volume);
    const [, sameContent = ''] = /set same-content = (\S+);/.exec(failure()) ?? [];
    await restart({ ...volume, sameContent });
    expect([volumes.served.map((one) => one.id), livesEnded]).toEqual([[id], [id]]);
    await restart({ ...volume, sameContent });
    await restart(volume);
    expect([volumes.served.length, livesEnded.length]).toEqual([1, 1]);
    fs.copyFileSync(image(), at('again.img'));
    fs.renameSync(at('again.img'), image());
    await restart({ ...volume, sameContent });
    expect(volumes.served).toEqual([]);
  });

  test('is served again once the first file is back, wherever it was meanwhile', async () => {
    const volume = oracle({ id: given });
    await held(volume);
    fs.renameSync(image(), at('away.img'));
    await restart(volume);
    expect([volumes.served, fs.existsSync(image())]).toEqual([[], false]);
    fs.renameSync(at('away.img'), image());
    await restart(volume);
    expect([failure(), volumes.served.length]).toEqual(['none', 1]);
  });

  test('is served if no client holds it, as before', async () => {
    const volume = await swapped();
    isHeld = false;
    await restart(volume);
    expect([failure(), livesEnded]).toEqual(['none', []]);
  });

  test('is not served if it is memory', async () => {
    await held(oracle({ id: given }));
    await restart(oracle({ id: given, type: 'memory' }));
    expect(volumes.served).toEqual([]);
  });
});

describe('a changed section of a held volume', () => {
  test.each([
    [{ readonly: true }, 'readonly = no'],
    [{ shared: true }, 'shared = no'],
    [{ blockSizeBytes: 4096 as const }, 'blocksize = 512'],
    [{ blockSizeBytes: 4096 as const, readonly: true }, 'readonly = no, blocksize = 512'],
  ])('%j is not served at the next start, and the old one is again', async (changes, words) => {
    await held(oracle());
    await restart(oracle(changes));
    expect(volumes.served).toEqual([]);
    expect(failure()).toContain(`and node big-2 at 127.45.0.2 has held it since`);
    expect(failure()).toMatch(new RegExp(`: set ${words} again; to change it, detach the volume there first \\(rsconfig -d oracle\\)$`));
    await restart(oracle());
    expect([failure(), volumes.served.length]).toEqual(['none', 1]);
    isHeld = false;
    await restart(oracle(changes));
    expect(failure()).toBe('none');
  });
});

describe('a stamp', () => {
  const stampOf = (file: string): string | null => storageStamp(fs.statSync(file, { bigint: true }), file);

  test('stays with a file that is written to, truncated and renamed; another file has another stamp, even with the same inode number', () => {
    fs.writeFileSync(at('one'), 'a');
    const first = stampOf(at('one'));
    expect(first).toMatch(/^i\d+(\.b\d+)?$/);
    fs.appendFileSync(at('one'), 'b');
    fs.truncateSync(at('one'), 0);
    fs.renameSync(at('one'), at('two'));
    expect(stampOf(at('two'))).toBe(first);
    fs.copyFileSync(at('two'), at('three'));
    expect(isSameStamp(stampOf(at('three')), first)).toBe(false);
    expect([isSameStamp('i5.b7', 'i5.b8'), isSameStamp('i5', 'i5.b8'), isSameStamp('i5', 'i55.b8'), isSameStamp(null, 'i5')]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  test("of a device is the disk's own identity; of a partition also its position; of a loop device the file behind it", () => {
    const disk = at('sys/devices/sda');
    fs.mkdirSync(path.join(disk, 'sda1'), { recursive: true });
    fs.mkdirSync(path.join(disk, 'device'));
    fs.mkdirSync(at('sys/devices/loop7/loop'), { recursive: true });
    fs.mkdirSync(at('sys/dev'));
    fs.writeFileSync(path.join(disk, 'device/wwid'), 't10.ATA  disk #1\n');
    fs.writeFileSync(path.join(disk, 'sda1/partition'), '1\n');
    fs.writeFileSync(path.join(disk, 'sda1/start'), '2048\n');
    fs.writeFileSync(at('behind'), '');
    fs.writeFileSync(at('sys/devices/loop7/loop/backing_file'), `${at('behind')}\n`);
    for (const [name, to] of [
      ['8:0', 'sda'],
      ['8:1', 'sda/sda1'],
      ['7:7', 'loop7'],
    ] as const)
      fs.symlinkSync(at(`sys/devices/${to}`), at(`sys/dev/${name}`));
    const device = (major: bigint, minor: bigint): string | null =>
      storageStamp({ isBlockDevice: () => true, rdev: (major << 8n) | minor } as fs.BigIntStats, '/dev/x', at('sys/dev'));
    expect([device(8n, 0n), device(8n, 1n), device(7n, 7n), device(9n, 9n)]).toEqual([
      'device/wwid:t10.ATA_disk_1',
      'device/wwid:t10.ATA_disk_1:p1@2048',
      `loop:${stampOf(at('behind'))}`,
      null,
    ]);
  });
});

test('a replica of a mirror whose file is not the one in its manifest is not served, although nobody holds it', async () => {
  fs.writeFileSync(image(), Buffer.alloc(MIB));
  const stamp = storageStamp(fs.statSync(image(), { bigint: true }), image());
  const replica = { mirror: 'a'.repeat(32), identity: 'b'.repeat(32), mapPath: at('mirror.map') };
  const pool = { name: 'fast', stamp, ids: [], isThick: false, replica };
  const volume = oracle({ id: '11111111-2222-4333-8444-555555555555', pool });
  await volumes.open({ volumes: [volume] });
  expect(volumes.served[0]?.replica).toEqual(replica);
  await volumes.close();
  fs.copyFileSync(image(), at('older.img'));
  fs.renameSync(at('older.img'), image());
  await restart(volume);
  expect(volumes.served).toEqual([]);
  expect(failure()).toMatch(
    /oracle\.img is not the file that it has as a replica \(i.*, not i.*\), and may have older data: restore that file; if it is lost, rsadm volume split oracle makes this an ordinary volume/,
  );
});
