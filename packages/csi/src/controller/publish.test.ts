// Tests which node may attach a volume: publish and unpublish, by the lists of clients on fake servers. Above all, unpublish is OK only with
// the proof of the server. test/integration/csi-controller.test.ts has a stopped client with a late write. Rules: G45.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { NODE_VOLUMES_MAX } from '../limits.ts';
import { BLOCK_SHARED, BLOCK_WRITER, controllerScene, newVolume, WRITER } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import type { CsiClient } from '../testing/csi-client.ts';

const UNKNOWN = 'volume.00000000-0000-4000-8000-999999999999';
const READERS = { accessType: 'mount', mount: { fsType: 'ext4' }, accessMode: { mode: 'MULTI_NODE_READER_ONLY' } };

async function started(capabilities: object[] = [WRITER]): Promise<{ rsiod: FakeRsiod; client: CsiClient; volumeId: string }> {
  const rsiod = new FakeRsiod();
  const { client } = await controllerScene(rsiod);
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('one', { volumeCapabilities: capabilities }));
  return { rsiod, client, volumeId: volume.volumeId as string };
}

function publication(volumeId: string, changes: object = {}): object {
  return { volumeId, nodeId: 'node-1', volumeCapability: WRITER, ...changes };
}

test('a published volume is in the list of clients, and the node learns how to attach it', async () => {
  const { rsiod, client, volumeId } = await started();
  const publish = (changes: object = {}): Promise<object> =>
    client.call('Controller', 'ControllerPublishVolume', publication(volumeId, changes));
  expect(await publish()).toEqual({ publishContext: { readonly: 'no' } });
  expect(await publish()).toEqual({ publishContext: { readonly: 'no' } });
  expect(rsiod.server.named('one')?.view.clients).toEqual([CONTROLLER, 'node-1']);
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  expect(rsiod.server.named('one')?.view.clients).toEqual([CONTROLLER]);
  expect(await publish({ readonly: true })).toEqual({ publishContext: { readonly: 'yes' } });
});

test('a call without volume, node or capability is refused, and so is an unknown volume or node', async () => {
  const { client, volumeId } = await started();
  const refused = (changes: object): Promise<string> =>
    client.refusal('Controller', 'ControllerPublishVolume', publication(volumeId, changes));
  expect(await refused({ volumeId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ nodeId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapability: null })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeId: UNKNOWN })).toBe('NOT_FOUND');
  expect(await refused({ volumeId: 'some name' })).toBe('NOT_FOUND');
  expect(await refused({ nodeId: 'stranger' })).toBe('NOT_FOUND');
  expect(await refused({ nodeId: CONTROLLER })).toBe('NOT_FOUND');
  expect(await client.refusal('Controller', 'ControllerUnpublishVolume', { volumeId: '', nodeId: 'node-1' })).toBe('INVALID_ARGUMENT');
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId: UNKNOWN, nodeId: 'node-1' });
});

test('a volume for one node is not published to a second one, and not with another capability', async () => {
  const { rsiod, client, volumeId } = await started();
  await client.call('Controller', 'ControllerPublishVolume', publication(volumeId));
  const refused = (changes: object): Promise<string> =>
    client.refusal('Controller', 'ControllerPublishVolume', publication(volumeId, changes));
  expect(await refused({ nodeId: 'node-2' })).toBe('FAILED_PRECONDITION');
  expect(await refused({ readonly: true })).toBe('ALREADY_EXISTS');
  expect(await refused({ volumeCapability: BLOCK_WRITER })).toBe('ALREADY_EXISTS');
  expect(rsiod.server.named('one')?.view.clients).toEqual([CONTROLLER, 'node-1']);
});

test('several writers need a shared volume, and several readers get it read-only', async () => {
  const shared = await started([BLOCK_SHARED]);
  for (const nodeId of ['node-1', 'node-2'])
    await shared.client.call(
      'Controller',
      'ControllerPublishVolume',
      publication(shared.volumeId, { nodeId, volumeCapability: BLOCK_SHARED }),
    );
  expect(shared.rsiod.server.named('one')?.view).toMatchObject({ shared: true, clients: [CONTROLLER, 'node-1', 'node-2'] });
  const single = await started();
  expect(
    await single.client.refusal('Controller', 'ControllerPublishVolume', publication(single.volumeId, { volumeCapability: BLOCK_SHARED })),
  ).toBe('FAILED_PRECONDITION');
  for (const nodeId of ['node-1', 'node-2'])
    expect(
      await single.client.call(
        'Controller',
        'ControllerPublishVolume',
        publication(single.volumeId, { nodeId, volumeCapability: READERS }),
      ),
    ).toEqual({
      publishContext: { readonly: 'yes' },
    });
});

test('a node gets as many volumes as it has announced, and no more', async () => {
  const { rsiod, client, volumeId } = await started();
  for (let index = 0; index < NODE_VOLUMES_MAX; index++)
    rsiod.server.add({ name: `full-${index}`, owner: CONTROLLER, clients: [CONTROLLER, 'node-1'] });
  expect(await client.refusal('Controller', 'ControllerPublishVolume', publication(volumeId))).toBe('RESOURCE_EXHAUSTED');
  await client.call('Controller', 'ControllerPublishVolume', publication(volumeId, { nodeId: 'node-2' }));
});

test('unpublish fails as long as the server cannot prove that nothing of the node runs, and names the reason', async () => {
  const { rsiod, client, volumeId } = await started();
  await client.call('Controller', 'ControllerPublishVolume', publication(volumeId));
  const { server } = rsiod;
  server.proof = () => {
    throw new RsError('E_HELD', 'Client node-1 has writes of volume one that the storage may have lost: start the client');
  };
  const unpublish = (nodeId: string): Promise<unknown> => client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId });
  await expect(unpublish('node-1')).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: 'Client node-1 has writes of volume one that the storage may have lost: start the client [E_HELD]',
  });
  expect(server.named('one')?.view.clients).toEqual([CONTROLLER, 'node-1']);
  expect(await client.refusal('Controller', 'ControllerPublishVolume', publication(volumeId, { nodeId: 'node-2' }))).toBe(
    'FAILED_PRECONDITION',
  );
  server.proof = () => {
    throw new RsError('E_TIMEOUT', 'Requests of client node-1 still run: repeat the order');
  };
  await expect(unpublish('node-1')).rejects.toMatchObject({ status: 'DEADLINE_EXCEEDED' });
  server.isConnected = false;
  await expect(unpublish('node-1')).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  server.isConnected = true;
  server.proof = () => undefined;
  await unpublish('');
  expect(server.named('one')?.view.clients).toEqual([CONTROLLER]);
});

test('unpublish asks for the proof again, even if the node is not in the list any more', async () => {
  const { rsiod, client, volumeId } = await started();
  const asked: string[] = [];
  rsiod.server.proof = (name, node) => asked.push(`${name} ${node}`);
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  expect(asked).toEqual(['one node-1']);
});

test('a volume that all clients may attach is not published, because the driver could not take it away', async () => {
  const { rsiod, client } = await started();
  const { view } = rsiod.server.add({ name: 'open', owner: null, clients: null });
  await expect(client.call('Controller', 'ControllerPublishVolume', publication(`volume.${view.id}`))).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: expect.stringContaining('rsadm volume set open clients=kubernetes') as string,
  });
});
