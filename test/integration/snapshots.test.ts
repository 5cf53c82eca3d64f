// Snapshots with real daemons on a file system with reflink: snapshots under writes, of a fragmented file that is cloned in chunks, and of
// two volumes at one moment; clones; and rollbacks. A rollback is refused while the volume is in use. A late write of an earlier holder
// cannot change the result of a rollback. Skipped without root, loop devices or xfsprogs. The tests with reflink use the same daemons, and
// each begins with new volumes. snapshot-kills.test.ts has kills at each step. Rules: G26.

import { removedWhenFree } from '../support/hosts/removed-when-free.ts';
import { closeSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const SIZE_BYTES = 32 * MIB;
const BLOCK_BYTES = 4 * KIB;
const WAIT_MS = 30_000;
const TEST_MS = 300_000;
/** Pause between writes, so that they take no processor from concurrent tests. */
const PAUSE_MS = 2;

const hosts = useHosts('file');
let host: Host;
let network: TestNetwork;
let pool: string;
let begun: Promise<void> | undefined;

/** Starts a server with a pool on XFS that has the volumes db and log, and a client that may change them. */
async function start(context: TestContext): Promise<void> {
  begun ??= begin(context);
  await begun;
  await host.rsconfigWell('-d', '--force');
  const { volumes } = await callServer(host.rssrvPaths.controlSocket, 'volume-list', { pool: null });
  for (const { name } of volumes) await removedWhenFree(host, name);
  await host.rsadm('volume', 'purge', '--yes');
  for (const name of ['db', 'log']) await host.rsadmWell('volume', 'create', name, '--size', `${SIZE_BYTES / MIB}m`);
}

async function begin(context: TestContext): Promise<void> {
  [host, network] = [hosts.host(), await hosts.network(1)];
  pool = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(pool);
  await startServer(host, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
}

async function attach(...names: readonly string[]): Promise<void> {
  await host.pathsUp(1, WAIT_MS);
  const areListed = async (): Promise<boolean> => {
    const { stdout } = await host.rsconfig('-q');
    return names.every((name) => stdout.includes(name));
  };
  await waitFor(areListed, WAIT_MS, `The client sees ${names.join(' and ')}`);
  await host.rsconfigWell('-a', ...names);
}

async function openNbd(name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${name}`);
  hosts.onClean(() => nbd.close());
  return nbd;
}

async function show(name: string) {
  return callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
}

async function dataOf(name: string, snapshot: string | null = null): Promise<string> {
  const { volume } = await show(name);
  return snapshot === null ? volume.path! : path.join(path.dirname(volume.path!), 'snapshots', `${snapshot}.data`);
}

function blockOf(file: string, offset: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, block, 0, BLOCK_BYTES, offset);
  closeSync(descriptor);
  return block;
}

/** Fragments the file into extents of 4 KiB, so that the server clones it in chunks. */
async function fragment(name: string): Promise<void> {
  const descriptor = openSync(await dataOf(name), 'r+');
  for (let offset = 0; offset < SIZE_BYTES; offset += 2 * BLOCK_BYTES)
    writeSync(descriptor, Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, offset);
  closeSync(descriptor);
}

const numbered = (value: number): Buffer => {
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 4) block.writeUInt32LE(value, at);
  return block;
};

it('snapshots under writes hold each answered write and none that followed one they missed, over two volumes too', {
  timeout: TEST_MS,
}, async (context) => {
  await start(context);
  const logged = host.log('rssrv').length;
  await fragment('db');
  await attach('db', 'log');
  const [db, log] = [await openNbd('db'), await openNbd('log')];
  // Writes consecutive numbers to the first chunk of db, to its last chunk and to log, one after another; each write begins after the
  // answer to the previous write.
  const places: readonly (readonly [NbdIo, string, number])[] = [
    [db, 'db', SIZE_BYTES - BLOCK_BYTES],
    [db, 'db', 0],
    [log, 'log', 0],
    [db, 'db', 12 * MIB],
  ];
  let [answered, isOver] = [0, false];
  const writing = (async () => {
    while (!isOver) {
      const [nbd, , offset] = places[answered % places.length]!;
      await nbd.write(offset, numbered(answered + 1));
      answered++;
      await sleep(PAUSE_MS);
    }
  })();
  const snapshots: { readonly name: string; readonly before: number; readonly after: number }[] = [];
  for (let number = 0; number < 5; number++) {
    const [before, name] = [answered, `s${number}`];
    await waitFor(() => answered > before, WAIT_MS, 'Writes go on');
    const asked = answered;
    await host.rsconfigWell('volume', 'snapshot', `db@${name}`, `log@${name}`);
    snapshots.push({ name, before: asked, after: answered });
  }
  isOver = true;
  await writing;
  const pieces = [
    ...host
      .log('rssrv')
      .slice(logged)
      .matchAll(/(\d+) pieces? cloned/g),
  ].map(([, count]) => Number(count));
  expect(Math.min(...pieces), 'db is cloned in chunks').toBeGreaterThan(2);
  for (const { name, before, after } of snapshots) {
    const files: Readonly<Record<string, string>> = { db: await dataOf('db', name), log: await dataOf('log', name) };
    expect(Object.values(files).map((file) => statSync(file).size)).toEqual([SIZE_BYTES, SIZE_BYTES]);
    const values = places.map(([, volume, offset]) => {
      const block = blockOf(files[volume]!, offset);
      expect(block.equals(numbered(block.readUInt32LE(0))), 'each block is whole').toBe(true);
      return block.readUInt32LE(0);
    });
    // If the newest number is n, the other places have n-1, n-2 and n-3, unless fewer were written.
    const newest = Math.max(...values);
    expect(values.toSorted((a, b) => b - a)).toEqual(places.map((_, index) => Math.max(0, newest - index)));
    expect(newest).toBeGreaterThanOrEqual(before);
    expect(newest).toBeLessThanOrEqual(after + 1);
  }
  const { snapshots: shown } = await show('db');
  expect(shown.map(({ snapshot, by }) => [snapshot, by])).toEqual(snapshots.map(({ name }) => [name, 'big-2']));
  expect(new Set(shown.map(({ createdMs }) => createdMs)).size).toBe(shown.length);
});

it('a clone is a volume of its own, a rollback needs a volume without holder, and both share blocks', {
  timeout: TEST_MS,
}, async (context) => {
  await start(context);
  await attach('db');
  const nbd = await openNbd('db');
  await nbd.write(0, numbered(1));
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  await nbd.write(0, numbered(2));
  await host.rsconfigWell('volume', 'clone', 'db@monday', 'copy');
  await waitFor(async () => (await host.rsconfig('-q')).stdout.includes('copy'), WAIT_MS, 'The client sees the clone');
  await host.rsconfigWell('-a', 'copy');
  const copy = await openNbd('copy');
  expect(await copy.read(0, BLOCK_BYTES)).toEqual(numbered(1));
  await copy.write(0, numbered(3));
  expect(await nbd.read(0, BLOCK_BYTES)).toEqual(numbered(2));

  expect((await host.rsadm('volume', 'rollback', 'db@monday')).stderr).toMatch(/db of pool fast is in use: node big-2 .*\[E_HELD\]/);
  expect((await host.rsconfig('volume', 'rollback', 'db@monday')).stderr).toMatch(/is attached here: detach it first .*\[E_IN_USE\]/);
  nbd.close();
  await waitFor(() => host.rsconfigWell('-d', 'db'), WAIT_MS, 'db is detached');
  const said = await host.rsconfigWell('volume', 'rollback', 'db@monday');
  expect(said).toMatch(/^osl:db@0 has the content of snapshot monday; its content before is osl:db@0@before-rollback-\d{8}-\d{6}\n$/);
  await host.rsconfigWell('-a', 'db');
  const again = await openNbd('db');
  expect(await again.read(0, BLOCK_BYTES)).toEqual(numbered(1));
  await again.write(BLOCK_BYTES, numbered(4));
  // After a restart, rssrv serves the rolled back file, and the client continues with this file.
  await host.stop('rssrv');
  await host.start('rssrv');
  await again.write(2 * BLOCK_BYTES, numbered(5));
  await again.flush();
  expect(await again.read(0, BLOCK_BYTES)).toEqual(numbered(1));
  const kept = /before-rollback-\S+/.exec(said)?.[0] ?? '';
  expect(blockOf(await dataOf('db', kept), 0).equals(numbered(2))).toBe(true);
  expect(statSync(await dataOf('db', kept)).mode & 0o777).toBe(0o400);
  await host.rsadmWell('volume', 'remove', 'db@monday', '--yes');
  expect(await host.rsadmWell('volume', 'list')).toMatch(/^db@0 +32\.0M +\S+ +fast +1 +big-2$/m);
  expect((await callServer(host.rssrvPaths.controlSocket, 'pool-list', {})).pools[0]).toMatchObject({ findings: [], state: 'ready' });
});

it('no write of a client that has lost its hold comes into the volume after a rollback', { timeout: TEST_MS }, async (context) => {
  await start(context);
  await attach('db');
  const nbd = await openNbd('db');
  await nbd.write(0, numbered(1));
  await nbd.flush();
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  // This write is answered and not flushed, so that the client keeps it in the replay log.
  await nbd.write(0, numbered(2));
  const pid = host.pid('rsiod');
  process.kill(pid, 'SIGSTOP');
  hosts.onClean(() => process.kill(pid, 'SIGCONT'));
  await host.rsadmWell('client', 'fence', 'big-2');
  await host.rsadmWell('client', 'release', 'big-2', '--volume', 'db');
  await host.rsadmWell('volume', 'rollback', 'db@monday');
  // After the kill, a new incarnation of the storage starts. A client with a replay log replays its log to a new incarnation.
  await host.kill('rssrv');
  await host.start('rssrv');
  await host.rsadmWell('client', 'unfence', 'big-2');
  process.kill(pid, 'SIGCONT');
  await expect(nbd.read(0, BLOCK_BYTES)).rejects.toThrow();
  expect(blockOf(await dataOf('db'), 0).equals(numbered(1))).toBe(true);
});

it('a pool on a file system without reflink says so, and its volumes work', { timeout: TEST_MS }, async () => {
  [host, network] = [hosts.host(), await hosts.network(1)];
  const folder = await emptyPool(host);
  await startServer(host, network, { volumes: {}, pools: { plain: { path: folder } } });
  await host.rsadmWell('volume', 'create', 'db', '--size', '1m');
  const { code, stderr } = await host.rsadm('volume', 'snapshot', 'db@monday');
  if (code !== 0)
    expect(stderr).toMatch(/has no reflink, which snapshots and clones need: use a pool .* mkfs\.xfs -m reflink=1 .*\[E_NO_REFLINK\]/);
  expect((await show('db')).snapshots).toHaveLength(code === 0 ? 1 : 0);
  expect((await show('db')).volume.state).toBe('served');
});
