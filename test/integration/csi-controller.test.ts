// The controller of the CSI driver with real daemons: the whole life of a volume at a real server, Unpublish for a stopped client, whose
// late write is refused, and fifty creates during which the driver is killed. packages/csi/src/controller has the tests of all calls.
// Rules: G45.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, startServer } from '../support/hosts/configs.ts';
import { emptyPool, makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { StampedFile } from '../support/io/stamped-writes.ts';
import { runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CsiDriver } from '../support/scenes/csi-driver.ts';

const MIB = 1 << 20;
const SOON_MS = 30_000;
const LONG_MS = 180_000;
const NODES = ['node-1', 'node-2'];
const BLOCK = { accessType: 'block', block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
const VOLUMES = 50;
/** The Python of the system, which has the packages of Debian. */
const PYTHON = '/usr/bin/python3';

const hosts = useHosts();

interface Scene {
  readonly server: Host;
  readonly driver: CsiDriver;
  readonly nodes: readonly [Host, Host];
}

/** Starts a server with this pool, the client of the controller, which has no devices, and two nodes that may only use volumes. */
async function begin(server: Host, pool: string): Promise<Scene> {
  const network = await hosts.network(1);
  const names = ['kubernetes', ...NODES];
  const clients = Object.fromEntries(names.map((name) => [name, keyOf(name)]));
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } }, clients, rights: { kubernetes: 'admin' } });
  const started: Host[] = [];
  for (const [client, node] of names.entries()) {
    const host = hosts.host();
    host.writeConfig('rsiod', clientConfig(network, { node, client, defaults: { device: client === 0 ? 'none' : 'nbd-socket' } }));
    await host.start('rsiod');
    await host.pathsUp(1);
    started.push(host);
  }
  const [controller, one, two] = started;
  return { server, driver: await CsiDriver.start(controller!, 'controller'), nodes: [one!, two!] };
}

function creation(name: string, changes: object = {}): object {
  return { name, volumeCapabilities: [BLOCK], capacityRange: { requiredBytes: 16 * MIB }, ...changes };
}

async function create({ driver }: Scene, name: string, changes: object = {}): Promise<string> {
  const { volume } = (await driver.client.call('Controller', 'CreateVolume', creation(name, changes))) as { volume: { volumeId: string } };
  return volume.volumeId;
}

/** Attaches the only volume that is offered to the node. */
async function attach(node: Host, name: string): Promise<void> {
  await waitFor(async () => (await node.rsconfig('-a', name)).code === 0, SOON_MS, `Volume ${name} is attached`);
}

it('a volume is created, published to one node, grown, snapshotted, cloned and removed', { timeout: LONG_MS }, async (context) => {
  const server = hosts.host();
  const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
  await makeFolder(pool);
  const scene = await begin(server, pool);
  const { client } = scene.driver;
  const [node1, node2] = scene.nodes;
  const volumeId = await create(scene, 'pvc-1', { mutableParameters: { iops: '5000' } });
  expect(await create(scene, 'pvc-1', { mutableParameters: { iops: '5000' } })).toBe(volumeId);
  expect((await node1.rsconfig('-a', 'pvc-1')).code).toBe(1);
  await client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: BLOCK });
  await attach(node1, 'pvc-1');
  expect((await node2.rsconfig('-a', 'pvc-1')).code).toBe(1);
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('FAILED_PRECONDITION');
  const expanded = await client.call('Controller', 'ControllerExpandVolume', { volumeId, capacityRange: { requiredBytes: 32 * MIB } });
  expect(expanded).toMatchObject({ capacityBytes: 32 * MIB });
  await client.call('Controller', 'ControllerModifyVolume', { volumeId, mutableParameters: { iops: '9000' } });
  const snapshotIds: string[] = [];
  for (const name of ['a', 'b']) {
    const { snapshot } = await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name });
    snapshotIds.push(snapshot.snapshotId as string);
    const file = new StampedFile(dataOf(pool));
    const writer = await file.writer(node1, 'osl/pvc-1');
    await waitFor(() => writer.count > 20, SOON_MS, 'The node writes');
    expect(await writer.stop()).toEqual([]);
  }
  const [baseSnapshotId, targetSnapshotId] = snapshotIds;
  const delta = await client.stream('SnapshotMetadata', 'GetMetadataDelta', { baseSnapshotId, targetSnapshotId });
  expect((delta as { blockMetadata: object[] }[]).flatMap(({ blockMetadata }) => blockMetadata).length).toBeGreaterThan(0);
  const volumeContentSource = { snapshot: { snapshotId: targetSnapshotId } };
  const clone = await create(scene, 'pvc-2', { volumeContentSource, capacityRange: { requiredBytes: 64 * MIB } });
  const copy = await create(scene, 'pvc-3', { volumeContentSource: { volume: { volumeId } }, capacityRange: null });
  const { entries } = await client.call('Controller', 'ListVolumes');
  expect((entries as { volume: { volumeId: string } }[]).map(({ volume }) => volume.volumeId)).toEqual([clone, copy, volumeId].toSorted());
  const group = { name: 'g', sourceVolumeIds: [volumeId, clone] };
  const { groupSnapshot } = await client.call('GroupController', 'CreateVolumeGroupSnapshot', group);
  expect(groupSnapshot.snapshots).toHaveLength(2);
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  await waitFor(async () => (await node1.call('local', {})).attachments.length === 0, SOON_MS, 'The node has lost the volume');
  const all = [...snapshotIds, ...(groupSnapshot.snapshots as { snapshotId: string }[]).map(({ snapshotId }) => snapshotId)];
  for (const snapshotId of all) await client.call('Controller', 'DeleteSnapshot', { snapshotId });
  for (const one of [volumeId, clone, copy, volumeId]) await client.call('Controller', 'DeleteVolume', { volumeId: one });
  expect((await client.call('Controller', 'ListVolumes')).entries).toEqual([]);
});

it('a node that stands still loses the volume, the next node gets it, and the late writes are refused', { timeout: LONG_MS }, async () => {
  const server = hosts.host();
  const pool = await emptyPool(server);
  const scene = await begin(server, pool);
  const { client } = scene.driver;
  const [node1, node2] = scene.nodes;
  const volumeId = await create(scene, 'db');
  const publish = (nodeId: string): Promise<unknown> =>
    client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId, volumeCapability: BLOCK });
  await publish('node-1');
  await attach(node1, 'db');
  const file = new StampedFile(dataOf(pool));
  const writer = await file.writer(node1, 'osl/db');
  await waitFor(() => writer.count > 40, SOON_MS, 'The first node writes');
  for (const pid of node1.processes()) process.kill(pid, 'SIGSTOP');
  expect(await client.refusal('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-2', volumeCapability: BLOCK })).toBe(
    'FAILED_PRECONDITION',
  );
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  file.look('After Unpublish', writer);
  await publish('node-2');
  await attach(node2, 'db');
  const successor = await file.writer(node2, 'osl/db');
  await waitFor(() => successor.count > 40, SOON_MS, 'The second node writes');
  for (const pid of node1.processes()) process.kill(pid, 'SIGCONT');
  expect(await writer.ended).not.toEqual([]);
  const before = successor.count;
  await waitFor(() => successor.count > before + 40, SOON_MS, 'The second node goes on');
  expect(await successor.stop()).toEqual([]);
  file.look('At the end', successor);
  expect(file.breaches).toEqual([]);
});

it('fifty creates at once, and a driver that is killed among them, make fifty volumes', { timeout: LONG_MS }, async () => {
  const server = hosts.host();
  const scene = await begin(server, await emptyPool(server));
  const names = Array.from({ length: VOLUMES }, (_, index) => `pvc-${index}`);
  const first = names.map((name) => create(scene, name).catch(() => null));
  await waitFor(async () => (await listed(server)).length > 5, SOON_MS, 'Some volumes are there');
  await scene.driver.end('SIGKILL');
  await Promise.all(first);
  await scene.driver.again();
  const ids = await Promise.all(names.map((name) => create(scene, name)));
  expect(new Set(ids).size).toBe(VOLUMES);
  expect((await listed(server)).toSorted()).toEqual(names.toSorted());
});

it('a foreign client, made by the tools of gRPC for Python, lives one life of a volume', { timeout: LONG_MS }, async (context) => {
  const hasTools = spawnSync(PYTHON, ['-c', 'import grpc, grpc_tools'], { stdio: 'ignore' }).status === 0;
  context.skip(!hasTools, 'needs grpc_tools for Python: install python3-grpc-tools');
  const server = hosts.host();
  const { driver } = await begin(server, await emptyPool(server));
  const code = path.join(server.root, 'code');
  mkdirSync(code);
  const [script, protos] = ['../support/peers/csi-life.py', '../../packages/csi/proto'].map((file) =>
    fileURLToPath(new URL(file, import.meta.url)),
  );
  const said = await runWell(PYTHON, [script!, protos!, code, driver.socket, 'node-1'], {});
  expect(said.trim().split('\n')).toEqual([
    ...['Probe ok', 'GetPluginInfo ok', 'CreateVolume ok', 'ControllerPublishVolume ok', 'ListVolumes ok'],
    ...['DeleteVolume FAILED_PRECONDITION', 'ControllerExpandVolume ok', 'ControllerUnpublishVolume ok', 'DeleteVolume ok'],
    'CreateVolume INVALID_ARGUMENT',
  ]);
});

async function listed(server: Host): Promise<string[]> {
  const { volumes } = JSON.parse(await server.rsadmWell('volume', 'list', '--json')) as { volumes: { name: string }[] };
  return volumes.map(({ name }) => name);
}

async function makeFolder(folder: string): Promise<void> {
  mkdirSync(folder);
  await makeEmptyPool(folder);
}

/** Path of the data of the volume that was created first in a pool. */
function dataOf(pool: string): string {
  const folder = path.join(pool, 'volumes');
  const created = (id: string): number =>
    (JSON.parse(readFileSync(path.join(folder, id, 'volume.json'), 'utf8')) as { content: { createdMs: number } }).content.createdMs;
  const [first = ''] = readdirSync(folder).toSorted((one, other) => created(one) - created(other));
  return path.join(folder, first, 'data');
}
