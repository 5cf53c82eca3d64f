// A failing write-back of a real kernel: the device of an ext4 file system is a file on a full tmpfs. After the failed sync, READs return
// the content of the disk (V1 in docs/PROTOCOL.md). The test also shows that the kernel alone would return the lost write. Skipped without
// root, loop devices or e2fsprogs.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { STATUS } from '@rsio/protocol/wire/status';
import type { DropPages } from '@rsio/rssrv/storage/io/drop-pages';
import { openBackend } from '@rsio/rssrv/storage/open-backend';
import { promised, servedVolume, testPorts } from '@rsio/rssrv/testing/backend-scene';
import { expect, it, type TestContext } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';

const MIB = 1024 ** 2;
const TMPFS_BYTES = 24 * MIB;
const DEVICE_BYTES = 400 * MIB;
const VOLUME_BYTES = 64 * MIB;
const WRITTEN_AT = 8 * MIB;

const hosts = useHosts();

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/**
 * Makes the file of a volume on a device that has no room for the file's data. The file is allocated but not written yet. Returns null if
 * this machine cannot make such a device.
 */
function fileWithoutRoom(context: TestContext): { readonly file: string; readonly fill: () => void } | null {
  needPrograms(context, 'mkfs.ext4', 'fallocate', 'mount', 'umount');
  const host = hosts.host();
  const [store, mount] = [host.file('store'), host.file('mount')];
  for (const folder of [store, mount]) mkdirSync(folder);
  if (!runs('mount', '-t', 'tmpfs', '-o', `size=${TMPFS_BYTES}`, 'none', store)) return null;
  hosts.onClean(() => void runs('umount', '--lazy', store));
  const device = path.join(store, 'device');
  writeFileSync(device, '');
  truncateSync(device, DEVICE_BYTES);
  if (!runs('mkfs.ext4', '-q', '-E', 'nodiscard,lazy_itable_init=1', device) || !runs('mount', '-o', 'loop', device, mount)) return null;
  hosts.onClean(() => void runs('umount', '--lazy', mount));
  const file = path.join(mount, 'volume');
  if (!runs('fallocate', '--length', String(VOLUME_BYTES), file) || !runs('sync', '--file-system', mount)) return null;
  const fill = (): void => {
    const descriptor = openSync(path.join(store, 'rest'), 'w');
    expect(() => {
      for (;;) writeSync(descriptor, Buffer.alloc(MIB / 16, 1));
    }).toThrow('ENOSPC');
    closeSync(descriptor);
  };
  return { file, fill };
}

/** Returns the data of a READ after a write whose sync has failed. */
async function shownAfterLoss(file: string, text: string, positionBytes: number, dropPages: DropPages): Promise<string> {
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: VOLUME_BYTES }), { ...testPorts(), dropPages });
  const io = promised(backend);
  const [written, read] = [Buffer.alloc(MIB, text), Buffer.alloc(MIB)];
  expect(await io.write(written, 0, MIB, positionBytes)).toBe(STATUS.OK);
  expect(await io.flush(), 'the kernel has lost the write').not.toBe(STATUS.OK);
  expect(await io.read(read, 0, MIB, positionBytes)).toBe(STATUS.OK);
  await backend.close();
  if (read.equals(written)) return 'what was lost';
  return read.every((byte) => byte === 0) ? 'what is on disk' : 'a mixture';
}

it('after a sync that failed, READs show what is on disk, and not what the kernel still has of a lost write', async (context) => {
  const made = fileWithoutRoom(context);
  context.skip(made === null, 'needs the right to mount a tmpfs and a loop device (root)');
  const { file, fill } = made!;
  fill();
  expect(await shownAfterLoss(file, 'lost', WRITTEN_AT, (_, done) => done()), 'the kernel alone').toBe('what was lost');
  const { dropPages } = testPorts();
  expect(await shownAfterLoss(file, 'lost', 2 * WRITTEN_AT, dropPages)).toBe('what is on disk');
});
