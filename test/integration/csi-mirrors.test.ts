// Mirrors and their snapshots through the CSI driver, with real daemons on XFS: two servers, a witness, the rsiod of the controller without
// devices, and two nodes. The driver attaches a mirror only for the moment of a snapshot. After rsiod was killed in the middle of one, a call
// of the driver gives the mirror back, and the node attaches it without force. A lost node loses the mirror to the next one, which needs no
// take-over. Skipped without root or xfsprogs. Rules: G45, M22, H6.

import { mkdirSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CsiDriver } from '../support/scenes/csi-driver.ts';

const MIB = 1 << 20;
const TEST_MS = 300_000;
const SOON_MS = 60_000;
const BLOCK = { accessType: 'block', block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };
const WANTED = {
  name: 'db',
  volumeCapabilities: [BLOCK],
  capacityRange: { requiredBytes: 8 * MIB },
  parameters: { servers: 'pi-1,pi-2', witness: 'pi-3' },
};

const hosts = useHosts('file');

interface Scene {
  readonly servers: readonly Host[];
  readonly controller: Host;
  readonly driver: CsiDriver;
  readonly node: Host;
  /** The second node. */
  readonly next: Host;
}

async function begin(context: TestContext): Promise<Scene> {
  const network = await hosts.network(1);
  const addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  const servers = addresses.map(() => hosts.host());
  const parent = path.join(reflinkDisk(hosts, servers[0]!, context), 'pools');
  mkdirSync(parent);
  const clients = Object.fromEntries(['kubernetes', 'node-1', 'node-2'].map((name) => [name, keyOf(name)]));
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
        clients,
        rights: { kubernetes: 'admin' },
      },
    );
    host.writeConfig('rssrv', text);
    await host.start('rssrv');
  }
  const started: Host[] = [];
  for (const [client, node] of Object.keys(clients).entries()) {
    const host = hosts.host();
    const defaults = { ...QUICK, device: client === 0 ? 'none' : 'nbd-socket' };
    host.writeConfig('rsiod', clientConfig(network, { node, client, serverAddresses: addresses, defaults }));
    await host.start('rsiod');
    await host.pathsUp(3);
    started.push(host);
  }
  const [controller, node, next] = started;
  return { servers, controller: controller!, driver: await CsiDriver.start(controller!, 'controller'), node: node!, next: next! };
}

/** For each server with a replica, the names of the snapshots that the mirror has confirmed. */
async function proven({ servers }: Scene): Promise<string[][]> {
  const ask = async (host: Host): Promise<string[]> => {
    const { snapshots } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
    return snapshots.filter(({ moment }) => moment?.isProven === true).map(({ snapshot }) => snapshot);
  };
  return await Promise.all(servers.slice(0, 2).map(ask));
}

async function holderOf({ controller }: Scene): Promise<string | null> {
  return (await controller.call('mirrors', { namespace: null })).mirrors[0]!.holder;
}

async function listed({ driver }: Scene): Promise<string[]> {
  const { entries } = await driver.client.call('Controller', 'ListSnapshots');
  return (entries as { snapshot: { snapshotId: string } }[]).map(({ snapshot }) => snapshot.snapshotId);
}

it('a mirror gets its snapshots while no node has it, and each node finds it free', { timeout: TEST_MS }, async (context) => {
  const scene = await begin(context);
  const { driver, node, controller, servers } = scene;
  const { client } = driver;
  const { volume } = await client.call('Controller', 'CreateVolume', WANTED);
  const volumeId = volume.volumeId as string;
  const snapshot = async (name: string): Promise<string> =>
    (await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name })).snapshot.snapshotId as string;
  const publish = (): Promise<unknown> =>
    client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: BLOCK });
  const attach = (): Promise<unknown> =>
    waitFor(async () => (await node.rsconfig('-a', 'db')).code === 0, SOON_MS, 'The node attaches the mirror');

  const monday = await snapshot('monday');
  expect(await snapshot('monday')).toBe(monday);
  expect([await proven(scene), await holderOf(scene), await listed(scene)]).toEqual([[['monday'], ['monday']], null, [monday]]);
  expect((await controller.call('local', { orders: true })).attachments).toEqual([]);

  await publish();
  await attach();
  const io = await NbdIo.open(node.rsiodPaths.nbdSocket, 'osl/db');
  await io.write(0, Buffer.alloc(MIB, 7));
  await expect(snapshot('tuesday')).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: expect.stringContaining('rsconfig volume snapshot db@tuesday there makes it'),
  });
  await io.flush();
  io.close();
  await node.rsconfigWell('-d', 'db');
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });

  // rsiod is killed while it has the mirror. The next call gives the mirror back.
  const interrupted = snapshot('tuesday').catch(() => null);
  await waitFor(async () => (await holderOf(scene)) === 'kubernetes', SOON_MS, 'The controller holds the mirror');
  await controller.kill('rsiod');
  await interrupted;
  await controller.start('rsiod');
  await controller.pathsUp(3, SOON_MS);
  await waitFor(
    () =>
      publish().then(
        () => true,
        () => false,
      ),
    SOON_MS,
    'The mirror is given back and published',
  );
  expect(await holderOf(scene)).toBeNull();
  await attach();
  await node.rsconfigWell('-d', 'db');
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  const tuesday = await snapshot('tuesday');
  expect(await proven(scene)).toEqual([
    ['monday', 'tuesday'],
    ['monday', 'tuesday'],
  ]);

  const clone = { ...WANTED, name: 'clone', parameters: { server: 'pi-2' }, volumeContentSource: { snapshot: { snapshotId: tuesday } } };
  const { volume: cloned } = await client.call('Controller', 'CreateVolume', clone);
  expect((await client.call('Controller', 'CreateVolume', clone)).volume).toEqual(cloned);
  const ids = { baseSnapshotId: monday, targetSnapshotId: tuesday };
  const delta = (await client.stream('SnapshotMetadata', 'GetMetadataDelta', ids)) as { blockMetadata: object[] }[];
  expect(delta.flatMap(({ blockMetadata }) => blockMetadata).length).toBeGreaterThan(0);
  await client.call('Controller', 'DeleteVolume', { volumeId: cloned.volumeId });

  await servers[1]!.kill('rssrv');
  await waitFor(
    async () => (await client.refusal('Controller', 'DeleteSnapshot', { snapshotId: monday })) === 'UNAVAILABLE',
    SOON_MS,
    'The removal is refused',
  );
  await servers[1]!.start('rssrv');
  await controller.pathsUp(3, SOON_MS);
  expect((await proven(scene))[0]).toEqual(['monday', 'tuesday']);
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('FAILED_PRECONDITION');
  for (const snapshotId of [monday, tuesday, monday]) await client.call('Controller', 'DeleteSnapshot', { snapshotId });
  expect([await proven(scene), await listed(scene)]).toEqual([[[], []], []]);
  await client.call('Controller', 'DeleteVolume', { volumeId });
});

interface Published {
  readonly volumeId: string;
  readonly publish: (nodeId: string) => Promise<unknown>;
  readonly unpublish: () => Promise<unknown>;
  /** A connection of node-1, which has written DATA, acknowledged and not flushed. */
  readonly io: NbdIo;
}

const DATA = Buffer.alloc(MIB, 7);

/** Makes the mirror. The first node attaches it and writes. */
async function published({ driver: { client }, node }: Scene): Promise<Published> {
  const { volume } = await client.call('Controller', 'CreateVolume', WANTED);
  const volumeId = volume.volumeId as string;
  const publish = (nodeId: string): Promise<unknown> =>
    client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId, volumeCapability: BLOCK });
  await publish('node-1');
  const io = await attached(node);
  await io.write(0, DATA);
  const unpublish = (): Promise<unknown> => client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  return { volumeId, publish, unpublish, io };
}

/** Attaches the mirror as the node part of the driver does, without take-over. */
async function attached(node: Host): Promise<NbdIo> {
  await waitFor(async () => (await node.rsconfig('-a', 'db')).code === 0, SOON_MS, 'The node attaches the mirror');
  return NbdIo.open(node.rsiodPaths.nbdSocket, 'osl/db');
}

/** Kubernetes repeats the publication, until the server that was away names the next node instead of the first one. */
async function publishedAgain(publish: Published['publish']): Promise<void> {
  const isPublished = (): Promise<boolean> =>
    publish('node-2').then(
      () => true,
      () => false,
    );
  await waitFor(isPublished, SOON_MS, 'The next node has claimed the replica, and is published');
}

function signal(host: Host, name: NodeJS.Signals): void {
  for (const pid of host.processes()) process.kill(pid, name);
}

it('a node that stands still loses its mirror to the next node, which takes nothing over, and its late write is refused', {
  timeout: TEST_MS,
}, async (context) => {
  const scene = await begin(context);
  const { node, next, controller } = scene;
  const { publish, unpublish, io } = await published(scene);
  signal(node, 'SIGSTOP');
  const late = io.write(0, Buffer.alloc(MIB, 9)).then(
    () => 'acknowledged',
    () => 'refused',
  );
  // Kubernetes has not given the node up: no node gets the mirror, and the first one stays its holder.
  await expect(publish('node-2')).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
  expect(await holderOf(scene)).toBe('node-1');
  for (let times = 0; times < 2; times++) await unpublish();
  await publish('node-2');
  const after = await attached(next);
  expect((await after.read(0, MIB)).equals(DATA)).toBe(true);
  await after.write(MIB, DATA);
  await after.flush();
  // A repeated call takes nothing from the next node.
  await unpublish();
  expect(await holderOf(scene)).toBe('node-2');
  signal(node, 'SIGCONT');
  expect(await late).toBe('refused');
  await waitFor(async () => (await node.call('local', {})).attachments.length === 0, SOON_MS, 'The first node has lost the mirror');
  expect((await node.rsconfig('-a', 'db')).code).not.toBe(0);
  expect((await node.rsconfig('-a', '--take-over', 'db')).code).not.toBe(0);
  await after.write(2 * MIB, DATA);
  expect((await after.read(0, 3 * MIB)).equals(Buffer.concat([DATA, DATA, DATA]))).toBe(true);
  after.close();
  // A person takes the mirror from a node for which Kubernetes makes no call any more.
  await controller.rsconfigWell('-a', '--take-over', 'db');
  await waitFor(async () => (await controller.rsconfig('-d', 'db')).code === 0, SOON_MS, 'The mirror is free');
  expect(await holderOf(scene)).toBeNull();
});

it('a node is lost together with a replica: the voters prove it, or nothing moves; the node comes back and gets nothing', {
  timeout: TEST_MS,
}, async (context) => {
  const scene = await begin(context);
  const { node, next, servers, controller } = scene;
  const { publish, unpublish, io } = await published(scene);
  const [, second, witness] = servers;
  signal(node, 'SIGKILL');
  io.close();
  for (const server of [second, witness]) await server!.kill('rssrv');
  await expect(unpublish()).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
  await witness!.start('rssrv');
  await controller.pathsUp(2, SOON_MS);
  await next.pathsUp(2, SOON_MS);
  // The first server has executed the order, and the voters still name the node.
  await expect(publish('node-2')).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
  expect((await next.rsconfig('-a', 'db')).code).not.toBe(0);
  for (let times = 0; times < 2; times++) await unpublish();
  await publish('node-2');
  const after = await attached(next);
  expect((await after.read(0, MIB)).equals(DATA)).toBe(true);
  await after.write(MIB, DATA);
  await after.flush();
  // The second server still lets the first node attach its replica.
  await second!.start('rssrv');
  await node.start('rsiod');
  await node.pathsUp(3, SOON_MS);
  expect((await node.rsconfig('-a', 'db')).code).not.toBe(0);
  expect((await node.call('local', {})).attachments).toEqual([]);
  await controller.pathsUp(3, SOON_MS);
  await publishedAgain(publish);
  const { volume } = await callServer(second!.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  expect([volume.clients, await holderOf(scene)]).toEqual([['kubernetes', 'node-2'], 'node-2']);
  const inSync = async (): Promise<boolean> => {
    const { mirrors } = await controller.call('mirrors', { namespace: null });
    return mirrors[0]!.replicas.every((one) => one.inSync);
  };
  await waitFor(inSync, SOON_MS, 'Both replicas are in sync');
  expect((await after.read(0, 2 * MIB)).equals(Buffer.concat([DATA, DATA]))).toBe(true);
  after.close();
  await next.rsconfigWell('-d', 'db');
});

// Regression: the lost node and the server that was away at its end came back, and the node attached the mirror again without an order.
it('a node that comes back together with a server that was away does not attach the mirror again, and the next node gets it', {
  timeout: TEST_MS,
}, async (context) => {
  const scene = await begin(context);
  const { node, next, servers, controller } = scene;
  const { publish, unpublish, io } = await published(scene);
  const [, second] = servers;
  signal(node, 'SIGKILL');
  io.close();
  await second!.kill('rssrv');
  await unpublish();
  await publish('node-2');
  await second!.start('rssrv');
  await node.start('rsiod');
  await node.pathsUp(3, SOON_MS);
  const said = /Client kubernetes has claimed mirror db at [^ ]+ and [^ ]+ after this client, and may attach it/;
  await waitFor(() => said.test(node.log('rsiod')), SOON_MS, 'The log of the node says why it waits');
  expect([(await node.call('local', {})).attachments, await holderOf(scene)]).toEqual([[], 'kubernetes']);
  const after = await attached(next);
  expect((await after.read(0, MIB)).equals(DATA)).toBe(true);
  after.close();

  // A node from which nothing was taken attaches its mirror again after a restart of rsiod.
  await controller.pathsUp(3, SOON_MS);
  await publishedAgain(publish);
  signal(next, 'SIGKILL');
  await next.start('rsiod');
  await waitFor(async () => (await next.call('local', {})).attachments.length === 1, SOON_MS, 'The node has its mirror again');
  expect(await holderOf(scene)).toBe('node-2');
  await next.rsconfigWell('-d', 'db');
});
