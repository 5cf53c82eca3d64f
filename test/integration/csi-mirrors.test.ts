// Mirrors and their snapshots through the CSI driver, with real daemons on XFS: two servers, a witness, the rsiod of the controller without
// devices, and a node. The driver attaches a mirror only for the moment of a snapshot. After rsiod was killed in the middle of one, a call
// of the driver gives the mirror back, and the node attaches it without force. Skipped without root or xfsprogs. Rules: G45, M22.

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
}

async function begin(context: TestContext): Promise<Scene> {
  const network = await hosts.network(1);
  const addresses = [10, 11, 12].map((last) => network.subnets[0]!.address(last));
  const servers = addresses.map(() => hosts.host());
  const parent = path.join(reflinkDisk(hosts, servers[0]!, context), 'pools');
  mkdirSync(parent);
  const clients = { kubernetes: keyOf('kubernetes'), 'node-1': keyOf('node-1') };
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
  const [controller, node] = started;
  return { servers, controller: controller!, driver: await CsiDriver.start(controller!, 'controller'), node: node! };
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
