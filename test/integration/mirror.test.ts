// A mirror with real daemons: two servers with pools, a server that only votes, and a client. A server is killed and comes back, and its
// replica is copied. No write of the client is lost, and afterwards both pools have the same bytes. All tests use the same daemons. Each
// test begins with all daemons up and without a volume. The rules of mirrors are tested in packages/protocol/src/mirror and, in every order
// of events, in test/sim. Rules: G33, G36, Q10, M7.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
const PIECE = 64 * 1024;
/**
 * Pause between writes in tests for which the number of writes does not matter. Without this pause, the writes would take a processor from
 * concurrent tests.
 */
const PAUSE_MS = 5;
/** Within this time, a mirror continues without a server, or copies the writes that a server has missed. */
const SOON_MS = 30_000;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

const hosts = useHosts('file');
let servers: Host[];
let client: Host;
let pools: string[];
let network: TestNetwork;
let addresses: string[];
let begun: Promise<void> | undefined;
/** Another client, started for the first test that needs it. */
let venusHost: Host | undefined;

beforeEach(async () => {
  begun ??= begin();
  await begun;
  for (const host of [...servers, client]) if (host.processes().length === 0) await host.start(host === client ? 'rsiod' : 'rssrv');
  await client.pathsUp(3, SOON_MS);
  await client.rsconfig('-d', '--force');
  const isGone = async (): Promise<boolean> => (await client.call('mirrors', { namespace: null })).mirrors.length === 0;
  // Both commands have --force: the detach does not wait for servers that have just come back, and the last test may have left a holder.
  await waitFor(
    async () => {
      if (!(await isGone())) await client.rsconfigWell('mirror', 'remove', 'db', '--volumes', '--force');
      return true;
    },
    SOON_MS,
    'The mirror is removed',
  );
  for (const host of servers) await host.rsadm('volume', 'purge', '--yes');
});

async function begin(): Promise<void> {
  network = await hosts.network(1);
  addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  servers = [];
  pools = [];
  for (const [index, address] of addresses.entries()) servers.push(await startServer(index, address));
  client = await startClient('big-2', 0);
}

async function startedVenus(): Promise<Host> {
  venusHost ??= await startClient('venus', 1);
  return venusHost;
}

async function startClient(node: string, position: number): Promise<Host> {
  const host = hosts.host();
  host.writeConfig('rsiod', clientConfig(network, { node, client: position, serverAddresses: addresses, defaults: QUICK }));
  await host.start('rsiod');
  await host.pathsUp(3);
  return host;
}

/** Starts a server. pi-1 and pi-2 have pools, and pi-3 only votes. */
async function startServer(index: number, address: string): Promise<Host> {
  const host = hosts.host();
  const isWitness = index === 2;
  if (!isWitness) pools.push(await emptyPool(host));
  const text = serverConfig(
    { port: network.port, serverAddresses: [address] },
    {
      name: `pi-${index + 1}`,
      server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) },
      volumes: {},
      pools: isWitness ? {} : { fast: { path: pools[index]! } },
      clients: { 'big-2': keyOf('big-2'), venus: keyOf('venus') },
      rights: { 'big-2': 'manage', venus: 'manage' },
    },
  );
  host.writeConfig('rssrv', text);
  await host.start('rssrv');
  return host;
}

async function createMirror(): Promise<void> {
  const about = { namespace: null, name: 'db', universe: 0, sizeBytes: SIZE, blockSizeBytes: 512 };
  await client.call('mirror-create', { ...about, servers: ['pi-1', 'pi-2'], witness: 'pi-3', pool: null, request: null });
}

function killServer(host: Host): void {
  for (const pid of host.processes()) process.kill(pid, 'SIGKILL');
}

async function isInSync(): Promise<boolean> {
  const { mirrors } = await client.call('mirrors', { namespace: null });
  return mirrors.length === 1 && mirrors[0]!.replicas.length === 2 && mirrors[0]!.replicas.every(({ inSync }) => inSync);
}

/** Finds the data file of the replica, which is the only large file of the pool. */
function dataFileIn(pool: string, sizeBytes = SIZE): string {
  const files = readdirSync(pool, { recursive: true, encoding: 'utf8' }).map((name) => path.join(pool, name));
  const data = files.filter((file) => statSync(file).isFile() && statSync(file).size === sizeBytes);
  expect(data.length, `files of ${sizeBytes} bytes in ${pool}`).toBe(1);
  return data[0]!;
}

function bytesIn(pool: string, sizeBytes = SIZE): Buffer {
  return readFileSync(dataFileIn(pool, sizeBytes));
}

it('writes survive a server that is killed and comes back, and then both servers have the same', { timeout: 300_000 }, async () => {
  await createMirror();
  expect(await client.rsconfigWell('-a', 'db')).toContain('osl:db@0');
  const model = Buffer.alloc(SIZE);
  let io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  const writeAt = async (offset: number): Promise<void> => {
    const data = randomBytes(PIECE);
    data.copy(model, offset);
    await io.write(offset, data);
  };
  for (let offset = 0; offset < SIZE; offset += 2 * MIB) await writeAt(offset);
  await io.flush();
  killServer(servers[1]!);
  for (let offset = MIB; offset < SIZE; offset += 2 * MIB) await writeAt(offset);
  await writeAt(0);
  expect((await io.read(0, SIZE / 2)).equals(model.subarray(0, SIZE / 2))).toBe(true);
  await io.flush();
  expect(await isInSync()).toBe(false);
  expect(await client.rsconfigWell('-m', 'status', '-v')).toContain('osl:db@0 is on pi-1 (in sync) and pi-2 (behind)\n');
  await servers[1]!.start('rssrv');
  await waitFor(isInSync, SOON_MS, 'the replica is in sync again');
  // By M12, the mirror copies only the blocks that were written while the server was away. The comparison shows that the copy has left out
  // no block.
  expect(await client.rsconfigWell('mirror', 'verify', 'db')).toBe('8.0M of osl:db@0 compared: the replicas are equal\n');
  await writeAt(3 * MIB);
  io.close();
  await client.rsconfigWell('-d', 'db');
  expect(await client.rsconfigWell('-a', 'db')).toContain('osl:db@0');
  io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  for (let offset = 0; offset < SIZE; offset += MIB) {
    expect((await io.read(offset, MIB)).equals(model.subarray(offset, offset + MIB)), `at ${offset}`).toBe(true);
  }
  io.close();
  await client.rsconfigWell('-d', 'db');
  for (const pool of pools) expect(bytesIn(pool).equals(model), pool).toBe(true);
});

it('a mirror grows under writes, also while a server is away, and then both servers have the same', { timeout: 300_000 }, async () => {
  await createMirror();
  await client.rsconfigWell('-a', 'db');
  const model = Buffer.alloc(3 * SIZE);
  const writeAt = async (io: NbdIo, offset: number): Promise<void> => {
    const data = randomBytes(PIECE);
    data.copy(model, offset);
    await io.write(offset, data);
  };
  const plain = await client.rsconfig('volume', 'grow', 'db', `${2 * SIZE}`, '--server', 'pi-1');
  expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining('rsconfig mirror grow db SIZE')]);
  /** Writes until the mirror has grown. */
  const grow = async (from: NbdIo, sizeBytes: number): Promise<NbdIo> => {
    let isGrown = false;
    const grown = client.rsconfigWell('mirror', 'grow', 'db', `${sizeBytes}`).finally(() => (isGrown = true));
    for (let offset = 0; !isGrown; offset = (offset + PIECE) % SIZE) {
      await writeAt(from, offset);
      await sleep(PAUSE_MS);
    }
    expect(await grown).toContain('osl:db@0 now has ');
    await from.flush();
    from.close();
    const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
    await writeAt(io, sizeBytes - PIECE);
    return io;
  };
  let io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  killServer(servers[1]!);
  io = await grow(io, 2 * SIZE);
  await servers[1]!.start('rssrv');
  await waitFor(isInSync, SOON_MS, 'the replica has grown and is in sync again');
  io = await grow(io, 3 * SIZE);
  for (let offset = 0; offset < 3 * SIZE; offset += MIB)
    expect((await io.read(offset, MIB)).equals(model.subarray(offset, offset + MIB)), `at ${offset}`).toBe(true);
  io.close();
  await client.rsconfigWell('-d', 'db');
  for (const pool of pools) expect(bytesIn(pool, 3 * SIZE).equals(model), pool).toBe(true);
});

it('a client that ends or is killed attaches its mirror again, and another one needs --take-over', { timeout: 300_000 }, async () => {
  await createMirror();
  await client.rsconfigWell('-a', 'db');
  const data = randomBytes(PIECE);
  const writer = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  await writer.write(0, data);
  writer.close();
  const venus = await startedVenus();
  const held = await venus.rsconfig('-a', 'db');
  expect([held.code, held.stderr]).toEqual([1, expect.stringMatching(/Client big-2 .*\[E_HELD\]/)]);
  await client.kill('rsiod');
  await client.start('rsiod');
  // The next process of rsiod attaches the mirror again without a command.
  const opened = async (): Promise<NbdIo | null> => await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db').catch(() => null);
  const isBack = async (): Promise<boolean> => {
    const io = await opened();
    io?.close();
    return io !== null;
  };
  await waitFor(isBack, SOON_MS, 'attached again after a crash');
  await client.stop('rsiod');
  await client.start('rsiod');
  await waitFor(isBack, SOON_MS, 'attached again after an end');
  const old = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  const replicas = servers.slice(0, pools.length);
  for (const server of replicas) await server.rsadmWell('volume', 'set', 'db', 'take-over=big-2');
  const refused = await venus.rsconfig('-a', 'db', '--take-over');
  const order = 'rsadm volume set db take-over=big-2,venus';
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(new RegExp(`Client big-2 has mirror db .*${order} .*\\[E_HELD\\]`)),
  ]);
  for (const server of replicas) await server.rsadmWell(...order.split(' ').slice(1));
  await venus.rsconfigWell('-a', 'db', '--take-over');
  const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
  expect((await io.read(0, PIECE)).equals(data)).toBe(true);
  await expect(old.write(0, data)).rejects.toThrow();
  old.close();
  io.close();
  await venus.rsconfigWell('-d', 'db');
  await client.rsconfigWell('-a', 'db');
});

// Regression: the next client settled the replicas from the first replica, although this replica had lost the write.
it('a write that one server has lost with its page cache is not reverted on the other one by the next client', {
  timeout: 300_000,
}, async () => {
  await createMirror();
  await client.rsconfigWell('-a', 'db');
  const data = randomBytes(PIECE);
  const writer = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  await writer.write(MIB, data);
  await client.kill('rsiod');
  writer.close();
  killServer(servers[0]!);
  await waitFor(() => servers[0]!.processes().length === 0, SOON_MS, 'pi-1 has ended');
  const disk = await open(dataFileIn(pools[0]!), 'r+');
  await disk.write(Buffer.alloc(PIECE), 0, PIECE, MIB);
  await disk.close();
  await servers[0]!.start('rssrv');
  const venus = await startedVenus();
  await venus.pathsUp(3, SOON_MS);
  await venus.rsconfigWell('-a', 'db', '--take-over');
  const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
  expect((await io.read(MIB, PIECE)).equals(data)).toBe(true);
  io.close();
  await venus.rsconfigWell('-d', 'db');
  for (const pool of pools)
    expect(
      bytesIn(pool)
        .subarray(MIB, MIB + PIECE)
        .equals(data),
      pool,
    ).toBe(true);
});

it('a mirror that is attached read-only refuses changes, also after a crash and a take-over, and is settled', {
  timeout: 300_000,
}, async () => {
  await createMirror();
  await client.rsconfigWell('-a', 'db');
  const data = randomBytes(PIECE);
  const writer = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  await writer.write(MIB, data);
  writer.close();
  // The holder ends uncleanly. The next client must settle the replicas, although it attaches the mirror read-only.
  const venus = await startedVenus();
  await venus.rsconfigWell('-a', 'db', '--read-only', '--take-over');
  const check = async (): Promise<void> => {
    const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
    expect((await io.read(MIB, PIECE)).equals(data)).toBe(true);
    await expect(io.write(MIB, randomBytes(PIECE))).rejects.toThrow();
    io.close();
    expect(await venus.rsconfigWell('-lvv')).toMatch(/^osl:db@0 .*read-only/m);
  };
  await check();
  // A client without I/O may learn late that another client has replaced it.
  const isHeld = async (): Promise<boolean> => (await client.rsconfig('-a', 'db', '--read-only')).stderr.includes('[E_HELD]');
  await waitFor(isHeld, SOON_MS, 'the former holder is refused');
  await venus.kill('rsiod');
  await venus.start('rsiod');
  await waitFor(async () => (await venus.rsconfigWell('-l')).includes('osl:db@0'), SOON_MS, 'attached again after a crash');
  await check();
  const other = await venus.rsconfig('-a', 'db');
  expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/attached read-only: detach it first/)]);
  await venus.rsconfigWell('-d', 'db');
  expect(await venus.rsconfigWell('mirror', 'list')).toMatch(/^osl:db@0 +8\.0M +pi-1 pi-2 +- +pi-3 +-$/m);
  for (const pool of pools)
    expect(
      bytesIn(pool)
        .subarray(MIB, MIB + PIECE)
        .equals(data),
      pool,
    ).toBe(true);
});

it('mirror verify finds the one byte that storage has changed, and repairs it, while the volume is written', {
  timeout: 300_000,
}, async () => {
  await createMirror();
  await client.rsconfigWell('-a', 'db');
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  for (let offset = 0; offset < SIZE; offset += MIB) await io.write(offset, randomBytes(PIECE));
  await io.write(5 * MIB, Buffer.alloc(PIECE, 9));
  // After a discard, both servers have the same bytes.
  await io.trim(6 * MIB + 512, MIB - 1024);
  await io.flush();
  expect(await client.rsconfigWell('mirror', 'verify', 'db')).toBe('8.0M of osl:db@0 compared: the replicas are equal\n');
  const file = dataFileIn(pools[1]!);
  const at = 5 * MIB + 5_000;
  const changed = await open(file, 'r+');
  await changed.write(Buffer.from([8]), 0, 1, at);
  await changed.close();
  let isWriting = true;
  const writing = (async () => {
    for (let index = 0; isWriting; index++) {
      await io.write((index % 4) * MIB, randomBytes(PIECE));
      await sleep(PAUSE_MS);
    }
  })();
  const found = await client.rsconfig('mirror', 'verify', 'db');
  const range = `bytes ${5 * MIB + 4096} to ${5 * MIB + 8191}: pi-2 differs`;
  expect(found).toMatchObject({ code: 1, stdout: `8.0M of osl:db@0 compared: 4.0K differ\n    ${range}\n` });
  const repaired = await client.rsconfigWell('mirror', 'verify', 'db', '--repair', '--from', 'pi-1');
  expect(repaired).toBe(`8.0M of osl:db@0 compared: 4.0K differ, 4.0K repaired\n    ${range}, repaired\n`);
  expect(await client.rsconfigWell('mirror', 'verify', 'db')).toContain('the replicas are equal');
  isWriting = false;
  await writing;
  io.close();
  await client.rsconfigWell('-d', 'db');
  expect(bytesIn(pools[0]!).equals(bytesIn(pools[1]!))).toBe(true);
  expect(bytesIn(pools[1]!)[at]).toBe(9);
});

it('a volume with data becomes a mirror, and has it all when its first server is killed', { timeout: 300_000 }, async () => {
  await client.rsconfigWell('volume', 'create', 'db', '--size', `${SIZE}`, '--server', 'pi-1', '--attach');
  const model = randomBytes(SIZE);
  let io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  for (let offset = 0; offset < SIZE; offset += MIB) await io.write(offset, model.subarray(offset, offset + MIB));
  await io.flush();
  io.close();
  const inUse = await client.rsconfig('mirror', 'add', 'db', '--server', 'pi-2');
  expect([inUse.code, inUse.stderr]).toEqual([1, expect.stringContaining('detach it (rsconfig -d osl:db@0)')]);
  await client.rsconfigWell('-d', 'db');
  expect(await client.rsconfigWell('mirror', 'add', 'db', '--server', 'pi-2')).toContain(
    'osl:db@0 is in sync on pi-1, to be copied on pi-2',
  );
  await client.rsconfigWell('-a', 'db');
  await client.rsconfigWell('mirror', 'witness', 'db', '--server', 'pi-3');
  await waitFor(isInSync, SOON_MS, 'the volume is copied to the other server');
  killServer(servers[0]!);
  io = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
  for (let offset = 0; offset < SIZE; offset += MIB)
    expect((await io.read(offset, MIB)).equals(model.subarray(offset, offset + MIB)), `at ${offset}`).toBe(true);
  io.close();
});
