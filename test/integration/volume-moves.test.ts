// Moves of volumes between pools with real daemons, from XFS to a file system that may have no reflink and back: the client writes and
// verifies during the moves. Some moves are cancelled or refused. Holes stay holes. Skipped without root, loop devices or xfsprogs.
// The file jobs/moves/move-stops.test.ts of rssrv stops moves after each step. Rules: G28.

import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callServer } from '@rsio/api/rssrv/call-server';
import { beforeEach, expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const SIZE_BYTES = 64 * MIB;
const BLOCK_BYTES = 4 * KIB;
const WAIT_MS = 60_000;
const TEST_MS = 300_000;
/** Pause between writes, so that they take no processor from concurrent tests. */
const PAUSE_MS = 2;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;
let fast: string;
let slow: string;

beforeEach(async () => {
  host = hosts.host();
  network = await hosts.network(1);
});

/** Starts a server with a pool on XFS and a second pool elsewhere, and a client that has attached a volume of the first pool. */
async function start(context: TestContext, isToReflink = false): Promise<NbdIo> {
  fast = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(fast);
  slow = isToReflink ? path.join(reflinkDisk(hosts, hosts.host(), context), 'pool') : await emptyPool(host);
  if (isToReflink) mkdirSync(slow);
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
  return nbd;
}

async function ask<T>(method: Parameters<typeof callServer>[1], params: object): Promise<T> {
  return (await callServer(host.rssrvPaths.controlSocket, method, params as never)) as T;
}

interface Job {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly rounds: number;
}

async function move(pool: string, limitBytes: number | null = null): Promise<Job> {
  const { job } = await ask<{ job: Job }>('volume-move', { name: 'db', universe: 0, pool, limitBytes, request: null });
  return job;
}

async function jobOf(id: string): Promise<Job> {
  const { jobs } = await ask<{ jobs: Job[] }>('job-list', { id });
  return jobs[0]!;
}

async function reached(id: string, state: string): Promise<Job> {
  await waitFor(async () => !['waiting', 'running', 'cancelling'].includes((await jobOf(id)).state), WAIT_MS, `Job ${id} ends`);
  const job = await jobOf(id);
  expect([job.state, job.reason]).toEqual([state, null]);
  return job;
}

const numbered = (value: number): Buffer => {
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 4) block.writeUInt32LE(value, at);
  return block;
};

/** Writes numbered blocks until it is stopped, and remembers which writes were answered. */
class Writer {
  readonly written = new Map<number, number>();
  private isOver = false;
  private readonly done: Promise<void>;

  constructor(nbd: NbdIo) {
    this.done = this.run(nbd);
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.done;
  }

  private async run(nbd: NbdIo): Promise<void> {
    for (let number = 1; !this.isOver; number++) {
      const offset = ((number * 7_919) % (SIZE_BYTES / 2 / BLOCK_BYTES)) * BLOCK_BYTES;
      await nbd.write(offset, numbered(number));
      this.written.set(offset, number);
      await sleep(PAUSE_MS);
    }
  }
}

function verify(file: string, written: ReadonlyMap<number, number>): void {
  const content = readFileSync(file);
  expect(content.length).toBe(SIZE_BYTES);
  const wrong = [...written].filter(([offset, number]) => !content.subarray(offset, offset + BLOCK_BYTES).equals(numbered(number)));
  expect(wrong).toEqual([]);
}

function idsIn(pool: string, folder: string): string[] {
  return existsSync(path.join(pool, folder)) ? readdirSync(path.join(pool, folder)) : [];
}

it('a volume moves under writes, loses none of them, and the old pool has nothing of it', { timeout: TEST_MS }, async (context) => {
  const nbd = await start(context);
  const writer = new Writer(nbd);
  await waitFor(() => writer.written.size > 300, WAIT_MS, 'Blocks are written');
  const [id] = idsIn(fast, 'volumes');
  const { rounds } = await reached((await move('slow')).id, 'done');
  expect(rounds).toBeGreaterThan(1);
  const before = writer.written.size;
  await waitFor(() => writer.written.size > before + 20, WAIT_MS, 'Writes go on');
  await writer.stop();
  await nbd.flush();
  const file = path.join(slow, 'volumes', id!, 'data');
  verify(file, writer.written);
  // The second half of the volume was never written, and must still be a hole.
  expect(statSync(file).blocks * 512).toBeLessThan((SIZE_BYTES * 3) / 4);
  for (const pool of [fast, slow]) expect(idsIn(pool, 'moving')).toEqual([]);
  expect([idsIn(fast, 'volumes'), idsIn(fast, 'removed'), idsIn(slow, 'volumes')]).toEqual([[], [], [id]]);
  expect(JSON.parse(readFileSync(path.join(slow, 'volumes', id!, 'volume.json'), 'utf8'))).not.toHaveProperty('movedFrom');
  await host.stop('rssrv');
  await host.start('rssrv');
  for (const [offset, number] of [...writer.written].slice(0, 50)) expect(await nbd.read(offset, BLOCK_BYTES)).toEqual(numbered(number));
  const { pools } = await ask<{ pools: { state: string; findings: string[] }[] }>('pool-list', {});
  expect(pools.map(({ state, findings }) => [state, findings])).toEqual([
    ['ready', []],
    ['ready', []],
  ]);
});

it('a volume with snapshots moves with them, and they share their blocks in the new pool, too', { timeout: TEST_MS }, async (context) => {
  const nbd = await start(context, true);
  const data = Buffer.alloc(8 * MIB, 1);
  await nbd.write(0, data);
  const contents: Record<string, Buffer> = {};
  for (const name of ['a', 'b', 'c']) {
    const block = numbered(name.charCodeAt(0));
    await nbd.write(MIB, block);
    block.copy(data, MIB);
    await host.rsadmWell('volume', 'snapshot', `db@${name}`);
    contents[name] = Buffer.from(data);
  }
  await host.rsconfigWell('-a', 'db@b');
  const attached = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/db@b');
  hosts.onClean(() => attached.close());
  const freeBytes = (): number => Number(statfsSync(slow).bfree) * statfsSync(slow).bsize;
  const free = freeBytes();
  const [id] = idsIn(fast, 'volumes');
  await reached((await move('slow')).id, 'done');
  // All moves together take space for one copy of the content and for the differences, but not for four copies.
  expect(free - freeBytes()).toBeLessThan(2 * data.length);
  expect([idsIn(fast, 'volumes'), idsIn(slow, 'volumes')]).toEqual([[], [id]]);
  expect((await nbd.read(0, data.length)).equals(data)).toBe(true);
  expect(await attached.read(MIB, BLOCK_BYTES)).toEqual(contents['b']!.subarray(MIB, MIB + BLOCK_BYTES));
  for (const [name, content] of Object.entries(contents)) {
    const file = readFileSync(path.join(slow, 'volumes', id!, 'snapshots', `${name}.data`));
    expect([file.length, file.subarray(0, content.length).equals(content)]).toEqual([SIZE_BYTES, true]);
  }
  const { changedBytes } = JSON.parse(await host.rsadmWell('volume', 'diff', 'db@a', 'db@b', '--json')) as {
    readonly changedBytes: number;
  };
  expect(changedBytes).toBe(BLOCK_BYTES);
  await host.rsadmWell('volume', 'snapshot', 'db@d');
});
