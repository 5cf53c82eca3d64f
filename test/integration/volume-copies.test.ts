// Copies of a volume with real daemons, from a pool on XFS, while a client has the volume attached: to a new volume, over a kill of the server.
// What is copied is compared with the snapshot. Skipped without root, loop devices or xfsprogs. Stops after each step are in
// packages/rssrv/src/copies/copy-stops.test.ts.

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { JobView } from '@rsio/common/control/server/views';
import { needPrograms } from '@rsio/common/testing/needs';
import { beforeEach, expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 ** 2;
const SIZE_BYTES = 16 * MIB;
const DATA_BYTES = 4 * MIB;
const WAIT_MS = 60_000;
const TEST_MS = 120_000;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;
let fast: string;
let slow: string;

beforeEach(async (context) => {
  // A pool without a lock is not used.
  needPrograms(context, 'perl');
  host = hosts.host();
  network = await hosts.network(1);
});

/** A server with a pool on XFS and one elsewhere, and a client that has a volume of the first attached and has written to it. */
async function start(context: TestContext): Promise<NbdIo> {
  fast = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(fast);
  slow = await emptyPool(host);
  await startServer(host, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await host.rsadmWell('pool', 'add', 'fast', fast, '--reserve', '0%');
  await host.rsadmWell('pool', 'add', 'slow', slow, '--reserve', '0%');
  await host.rsadmWell('volume', 'create', 'db', '--size', `${SIZE_BYTES / MIB}m`, '--pool', 'fast');
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db');
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  for (let offset = 0; offset < DATA_BYTES; offset += MIB) await nbd.write(offset * 2, Buffer.alloc(MIB, offset / MIB + 1));
  await nbd.flush();
  return nbd;
}

/** The data file of a volume. */
function dataOf(pool: string, name: string): string {
  const folder = path.join(pool, 'volumes');
  const id = readdirSync(folder).find((one) => readFileSync(path.join(folder, one, 'volume.json'), 'utf8').includes(`"name": "${name}"`));
  return path.join(folder, id ?? 'none', 'data');
}

/** The data file of a snapshot of volume db. */
function snapshotOf(name: string): string {
  return path.join(path.dirname(dataOf(fast, 'db')), 'snapshots', `${name}.data`);
}

async function jobs(): Promise<JobView[]> {
  return (JSON.parse(await host.rsadmWell('jobs', '--json')) as { jobs: JobView[] }).jobs;
}

it('a volume is copied to another pool, over a kill of the server, and the copy is of one moment', {
  timeout: TEST_MS,
}, async (context) => {
  const nbd = await start(context);
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  await host.rsadmWell('volume', 'copy', 'db', 'new', '--limit', '1m', '--background');
  await waitFor(async () => (await jobs())[0]!.doneBytes > 0, WAIT_MS, 'The copy runs');
  // The copy does not have it.
  await nbd.write(0, Buffer.alloc(MIB, 99));
  await host.kill('rssrv');
  await host.start('rssrv');
  await host.rsadmWell('jobs', 'limit', '1', 'none');
  await waitFor(async () => (await jobs())[0]!.endedMs !== null, WAIT_MS, 'The copy ends');
  expect((await jobs())[0]).toMatchObject({ kind: 'copy', state: 'done', newName: 'new', to: 'slow', afterRestart: 'goes on' });
  const copy = dataOf(slow, 'new');
  expect(readFileSync(copy).equals(readFileSync(snapshotOf('monday')))).toBe(true);
  // What was never written takes no space.
  expect(statSync(copy).blocks * 512).toBeLessThanOrEqual(DATA_BYTES + MIB);
  expect(readdirSync(path.dirname(snapshotOf('monday'))).filter((name) => name.startsWith('copy-'))).toEqual([]);
  expect(readdirSync(path.join(slow, 'moving'))).toEqual([]);
  // A client may copy a snapshot, and attaches the copy.
  await host.rsconfigWell('volume', 'copy', 'db@monday', 'third', '--pool', 'slow', '--wait');
  await host.rsconfigWell('-a', 'third');
  const third = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/third');
  hosts.onClean(() => third.close());
  expect((await third.read(0, MIB)).equals(Buffer.alloc(MIB, 1))).toBe(true);
});
