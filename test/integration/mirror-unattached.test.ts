// Snapshots of a mirror that no client has attached, with real daemons on XFS: two servers, a witness and two clients. The command attaches
// the mirror for the moment and gives it back. After rsiod was killed in the middle of it, an attach and a detach there give it back. Skipped without root or xfsprogs.
// Rules: G33, G50, M22.

import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { isProgramThere } from '@rsio/base/testing/needs';
import { beforeEach, expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 8 * MIB;
const TEST_MS = 300_000;
const SOON_MS = 30_000;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

const hosts = useHosts('file');
let servers: Host[];
let big2: Host;
let venus: Host;
let network: TestNetwork;
let addresses: string[];
let begun: Promise<void> | undefined;
let content = 0;

beforeEach(async (context) => {
  begun ??= begin(context);
  await begun;
  for (const host of servers) if (host.processes().length === 0) await host.start('rssrv');
  for (const host of [big2, venus]) await host.pathsUp(3, SOON_MS);
});

/** Starts all daemons, and makes a mirror whose first MiB has the value `content`. */
async function begin(context: TestContext): Promise<void> {
  network = await hosts.network(1);
  addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  servers = addresses.map(() => hosts.host());
  const parent = path.join(reflinkDisk(hosts, servers[0]!, context), 'pools');
  mkdirSync(parent);
  for (const [index, host] of servers.entries()) {
    const isWitness = index === 2;
    const pool = mkdtempSync(path.join(parent, 'rsio-free-'));
    await makeEmptyPool(pool);
    const text = serverConfig(
      { port: network.port, serverAddresses: [addresses[index]!] },
      {
        name: `pi-${index + 1}`,
        server: { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) },
        volumes: {},
        pools: isWitness ? {} : { fast: { path: pool } },
        clients: { 'big-2': keyOf('big-2'), venus: keyOf('venus') },
        // Without the right `manage`, venus makes no snapshots. With it, venus could also take a mirror over.
        rights: { 'big-2': 'manage', venus: 'manage' },
      },
    );
    host.writeConfig('rssrv', text);
    await host.start('rssrv');
  }
  big2 = await startClient('big-2', 0);
  venus = await startClient('venus', 1);
  const about = { namespace: null, name: 'db', universe: 0, sizeBytes: SIZE_BYTES, blockSizeBytes: 512 };
  await big2.call('mirror-create', { ...about, servers: ['pi-1', 'pi-2'], witness: 'pi-3', pool: null, request: null });
  await waitFor(async () => (await venus.rsconfig('-a', 'db')).code === 0, SOON_MS, 'venus knows the mirror');
  await written();
}

async function startClient(node: string, position: number): Promise<Host> {
  const host = hosts.host();
  configure(host, node, position);
  await host.start('rsiod');
  await host.pathsUp(3);
  return host;
}

function configure(host: Host, node: string, position: number, more: Readonly<Record<string, string>> = {}): void {
  const defaults = { ...QUICK, ...more };
  host.writeConfig('rsiod', clientConfig(network, { node, client: position, serverAddresses: addresses, defaults }));
}

/** Venus, which has the mirror attached, writes other content and detaches it. */
async function written(): Promise<void> {
  content += 1;
  const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
  await io.write(0, Buffer.alloc(MIB, content));
  await io.flush();
  io.close();
  await venus.rsconfigWell('-d', 'db');
}

/** Venus attaches the mirror without force, and finds the content. */
async function attachedByVenus(): Promise<void> {
  await venus.rsconfigWell('-a', 'db');
  const io = await NbdIo.open(venus.rsiodPaths.nbdSocket, 'osl/db');
  expect((await io.read(0, MIB)).equals(Buffer.alloc(MIB, content))).toBe(true);
  io.close();
}

/** Whether the server has a proven snapshot with the content. */
async function hasProven(server: Host, snapshot: string): Promise<boolean> {
  const { volume, snapshots } = await callServer(server.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  if (!snapshots.some((one) => one.snapshot === snapshot && one.moment?.isProven === true)) return false;
  const data = readFileSync(path.join(path.dirname(volume.path!), 'snapshots', `${snapshot}.data`));
  expect(data.length).toBe(SIZE_BYTES);
  expect(data.subarray(0, MIB).equals(Buffer.alloc(MIB, content))).toBe(true);
  return true;
}

async function holder(): Promise<string | null> {
  return (await venus.call('mirrors', { namespace: null })).mirrors[0]!.holder;
}

async function inSync(): Promise<string[]> {
  const { mirrors } = await venus.call('mirrors', { namespace: null });
  return mirrors[0]!.replicas.filter((one) => one.inSync).map(({ server }) => server);
}

it('a mirror that no client has gets its snapshot, and another client attaches it right after without force', {
  timeout: TEST_MS,
}, async () => {
  const made = await big2.rsconfig('volume', 'snapshot', 'db@one');
  expect(made).toMatchObject({ code: 0, stdout: 'osl:db@0@one made, 8.0M\n' });
  expect(made.stderr).toContain('osl:db@0@one is on pi-1 and pi-2');
  expect(await holder()).toBeNull();
  await attachedByVenus();
  for (const server of servers.slice(0, 2)) expect(await hasProven(server, 'one')).toBe(true);
  expect((await big2.call('local', { orders: true })).attachments).toEqual([]);
  // The holder is named, and is not disturbed.
  const refused = await big2.rsconfig('volume', 'snapshot', 'db@two');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/Client venus has mirror db.*\[E_HELD\]/);
  await written();
  // A refusal by the servers gives the mirror back, too.
  expect((await big2.rsconfig('volume', 'snapshot', 'db@one')).stderr).toContain('Snapshot osl:db@0@one exists');
  expect(await holder()).toBeNull();
  // A client of the mirror that is away keeps it.
  await venus.rsconfigWell('-a', 'db');
  await venus.kill('rsiod');
  expect((await big2.rsconfig('volume', 'snapshot', 'db@two')).stderr).toContain('Client venus has mirror db');
  await venus.start('rsiod');
  await venus.pathsUp(3, SOON_MS);
  await waitFor(async () => (await venus.rsconfig('-d', 'db')).code === 0, SOON_MS, 'venus detaches it');
});

it('a mirror that no client has is backed up by a scheduled run, and stays free', { timeout: TEST_MS }, async (context) => {
  if (!isProgramThere('qemu-img')) context.skip(true, 'needs qemu-img (install qemu-utils)');
  const folder = path.join(big2.file('backups'), 'db');
  mkdirSync(folder, { recursive: true });
  const run = ['backup-run', 'db', folder, '--full-every', '7d', '--keep', '1'];
  expect(await big2.rsconfigWell(...run, '--begin')).toContain('a full backup');
  expect(await big2.rsconfigWell(...run)).toContain('changed since');
  expect(await holder()).toBeNull();
});

it('rsiod is killed in the middle of it: this client gives the mirror back, and another one attaches it without force', {
  timeout: TEST_MS,
}, async () => {
  for (const [number, delayMs] of [0, 150, 300, 600].entries()) {
    const snapshot = `killed-${number}`;
    const asked = big2.rsconfig('volume', 'snapshot', `db@${snapshot}`);
    await waitFor(async () => (await holder()) === 'big-2', SOON_MS, 'big-2 has claimed the mirror');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await big2.kill('rsiod');
    await asked;
    await big2.start('rsiod');
    await big2.pathsUp(3, SOON_MS);
    await big2.rsconfigWell('-a', 'db', '--wait=30s');
    await big2.rsconfigWell('-d', 'db', '--wait=30s');
    expect(await holder()).toBeNull();
    await attachedByVenus();
    await waitFor(async () => (await inSync()).length === 2, SOON_MS, 'both replicas are in sync');
    await venus.rsconfigWell('-d', 'db');
    // The interrupted snapshot is absent, unproven, or proven with the right content. Its name can be used again.
    if (!(await hasProven(servers[0]!, snapshot))) await big2.rsconfigWell('volume', 'snapshot', `db@${snapshot}`);
    expect(await hasProven(servers[0]!, snapshot)).toBe(true);
  }
});
