// READs of blocks that the disk of a pool has lost. If such a block has not changed since an image in another pool was refreshed, the
// server reads the block from this image, and reports this in its state. The READ of a block that was written since the refresh still
// fails. The disk is btrfs, whose checksums turn bytes that the test overwrites into errors. Skipped without root, loop devices or
// btrfs-progs. bridges.test.ts in packages/rssrv/src/jobs/images tests all rules. Rules: G32.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it } from 'vitest';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const MIB = 1024 ** 2;
const DISK_BYTES = 256 * MIB;
const BLOCK_BYTES = 4_096;
const TEST_MS = 300_000;
const NODE = { name: 'db', universe: 0 };

const hosts = useHosts();

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK_BYTES, `${text}.`);
}

function placesOf(disk: string, text: string): number[] {
  const { stdout } = spawnSync('grep', ['--only-matching', '--byte-offset', '--text', '--fixed-strings', text, disk], {
    encoding: 'latin1',
  });
  return [...stdout.matchAll(/^\d+/gm)].map(([place]) => Number(place));
}

function overwrite(disk: string, places: readonly number[]): void {
  const descriptor = openSync(disk, 'r+');
  for (const place of places) writeSync(descriptor, 'lost', place);
  closeSync(descriptor);
}

it('an image answers for blocks that the disk has lost, but not for those that were written since its refresh', {
  timeout: TEST_MS,
}, async (context) => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const mount = makeReflinkDisk(hosts, host, DISK_BYTES, 'btrfs');
  context.skip(mount === null, 'needs mkfs.btrfs (install btrfs-progs), and the right to mount a loop device with it (root)');
  const disk = path.join(host.root, 'reflink.img');
  await startServer(host, network, { volumes: {} });
  for (const name of ['fast', 'slow']) {
    mkdirSync(path.join(mount ?? '', name));
    await host.rsadmWell('pool', 'add', name, path.join(mount ?? '', name), '--reserve', '0%');
  }
  await host.rsadmWell('volume', 'create', 'db', '--size', '8m', '--pool', 'fast');
  host.writeConfig('rsiod', clientConfig(network, {}));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db');
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  for (let index = 0; index < 16; index++) await nbd.write(index * BLOCK_BYTES, block(`content${index}x`));
  await nbd.flush();
  const places = placesOf(disk, 'content3x');
  expect(places.length).toBeGreaterThan(0);
  await host.rsadmWell('volume', 'image', 'db', '--universe', '1', '--pool', 'slow', '--wait');
  await nbd.write(5 * BLOCK_BYTES, block('newer5x'));
  await nbd.flush();

  overwrite(disk, [...places, ...placesOf(disk, 'newer5x')]);
  const { volume: before } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', NODE);
  expect(before.bridged).toBe(null);
  // Drops the file from the page cache.
  expect(spawnSync('dd', [`if=${before.path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' }).status).toBe(0);

  expect((await nbd.read(3 * BLOCK_BYTES, BLOCK_BYTES)).equals(block('content3x')), 'the image answers').toBe(true);
  await expect(nbd.read(5 * BLOCK_BYTES, BLOCK_BYTES), 'it was written since').rejects.toThrow();
  expect((await nbd.read(6 * BLOCK_BYTES, BLOCK_BYTES)).equals(block('content6x'))).toBe(true);

  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', NODE);
  expect(volume.bridged).toMatchObject({ reads: 1 });
  const { code, stdout } = await host.rsadm('status');
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/Warning: The storage of volume db@0 failed at 1 READ, which an image answered/),
  ]);
  const { events } = await callServer(host.rssrvPaths.controlSocket, 'events', { count: 100, after: null, waitMs: 0 });
  expect(events.find(({ to }) => to === 'bridged')?.reason).toMatch(/^1 READ of volume db failed and got the data from image db@1/);
});
