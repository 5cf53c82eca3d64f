// Tests calls about volumes with a client over real gRPC: creation, refusals, lists and removal, and that a repeated call changes
// nothing. kills.test.ts kills the driver at each step; publish.test.ts has the calls about nodes.

import { expect, test } from 'vitest';
import { ORDERS_AT_ONCE_MAX } from '../limits.ts';
import { BLOCK_SHARED, controllerScene, newVolume, WRITER } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';
import type { CsiClient } from '../testing/csi-client.ts';

const UNKNOWN = 'volume.00000000-0000-4000-8000-999999999999';

async function started(servers: readonly string[] = ['big-9']): Promise<{ rsiod: FakeRsiod; client: CsiClient }> {
  const rsiod = new FakeRsiod(servers);
  return { rsiod, client: (await controllerScene(rsiod)).client };
}

async function create(client: CsiClient, name: string, changes: object = {}): Promise<string> {
  return (await client.call('Controller', 'CreateVolume', newVolume(name, changes))).volume.volumeId as string;
}

test('the driver names itself, says what it can do, and is ready while rsiod answers', async () => {
  const { rsiod, client } = await started();
  const info = await client.call('Identity', 'GetPluginInfo');
  expect(info).toMatchObject({ name: 'rsio.csi' });
  expect(info.vendorVersion).toMatch(/^\d+\.\d+\.\d+/);
  const { capabilities } = await client.call('Identity', 'GetPluginCapabilities');
  expect(
    capabilities.map(
      (one: { service?: { type: string }; volumeExpansion?: { type: string } }) => one.service?.type ?? one.volumeExpansion?.type,
    ),
  ).toEqual(['CONTROLLER_SERVICE', 'VOLUME_ACCESSIBILITY_CONSTRAINTS', 'GROUP_CONTROLLER_SERVICE', 'SNAPSHOT_METADATA_SERVICE', 'ONLINE']);
  expect(await client.call('Identity', 'Probe')).toMatchObject({ ready: { value: true } });
  rsiod.isRunning = false;
  expect(await client.call('Identity', 'Probe')).toMatchObject({ ready: { value: false } });
});

test('the controller announces what it has calls for', async () => {
  const { client } = await started();
  const { capabilities } = await client.call('Controller', 'ControllerGetCapabilities');
  const types = capabilities.map((one: { rpc: { type: string } }) => one.rpc.type);
  expect(types).toContain('CREATE_DELETE_VOLUME');
  expect(types).toContain('GET_SNAPSHOT');
  expect(new Set(types).size).toBe(types.length);
});

test('a volume has the size that is asked for, or 1 GiB, and is private to the driver', async () => {
  const { rsiod, client } = await started();
  const one = await client.call('Controller', 'CreateVolume', newVolume('one', { capacityRange: { requiredBytes: 5 * GIB - 1 } }));
  expect(one.volume).toMatchObject({
    capacityBytes: 5 * GIB,
    accessibleTopology: [{ segments: { 'topology.rsio.csi/namespace': 'osl-200' } }],
  });
  const two = await client.call('Controller', 'CreateVolume', newVolume('two', { capacityRange: null }));
  expect(two.volume.capacityBytes).toBe(GIB);
  expect(rsiod.server.named('one')?.view).toMatchObject({ clients: [CONTROLLER], owner: CONTROLLER, shared: false, pool: 'fast' });
});

test('the parameters of a class choose the pool, space and file system, and a wrong one is named', async () => {
  const { rsiod, client } = await started();
  const { volume } = await client.call(
    'Controller',
    'CreateVolume',
    newVolume('one', { parameters: { pool: 'slow', thick: 'yes', fsType: 'xfs', 'csi.storage.k8s.io/pvc/name': 'data' } }),
  );
  expect(volume.volumeContext).toEqual({ fsType: 'xfs' });
  expect(rsiod.server.named('one')?.view).toMatchObject({ pool: 'slow', thick: true });
  for (const parameters of [
    { pol: 'slow' },
    { fsType: 'ntfs' },
    { thick: 'maybe' },
    { pool: 'none' },
    { witness: 'big-9' },
    { server: 'big-1' },
    { iops: 'x', servers: 'a,b' },
  ])
    expect(await client.refusal('Controller', 'CreateVolume', newVolume('two', { parameters })), JSON.stringify(parameters)).toBe(
      'INVALID_ARGUMENT',
    );
  expect(rsiod.server.named('two')).toBe(null);
});

test('with several servers, the class must name one, because a repeated call must reach the same server', async () => {
  const { rsiod, client } = await started(['big-8', 'big-9']);
  await expect(create(client, 'one')).rejects.toMatchObject({
    status: 'INVALID_ARGUMENT',
    message: 'Namespace osl has 2 servers (big-8, big-9): name one in parameter server',
  });
  await create(client, 'one', { parameters: { server: 'big-9' } });
  expect(rsiod.servers.get('big-9')?.named('one')).not.toBe(null);
  rsiod.servers.get('big-9')!.isConnected = false;
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('two', { parameters: { server: 'big-9' } }))).toBe('UNAVAILABLE');
});

test('a call without name or capability, or with an impossible one, is refused', async () => {
  const { client } = await started();
  const refused = (changes: object): Promise<string> => client.refusal('Controller', 'CreateVolume', newVolume('one', changes));
  expect(await refused({ name: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ name: 'x'.repeat(129) })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapabilities: [] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapabilities: [{ ...WRITER, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } }] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapabilities: [{ ...WRITER, accessMode: { mode: 'MULTI_NODE_SINGLE_WRITER' } }] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapabilities: [{ ...WRITER, mount: { fsType: 'ntfs' } }] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ capacityRange: { requiredBytes: 2 * GIB, limitBytes: GIB } })).toBe('INVALID_ARGUMENT');
  expect(await refused({ capacityRange: { requiredBytes: 1, limitBytes: 2 } })).toBe('OUT_OF_RANGE');
  expect(await refused({ capacityRange: { requiredBytes: 2 ** 60 } })).toBe('OUT_OF_RANGE');
});

test('the same call makes one volume, and the same name with another size or for several writers is refused', async () => {
  const { rsiod, client } = await started();
  const first = await create(client, 'one');
  expect(await create(client, 'one')).toBe(first);
  expect(rsiod.server.volumes).toHaveLength(1);
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('one', { capacityRange: { requiredBytes: 2 * GIB } }))).toBe(
    'ALREADY_EXISTS',
  );
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('one', { volumeCapabilities: [BLOCK_SHARED] }))).toBe(
    'ALREADY_EXISTS',
  );
  rsiod.server.add({ name: 'by-hand', owner: null });
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('by-hand'))).toBe('ALREADY_EXISTS');
});

test('names of 128 bytes, and names that RSIO does not permit, become different volumes', async () => {
  const { rsiod, client } = await started();
  const long = 'n'.repeat(127);
  const ids = [
    await create(client, `${long}1`),
    await create(client, `${long}2`),
    await create(client, 'a/b'),
    await create(client, 'csi-x'),
  ];
  expect(new Set(ids).size).toBe(4);
  expect(await create(client, `${long}1`)).toBe(ids[0]);
  for (const { view } of rsiod.server.volumes) expect(view.name).toMatch(/^csi-[0-9a-f]{32}$/);
});

test('a volume that was removed is made again under the same name, although the server remembers the request', async () => {
  const { rsiod, client } = await started();
  const first = await create(client, 'one');
  await client.call('Controller', 'DeleteVolume', { volumeId: first });
  const second = await create(client, 'one');
  expect(second).not.toBe(first);
  expect(rsiod.server.volumes).toHaveLength(1);
});

test('fifty creates at once make fifty volumes, and the servers get a few requests at a time', async () => {
  const { rsiod, client } = await started();
  const names = Array.from({ length: 50 }, (_, index) => `pvc-${index}`);
  const ids = await Promise.all(names.map((name) => create(client, name)));
  expect(new Set(ids).size).toBe(50);
  expect(rsiod.server.volumes).toHaveLength(50);
  expect(rsiod.server.count('volume-create')).toBe(50);
  expect(rsiod.mostServerCalls).toBeLessThanOrEqual(ORDERS_AT_ONCE_MAX);
});

test('two calls for the same name at once make one volume', async () => {
  const { rsiod, client } = await started();
  const outcomes = await Promise.allSettled([create(client, 'one'), create(client, 'one')]);
  for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toMatchObject({ status: 'ABORTED' });
  expect(rsiod.server.volumes).toHaveLength(1);
});

test('a volume is removed once; one that does not exist is removed already; one in use or of others stays', async () => {
  const { rsiod, client } = await started();
  const remove = (volumeId: string): Promise<unknown> => client.call('Controller', 'DeleteVolume', { volumeId });
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId: '' })).toBe('INVALID_ARGUMENT');
  await remove('reference to nothing');
  await remove(UNKNOWN);
  const id = await create(client, 'one');
  await client.call('Controller', 'ControllerPublishVolume', { volumeId: id, nodeId: 'node-1', volumeCapability: WRITER });
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId: id })).toBe('FAILED_PRECONDITION');
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId: id, nodeId: 'node-1' });
  await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: id, name: 'kept' });
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId: id })).toBe('FAILED_PRECONDITION');
  const other = rsiod.server.add({ name: 'by-hand', owner: null, clients: [CONTROLLER] });
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId: `volume.${other.view.id}` })).toBe('FAILED_PRECONDITION');
  const free = await create(client, 'two');
  await remove(free);
  await remove(free);
  expect(rsiod.server.volumes.map(({ view }) => view.name)).toEqual(['one', 'by-hand']);
});

test('a volume counts as removed only if every server has answered', async () => {
  const { rsiod, client } = await started(['big-8', 'big-9']);
  const id = await create(client, 'one', { parameters: { server: 'big-8' } });
  rsiod.servers.get('big-8')!.isConnected = false;
  const fresh = (await controllerScene(rsiod)).client;
  await expect(fresh.call('Controller', 'DeleteVolume', { volumeId: id })).rejects.toMatchObject({
    status: 'UNAVAILABLE',
    message: expect.stringMatching(/and server big-8 of osl is down: .*: repeat the call when it answers$/) as string,
  });
});

test('a volume keeps its id when it is renamed', async () => {
  const { rsiod, client } = await started();
  const id = await create(client, 'one');
  const stored = rsiod.server.named('one')!;
  stored.view = { ...stored.view, name: 'renamed' };
  expect((await client.call('Controller', 'ControllerGetVolume', { volumeId: id })).volume.volumeId).toBe(id);
});

test('a volume that has moved to another server is found there, and its old server need not answer', async () => {
  const { rsiod, client } = await started(['big-8', 'big-9']);
  const id = await create(client, 'one', { parameters: { server: 'big-8' } });
  const [old, next] = ['big-8', 'big-9'].map((name) => rsiod.servers.get(name)!);
  next!.volumes.push(...old!.volumes.splice(0));
  old!.isConnected = false;
  expect((await client.call('Controller', 'ControllerGetVolume', { volumeId: id })).volume.volumeId).toBe(id);
});

test('the list has the volumes of the driver with their nodes and condition', async () => {
  const { rsiod, client } = await started();
  rsiod.server.add({ name: 'by-hand', owner: null });
  const ids = [await create(client, 'one'), await create(client, 'two')].toSorted();
  const [first = ''] = ids;
  await client.call('Controller', 'ControllerPublishVolume', { volumeId: first, nodeId: 'node-2', volumeCapability: WRITER });
  const { entries } = await client.call('Controller', 'ListVolumes');
  expect(entries.map((one: { volume: { volumeId: string } }) => one.volume.volumeId)).toEqual(ids);
  expect(entries[0].status).toMatchObject({ publishedNodeIds: ['node-2'], volumeCondition: { abnormal: false } });
  const stored = rsiod.server.volumes.find(({ view }) => `volume.${view.id}` === first)!;
  stored.view = { ...stored.view, state: 'unavailable', reason: 'Its file is gone' };
  const { status } = await client.call('Controller', 'ControllerGetVolume', { volumeId: first });
  expect(status.volumeCondition).toEqual({ abnormal: true, message: 'The server does not serve the volume: Its file is gone' });
  await client.call('Controller', 'DeleteVolume', { volumeId: ids[1] });
  expect((await client.call('Controller', 'ListVolumes')).entries).toHaveLength(1);
});

test('pages continue after the last entry, even if it is removed and others are added', async () => {
  const { rsiod, client } = await started();
  const created: string[] = [];
  for (const name of ['a', 'b', 'c', 'd']) created.push(await create(client, name));
  const page = async (startingToken: string): Promise<{ ids: string[]; token: string }> => {
    const { entries, nextToken } = await client.call('Controller', 'ListVolumes', { maxEntries: 2, startingToken });
    return { ids: entries.map((one: { volume: { volumeId: string } }) => one.volume.volumeId), token: nextToken };
  };
  const first = await page('');
  await client.call('Controller', 'DeleteVolume', { volumeId: first.ids[1] });
  await create(client, 'e');
  const all = [...first.ids];
  for (let { token } = first; token !== ''; ) {
    const next = await page(token);
    expect(next.ids.length).toBeLessThanOrEqual(2);
    all.push(...next.ids);
    ({ token } = next);
  }
  // The ids are random, so the added volume is on a later page, or its place in the order is on the first page.
  expect(new Set(all).size).toBe(all.length);
  expect(all).toEqual(expect.arrayContaining(created));
  expect(rsiod.server.volumes).toHaveLength(4);
  expect(await client.refusal('Controller', 'ListVolumes', { startingToken: 'invalid-token' })).toBe('ABORTED');
  expect(await client.refusal('Controller', 'ListVolumes', { maxEntries: -1 })).toBe('INVALID_ARGUMENT');
});

test('the capacity is the room of the largest pool, of the named pool, or of the smallest server of a mirror', async () => {
  const { rsiod, client } = await started(['big-8', 'big-9']);
  const room = async (request: object): Promise<number> =>
    (await client.call('Controller', 'GetCapacity', request)).availableCapacity as number;
  expect(await room({})).toBe(100 * GIB);
  expect(await room({ parameters: { pool: 'slow', server: 'big-9' } })).toBe(30 * GIB);
  expect(await room({ accessibleTopology: { segments: { 'topology.rsio.csi/namespace': 'lab-1' } } })).toBe(0);
  rsiod.servers.get('big-8')!.isConnected = false;
  expect(await room({ parameters: { servers: 'big-8,big-9' } })).toBe(0);
  expect(await client.refusal('Controller', 'GetCapacity', { parameters: { pol: 'x' } })).toBe('INVALID_ARGUMENT');
});

test('capabilities are confirmed or refused with a reason', async () => {
  const { client } = await started();
  const volumeId = await create(client, 'one');
  const validate = (changes: object): Promise<{ confirmed: object | null; message: string }> =>
    client.call('Controller', 'ValidateVolumeCapabilities', { volumeId, volumeCapabilities: [WRITER], ...changes });
  expect((await validate({})).confirmed).not.toBe(null);
  expect(await validate({ volumeCapabilities: [BLOCK_SHARED] })).toMatchObject({
    confirmed: null,
    message: 'The volume is for one node at a time',
  });
  expect((await validate({ parameters: { pol: 'x' } })).confirmed).toBe(null);
  const refused = (changes: object): Promise<string> =>
    client.refusal('Controller', 'ValidateVolumeCapabilities', { volumeId, volumeCapabilities: [WRITER], ...changes });
  expect(await refused({ volumeId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeCapabilities: [] })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeId: UNKNOWN })).toBe('NOT_FOUND');
});

test('a volume grows and never shrinks', async () => {
  const { rsiod, client } = await started();
  const volumeId = await create(client, 'one');
  const expand = (changes: object): Promise<object> =>
    client.call('Controller', 'ControllerExpandVolume', {
      volumeId,
      capacityRange: { requiredBytes: 3 * GIB },
      volumeCapability: WRITER,
      ...changes,
    });
  expect(await expand({})).toEqual({ capacityBytes: 3 * GIB, nodeExpansionRequired: true });
  expect(await expand({})).toEqual({ capacityBytes: 3 * GIB, nodeExpansionRequired: true });
  expect(rsiod.server.count('volume-grow')).toBe(1);
  expect(await expand({ capacityRange: { requiredBytes: GIB } })).toMatchObject({ capacityBytes: 3 * GIB });
  expect(await expand({ volumeCapability: BLOCK_SHARED })).toMatchObject({ nodeExpansionRequired: false });
  const refused = (changes: object): Promise<string> =>
    client.refusal('Controller', 'ControllerExpandVolume', { volumeId, capacityRange: { requiredBytes: GIB }, ...changes });
  expect(await refused({ volumeId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ capacityRange: null })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeId: UNKNOWN })).toBe('NOT_FOUND');
  expect(await refused({ capacityRange: { limitBytes: GIB } })).toBe('OUT_OF_RANGE');
});

test('limits of I/O are set at creation and later, and unknown or wrong ones are refused', async () => {
  const { rsiod, client } = await started();
  const volumeId = await create(client, 'one', { mutableParameters: { iops: '500' } });
  const plain = await create(client, 'two');
  for (const id of [volumeId, plain])
    await client.call('Controller', 'ControllerModifyVolume', { volumeId: id, mutableParameters: { iops: '900', bandwidth: '10m' } });
  expect(rsiod.server.count('volume-set')).toBe(2);
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('three', { mutableParameters: { colour: 'red' } }))).toBe(
    'INVALID_ARGUMENT',
  );
  const refused = (changes: object): Promise<string> => client.refusal('Controller', 'ControllerModifyVolume', { volumeId, ...changes });
  expect(await refused({ volumeId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused({ volumeId: UNKNOWN })).toBe('NOT_FOUND');
  expect(await refused({ mutableParameters: { colour: 'red' } })).toBe('INVALID_ARGUMENT');
  expect(await refused({ mutableParameters: { iops: 'many' } })).toBe('INVALID_ARGUMENT');
});
