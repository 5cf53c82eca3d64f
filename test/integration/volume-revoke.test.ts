// Volumes that an administrator takes away from a client, with real processes: under load, from a client that stands still, while rssrv is
// killed, and from the holder of a mirror. The test examines the server's file after each order. The order of the steps is tested in
// packages/rssrv/src/volumes/holds/revocations.test.ts, and under all faults in test/sim. Rules: H6, G44.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { StampedFile, type StampedWriter } from '../support/io/stamped-writes.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SIZE = '1m';
const WRITES = 40;
const PAUSE_MS = 2;
/** Time for which the test watches a file that must not change any more. */
const WATCHED_MS = 300;
const SOON_MS = 30_000;
const LONG_MS = 180_000;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

const hosts = useHosts();

interface Scene {
  readonly server: Host;
  readonly clients: readonly [Host, Host];
  readonly file: StampedFile;
  readonly path: string;
}

/** Starts a server and the clients big-2 and venus; big-2 has attached volume db. */
async function begin(): Promise<Scene> {
  const server = hosts.host();
  const network = await hosts.network(1);
  const pool = await emptyPool(server);
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } }, rights: { venus: 'admin' } });
  const clients: [Host, Host] = [hosts.host(), hosts.host()];
  for (const [client, node] of ['big-2', 'venus'].entries()) {
    clients[client]!.writeConfig('rsiod', clientConfig(network, { node, client }));
    await clients[client]!.start('rsiod');
    await clients[client]!.pathsUp(1);
  }
  await server.rsadmWell('volume', 'create', 'db', '--size', SIZE, '--clients', 'big-2,venus');
  await attach(clients[0]);
  const data = dataOf(pool);
  return { server, clients, file: new StampedFile(data), path: data };
}

async function attach(host: Host, ...options: readonly string[]): Promise<void> {
  const isAttached = async (): Promise<boolean> => (await host.rsconfig('-a', ...options, 'db')).code === 0;
  await waitFor(isAttached, SOON_MS, 'The volume is attached');
}

/** Path of the data of the only volume in a pool. */
function dataOf(pool: string): string {
  const [id = ''] = readdirSync(path.join(pool, 'volumes'));
  return path.join(pool, 'volumes', id, 'data');
}

async function writes(writer: StampedWriter): Promise<void> {
  const before = writer.count;
  await waitFor(() => writer.count >= before + WRITES, SOON_MS, 'The client writes');
}

async function stays(file: string, when: string): Promise<void> {
  const content = readFileSync(file);
  await pause(WATCHED_MS);
  expect(readFileSync(file).equals(content), when).toBe(true);
}

function signal(host: Host, name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of host.processes()) process.kill(pid, name);
}

/** Waits until the client no longer has the volume, and its I/O has failed. */
async function loses(host: Host, writer: StampedWriter): Promise<void> {
  expect(await writer.ended).not.toEqual([]);
  await waitFor(async () => (await host.call('local', {})).attachments.length === 0, SOON_MS, 'The client has lost the volume');
}

it('under load, nothing of the client runs any more, and it may not attach the volume before it is allowed', {
  timeout: LONG_MS,
}, async () => {
  const { server, clients, file, path: data } = await begin();
  const [big2, venus] = clients;
  const writer = await file.writer(big2, 'osl/db', PAUSE_MS);
  await writes(writer);
  expect(await server.rsadmWell('volume', 'revoke', 'db', 'big-2')).toBe(
    'db@0 was taken away from big-2, which may not attach it any more\n',
  );
  await stays(data, 'The file after the order');
  file.look('After the order', writer);
  await loses(big2, writer);
  await big2.logged('rsiod', /taken away from client big-2/);
  expect((await big2.rsconfig('-a', 'db')).stderr).toMatch(/db/);
  // The volume is free: no take-over is needed.
  await attach(venus);
  const successor = await file.writer(venus, 'osl/db', PAUSE_MS);
  await writes(successor);
  expect(await successor.stop()).toEqual([]);
  await venus.rsconfigWell('-d', 'db');
  expect(await venus.rsconfigWell('volume', 'revoke', 'db', 'big-2')).toMatch(/was not held by big-2/);
  await venus.rsconfigWell('volume', 'allow', 'db', 'big-2');
  await attach(big2);
  expect(file.breaches).toEqual([]);
});

it('a client that stands still with writes on the way loses the volume, and its late writes are refused', {
  timeout: LONG_MS,
}, async () => {
  const { clients, file } = await begin();
  const [big2, venus] = clients;
  const writer = await file.writer(big2, 'osl/db');
  await writes(writer);
  signal(big2, 'SIGSTOP');
  await venus.rsconfigWell('volume', 'revoke', 'db', 'big-2');
  file.look('After the order', writer);
  await attach(venus);
  const successor = await file.writer(venus, 'osl/db', PAUSE_MS);
  await writes(successor);
  signal(big2, 'SIGCONT');
  await loses(big2, writer);
  await writes(successor);
  expect(await successor.stop()).toEqual([]);
  file.look('At the end', successor);
  expect(file.breaches).toEqual([]);
});

it('what only the client still has is not given up: the order is refused until the client has sent it again', {
  timeout: LONG_MS,
}, async () => {
  const { server, clients, file } = await begin();
  const [big2] = clients;
  const writer = await file.writer(big2, 'osl/db');
  await writes(writer);
  signal(big2, 'SIGSTOP');
  await server.kill('rssrv');
  await server.start('rssrv');
  const refused = await server.rsadm('volume', 'revoke', 'db', 'big-2');
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/big-2 has not yet recovered the writes to volume db.*\[E_HELD\]/),
  ]);
  expect(await server.rsadmWell('volume', 'show', 'db')).toMatch(/big-2/);
  signal(big2, 'SIGCONT');
  await writes(writer);
  await waitFor(async () => (await server.rsadm('volume', 'revoke', 'db', 'big-2')).code === 0, SOON_MS, 'The client has sent it again');
  file.look('After the order', writer);
  await loses(big2, writer);
  expect(file.breaches).toEqual([]);
});

it('rssrv is killed during the order: the repeated order succeeds, and nothing is lost or reverted', { timeout: LONG_MS }, async () => {
  const { server, clients, file, path: data } = await begin();
  const [big2] = clients;
  for (const afterMs of [0, 20]) {
    const writer = await file.writer(big2, 'osl/db', PAUSE_MS);
    await writes(writer);
    const ordered = server.rsadm('volume', 'revoke', 'db', 'big-2');
    await pause(afterMs);
    await server.kill('rssrv');
    await ordered;
    await server.start('rssrv');
    await waitFor(async () => (await server.rsadm('volume', 'revoke', 'db', 'big-2')).code === 0, SOON_MS, 'The repeated order succeeds');
    await stays(data, `The file after the order that was interrupted after ${afterMs} ms`);
    file.look(`After ${afterMs} ms`, writer);
    await loses(big2, writer);
    await server.rsadmWell('volume', 'allow', 'db', 'big-2');
    await attach(big2);
  }
  expect(file.breaches).toEqual([]);
});

interface Mirror {
  readonly servers: readonly Host[];
  readonly big2: Host;
  readonly ops: Host;
  readonly files: readonly string[];
}

/** Starts two servers with replicas, a witness, and the clients big-2, which has the mirror, and ops, which has the right manage. */
async function beginMirror(): Promise<Mirror> {
  const network = await hosts.network(1);
  const addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  const clients = { 'big-2': keyOf('big-2'), ops: keyOf('ops') };
  const servers: Host[] = [];
  const pools: string[] = [];
  for (const [index, address] of addresses.entries()) {
    const host = hosts.host();
    const isWitness = index === 2;
    if (!isWitness) pools.push(await emptyPool(host));
    const about = { name: `pi-${index + 1}`, server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) } };
    const storage = { volumes: {}, pools: isWitness ? {} : { fast: { path: pools[index]! } } };
    host.writeConfig(
      'rssrv',
      serverConfig({ port: network.port, serverAddresses: [address] }, { ...about, ...storage, clients, rights: { ops: 'manage' } }),
    );
    await host.start('rssrv');
    servers.push(host);
  }
  const [big2, ops] = [hosts.host(), hosts.host()];
  for (const [client, [host, node]] of (
    [
      [big2, 'big-2'],
      [ops, 'ops'],
    ] as const
  ).entries()) {
    host.writeConfig('rsiod', clientConfig(network, { node, client, serverAddresses: addresses, defaults: QUICK }));
    await host.start('rsiod');
    await host.pathsUp(3, SOON_MS);
  }
  await ops.rsconfigWell('mirror', 'create', 'db', '--size', SIZE, '--servers', 'pi-1,pi-2', '--witness', 'pi-3');
  await ops.rsconfigWell('volume', 'set', 'db', 'clients=ops,big-2');
  await attach(big2);
  return { servers, big2, ops, files: pools.map(dataOf) };
}

it('a mirror is taken away at all servers; a server that hides its replica does not count as done', { timeout: LONG_MS }, async () => {
  const { servers, big2, ops, files } = await beginMirror();
  // The client may go on with the replica that is not taken away.
  const file = new StampedFile(files[1]!);
  const writer = await file.writer(big2, 'osl/db', PAUSE_MS);
  await writes(writer);
  await servers[1]!.rsadmWell('volume', 'set', 'db', 'clients=big-2');
  const hidden = await ops.rsconfig('volume', 'revoke', 'db', 'big-2');
  expect([hidden.code, hidden.stderr]).toEqual([1, expect.stringMatching(/server pi-2: It shows this client no replica.*repeat/)]);
  await stays(files[0]!, 'The replica of the server that has agreed');
  await servers[1]!.rsadmWell('volume', 'set', 'db', 'clients=ops,big-2');
  await ops.rsconfigWell('volume', 'revoke', 'db', 'big-2');
  await stays(files[1]!, 'The replica of the other server');
  file.look('After the order', writer);
  await loses(big2, writer);
  expect((await big2.rsconfig('-a', '--take-over', 'db')).code).not.toBe(0);
  await attach(ops, '--take-over');
  const successor = await file.writer(ops, 'osl/db', PAUSE_MS);
  await writes(successor);
  expect([await successor.stop(), file.breaches]).toEqual([[], []]);
});

it('a server of a mirror has lost writes, and the holder stands still: the voters prove the order, and nothing is lost', {
  timeout: LONG_MS,
}, async () => {
  const { servers, big2, ops, files } = await beginMirror();
  const file = new StampedFile(files[0]!);
  const writer = await file.writer(big2, 'osl/db');
  await writes(writer);
  signal(big2, 'SIGSTOP');
  await servers[1]!.kill('rssrv');
  await servers[1]!.start('rssrv');
  await ops.pathsUp(3, SOON_MS);
  const { isProven, servers: done, left } = await ops.call('mirror-revoke', { namespace: null, name: 'db', universe: 0, client: 'big-2' });
  expect({ isProven, done, left: left.map(({ server }) => server) }).toEqual({ isProven: true, done: ['pi-1'], left: ['pi-2'] });
  file.look('After the order', writer);
  await ops.rsconfigWell('volume', 'revoke', 'db', 'big-2');
  await attach(ops, '--take-over');
  const successor = await file.writer(ops, 'osl/db', PAUSE_MS);
  await writes(successor);
  signal(big2, 'SIGCONT');
  await loses(big2, writer);
  await writes(successor);
  expect(await successor.stop()).toEqual([]);
  await ops.rsconfigWell('-d', 'db');
  file.look('At the end', successor);
  expect(file.breaches).toEqual([]);
  expect(readFileSync(files[1]!).equals(readFileSync(files[0]!))).toBe(true);
});
