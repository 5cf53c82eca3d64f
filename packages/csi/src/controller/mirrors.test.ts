// Tests mirrors as volumes of an orchestrator: how they are made, published and removed, and the refusal of orders that only the
// holder can execute.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test, vi } from 'vitest';
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

interface Lost {
  readonly rsiod: FakeRsiod;
  readonly client: CsiClient;
  readonly mirror: string;
  readonly publish: (nodeId: string) => Promise<unknown>;
  readonly unpublish: () => Promise<unknown>;
}

/** A mirror that node-1 has attached. */
async function heldByNode(): Promise<Lost> {
  const { rsiod, client, volumeId } = await started();
  const publish = (nodeId: string): Promise<unknown> =>
    client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId, volumeCapability: WRITER });
  await publish('node-1');
  const { mirror } = rsiod.mirrors.all[0]!;
  rsiod.mirrors.held(mirror, 'node-1');
  const unpublish = (): Promise<unknown> => client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  return { rsiod, client, mirror, publish, unpublish };
}

test('a node that was not given up keeps its mirror, and the refusal names it and the remedy', async () => {
  const { rsiod, publish, unpublish } = await heldByNode();
  await expect(publish('node-2')).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
  rsiod.mirrors.stillHolds = 'no majority of the voters answers';
  await expect(unpublish()).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message:
      'It is not proven that node node-1 cannot write to mirror db any more (no majority of the voters answers): repeat the call when most servers of the mirror answer, or start the node again',
  });
  // The servers with a replica have executed the order by now, and name the node no longer.
  expect(clientsOf(rsiod)).toEqual([[CONTROLLER], [CONTROLLER]]);
  await expect(publish('node-2')).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message:
      'Node node-1 still has mirror db, so node node-2 cannot get it: detach it there (rsconfig -d db). If node node-1 is lost, give it the taint node.kubernetes.io/out-of-service; if Kubernetes has no VolumeAttachment for it, rsconfig -a --take-over db beside the driver, and rsconfig -d db',
  });
  expect([clientsOf(rsiod), rsiod.mirrors.all[0]!.holder]).toEqual([[[CONTROLLER], [CONTROLLER]], 'node-1']);
  await publish('node-1');
});

test('a node that was given up loses the mirror with its claim, and the next node gets it without an attachment of the driver', async () => {
  const { rsiod, publish, unpublish } = await heldByNode();
  await unpublish();
  await publish('node-2');
  // If the driver had attached the mirror, it would have given it back.
  expect([clientsOf(rsiod)[0], rsiod.mirrors.all[0]!.holder]).toEqual([[CONTROLLER, 'node-2'], CONTROLLER]);
  // A repeated call takes nothing from the next node.
  rsiod.mirrors.held(rsiod.mirrors.all[0]!.mirror, 'node-2');
  await unpublish();
  expect([clientsOf(rsiod)[0], rsiod.mirrors.all[0]!.holder]).toEqual([[CONTROLLER, 'node-2'], 'node-2']);
});

test('without a majority of the voters, it is not certain that the driver has only claimed the mirror', async () => {
  const { rsiod, publish, unpublish } = await heldByNode();
  await unpublish();
  const [mirror] = rsiod.mirrors.all;
  rsiod.mirrors.all[0] = { ...mirror!, voters: mirror!.voters.map((one, index) => ({ ...one, answers: index === 0 })) };
  await publish('node-2');
  // The driver has attached the mirror and given it back.
  expect(rsiod.mirrors.all[0]!.holder).toBeNull();
});

test('a mirror that was made again under the name is another one, and is taken away from no node', async () => {
  const { rsiod, mirror, unpublish } = await heldByNode();
  const call = vi.spyOn(rsiod.mirrors, 'access');
  await unpublish();
  expect(call).toHaveBeenLastCalledWith('volume-revoke', CONTROLLER, expect.objectContaining({ name: 'db', client: 'node-1', id: mirror }));
});

// Regression: the call was refused for ever, and the server that had been away never let the node have its replica.
test('a server that was away names a node that was given up: the holder gets its replica there, and nobody else does', async () => {
  const { rsiod, mirror, publish, unpublish } = await heldByNode();
  const away = rsiod.servers.get('pi-2')!;
  away.isConnected = false;
  rsiod.mirrors.isVoted = true;
  await unpublish();
  await publish('node-2');
  away.isConnected = true;
  const before = [
    [CONTROLLER, 'node-2'],
    [CONTROLLER, 'node-1'],
  ];
  for (const [holder, isOnlyClaimed] of [
    [null, false],
    ['node-1', false],
    ['node-2', true],
  ] as const) {
    rsiod.mirrors.held(mirror, holder, isOnlyClaimed);
    await expect(publish('node-2')).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
    expect(clientsOf(rsiod)).toEqual(before);
  }
  rsiod.mirrors.held(mirror, 'node-2');
  // A person has allowed both nodes: nobody has given the first one up.
  const first = rsiod.servers.get('pi-1')!.named('db')!;
  first.view = { ...first.view, clients: [CONTROLLER, 'node-2', 'node-1'] };
  await expect(publish('node-2')).rejects.toMatchObject({ status: 'FAILED_PRECONDITION', message: expect.stringContaining('node-1') });
  first.view = { ...first.view, clients: [CONTROLLER, 'node-2'] };
  await expect(publish('node-3')).rejects.toMatchObject({ message: expect.stringContaining('node-1') });
  // The server refuses the order until the holder has claimed its replica.
  away.proof = () => {
    throw new RsError('E_HELD', 'Client node-1 has writes that the storage may have lost');
  };
  await expect(publish('node-2')).rejects.toMatchObject({ status: 'UNAVAILABLE', message: expect.stringContaining('pi-2: Client node-1') });
  expect(clientsOf(rsiod)[1]).toEqual([CONTROLLER, 'node-1', 'node-2']);
  away.proof = () => undefined;
  await publish('node-2');
  expect(clientsOf(rsiod)).toEqual([
    [CONTROLLER, 'node-2'],
    [CONTROLLER, 'node-2'],
  ]);
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
