// Tests mirrors as volumes of an orchestrator: how they are made, published and removed, and the refusal of orders that only the
// holder can execute.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { BLOCK_SHARED, controllerScene, newVolume, WRITER } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';
import type { CsiClient } from '../testing/csi-client.ts';

const PARAMETERS = { servers: 'pi-1, pi-2', witness: 'pi-3', fsType: 'xfs' };

async function started(): Promise<{ rsiod: FakeRsiod; client: CsiClient; volumeId: string }> {
  const rsiod = new FakeRsiod(['pi-1', 'pi-2', 'pi-3']);
  const { client } = await controllerScene(rsiod);
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('db', { parameters: PARAMETERS }));
  return { rsiod, client, volumeId: volume.volumeId as string };
}

function clientsOf(rsiod: FakeRsiod): (readonly string[] | null | undefined)[] {
  return ['pi-1', 'pi-2'].map((name) => rsiod.servers.get(name)?.named('db')?.view.clients);
}

test('a mirror is one volume, private to the driver on every server', async () => {
  const { rsiod, client, volumeId } = await started();
  expect(volumeId).toMatch(/^mirror\./);
  expect(clientsOf(rsiod)).toEqual([[CONTROLLER], [CONTROLLER]]);
  const again = await client.call('Controller', 'CreateVolume', newVolume('db', { parameters: PARAMETERS }));
  expect(again.volume).toMatchObject({ volumeId, capacityBytes: GIB, volumeContext: { fsType: 'xfs' } });
  const { entries } = await client.call('Controller', 'ListVolumes');
  expect(entries.map((one: { volume: { volumeId: string } }) => one.volume.volumeId)).toEqual([volumeId]);
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('db', { parameters: { ...PARAMETERS, servers: 'pi-2,pi-3' } }))).toBe(
    'ALREADY_EXISTS',
  );
});

test('what a mirror cannot be is refused', async () => {
  const { client } = await started();
  const refused = (changes: object): Promise<string> =>
    client.refusal('Controller', 'CreateVolume', newVolume('x', { parameters: PARAMETERS, ...changes }));
  expect(await refused({ volumeCapabilities: [BLOCK_SHARED] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ parameters: { servers: 'pi-1' } })).toBe('INVALID_ARGUMENT');
  expect(await refused({ parameters: { servers: 'pi-1,pi-9' } })).toBe('INVALID_ARGUMENT');
  expect(await refused({ parameters: { servers: 'pi-1,pi-2', thick: 'yes' } })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeContentSource: { volume: { volumeId: 'volume.x' } } })).toBe('INVALID_ARGUMENT');
});

test('a mirror is published and taken away on every server with a replica', async () => {
  const { rsiod, client, volumeId } = await started();
  await client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: WRITER });
  expect(clientsOf(rsiod)).toEqual([
    [CONTROLLER, 'node-1'],
    [CONTROLLER, 'node-1'],
  ]);
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('FAILED_PRECONDITION');
  rsiod.servers.get('pi-2')!.proof = () => {
    throw new RsError('E_HELD', 'Client node-1 has writes that the storage may have lost');
  };
  expect(await client.refusal('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' })).toBe('FAILED_PRECONDITION');
  expect(await client.refusal('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-2', volumeCapability: WRITER })).toBe(
    'FAILED_PRECONDITION',
  );
  rsiod.servers.get('pi-2')!.proof = () => undefined;
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  expect(clientsOf(rsiod)).toEqual([[CONTROLLER], [CONTROLLER]]);
  await client.call('Controller', 'DeleteVolume', { volumeId });
  await client.call('Controller', 'DeleteVolume', { volumeId });
  expect(rsiod.mirrors.all).toEqual([]);
});

test('a server that is away does not stop a publication, and gets it when it is back; the voters can prove what it cannot', async () => {
  const { rsiod, client, volumeId } = await started();
  const away = rsiod.servers.get('pi-2')!;
  away.isConnected = false;
  const publish = (): Promise<unknown> =>
    client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: WRITER });
  const published = async (): Promise<unknown> => (await client.call('Controller', 'ListVolumes')).entries[0].status.publishedNodeIds;
  await publish();
  away.isConnected = true;
  expect(await published()).toEqual([]);
  await publish();
  expect(await published()).toEqual(['node-1']);
  away.isConnected = false;
  expect(await client.refusal('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' })).toBe('FAILED_PRECONDITION');
  rsiod.mirrors.isVoted = true;
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
});

// Regression: the driver took its own ids of mirrors for wrong, so that publications failed and removals did nothing.
test('the id of a mirror has the form that rsiod gives it', async () => {
  const { client, volumeId } = await started();
  expect(volumeId).toMatch(/^mirror\.[0-9a-f]{32}$/);
  expect((await client.call('Controller', 'ControllerGetVolume', { volumeId })).volume.volumeId).toBe(volumeId);
});

test('a mirror that rsiod does not list yet is not missing', async () => {
  const { rsiod, client, volumeId } = await started();
  const publish = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
  const create = newVolume('db', { parameters: PARAMETERS });
  rsiod.lag = 'until asked';
  expect((await client.call('Controller', 'CreateVolume', create)).volume.volumeId).toBe(volumeId);
  rsiod.lag = 'until asked';
  await client.call('Controller', 'ControllerPublishVolume', publish);
  rsiod.lag = 'for long';
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('UNAVAILABLE');
  expect(await client.refusal('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' })).toBe('UNAVAILABLE');
  expect(clientsOf(rsiod)[0]).toEqual([CONTROLLER, 'node-1']);
});

test('growth is refused with the command for the node that has the mirror', async () => {
  const { rsiod, client, volumeId } = await started();
  const expand = { volumeId, capacityRange: { requiredBytes: 2 * GIB } };
  await expect(client.call('Controller', 'ControllerExpandVolume', expand)).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: `Only the node that has mirror db attached can make it larger: rsconfig mirror grow db ${2 * GIB} there, with the right manage`,
  });
  rsiod.mirrors.all[0] = { ...rsiod.mirrors.all[0]!, sizeBytes: 2 * GIB };
  expect(await client.call('Controller', 'ControllerExpandVolume', expand)).toEqual({
    capacityBytes: 2 * GIB,
    nodeExpansionRequired: true,
  });
  expect(await client.refusal('Controller', 'ControllerModifyVolume', { volumeId, mutableParameters: { iops: '5' } })).toBe(
    'INVALID_ARGUMENT',
  );
});

test('the condition of a mirror says which replica is behind', async () => {
  const { rsiod, client, volumeId } = await started();
  const condition = async (): Promise<object> =>
    (await client.call('Controller', 'ControllerGetVolume', { volumeId })).status.volumeCondition as object;
  expect(await condition()).toMatchObject({ abnormal: false });
  const [mirror] = rsiod.mirrors.all;
  const [first, second] = mirror!.replicas;
  rsiod.mirrors.all[0] = { ...mirror!, replicas: [first!, { ...second!, inSync: false }] };
  expect(await condition()).toEqual({ abnormal: true, message: 'The replica on server pi-2 is behind' });
});
