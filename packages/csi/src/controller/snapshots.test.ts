// Tests snapshots, clones, copies, group snapshots and the changed ranges between snapshots, with a client over real gRPC. The driver is
// killed at each step in kills.test.ts.

import type { Clock } from '@rsio/base/lib/clock';
import { expect, test } from 'vitest';
import { controllerScene, hurriedClock, newVolume } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';
import type { CsiClient } from '../testing/csi-client.ts';

const UNKNOWN = 'snapshot.00000000-0000-4000-8000-999999999999.00000000-0000-4000-a000-999999999999';
const UNKNOWN_GROUP = 'group.00000000-0000-4000-9000-999999999999';

interface Started {
  readonly rsiod: FakeRsiod;
  readonly client: CsiClient;
  readonly one: string;
  readonly two: string;
}

async function started(clock?: Clock): Promise<Started> {
  const rsiod = new FakeRsiod();
  const { client } = await controllerScene(rsiod, clock);
  const create = async (name: string): Promise<string> =>
    (await client.call('Controller', 'CreateVolume', newVolume(name))).volume.volumeId as string;
  return { rsiod, client, one: await create('one'), two: await create('two') };
}

async function snapshot(client: CsiClient, sourceVolumeId: string, name: string): Promise<string> {
  return (await client.call('Controller', 'CreateSnapshot', { sourceVolumeId, name })).snapshot.snapshotId as string;
}

async function listed(client: CsiClient, request: object = {}): Promise<string[]> {
  const { entries } = await client.call('Controller', 'ListSnapshots', request);
  return (entries as { snapshot: { snapshotId: string } }[]).map((one) => one.snapshot.snapshotId);
}

test('a snapshot is made once, and its name belongs to one volume', async () => {
  const { rsiod, client, one, two } = await started();
  const { snapshot: made } = await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: one, name: 'monday' });
  expect(made).toMatchObject({ sourceVolumeId: one, readyToUse: true, sizeBytes: GIB });
  // Orchestrators have stored ids of this form.
  expect(made.snapshotId).toBe(`snapshot.${one.replace('volume.', '')}.${rsiod.server.named('one')?.snapshots[0]?.id}`);
  expect(await snapshot(client, one, 'monday')).toBe(made.snapshotId);
  expect(rsiod.server.count('volume-snapshot')).toBe(1);
  expect(await client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId: two, name: 'monday' })).toBe('ALREADY_EXISTS');
  expect(await client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId: one, name: '' })).toBe('INVALID_ARGUMENT');
  expect(await client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId: '', name: 'x' })).toBe('INVALID_ARGUMENT');
  expect(await client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId: 'x', name: 'x' })).toBe('NOT_FOUND');
  await snapshot(client, one, 's'.repeat(128));
});

test('a snapshot is removed once, and what does not exist is removed already', async () => {
  const { rsiod, client, one } = await started();
  const id = await snapshot(client, one, 'monday');
  for (const snapshotId of [UNKNOWN, 'reference to nothing', id, id]) await client.call('Controller', 'DeleteSnapshot', { snapshotId });
  expect(rsiod.server.named('one')?.snapshots).toEqual([]);
  expect(await client.refusal('Controller', 'DeleteSnapshot', { snapshotId: '' })).toBe('INVALID_ARGUMENT');
});

test('snapshots are listed by id, by volume, and in pages', async () => {
  const { client, one, two } = await started();
  expect(await listed(client)).toEqual([]);
  const ids = [await snapshot(client, one, 'a'), await snapshot(client, one, 'b'), await snapshot(client, two, 'c')].toSorted();
  expect(await listed(client)).toEqual(ids);
  expect(await listed(client, { snapshotId: ids[1] })).toEqual([ids[1]]);
  expect(await listed(client, { snapshotId: UNKNOWN })).toEqual([]);
  expect(await listed(client, { sourceVolumeId: two })).toHaveLength(1);
  expect(await listed(client, { sourceVolumeId: 'x' })).toEqual([]);
  const page = await client.call('Controller', 'ListSnapshots', { maxEntries: 2 });
  expect(page.entries).toHaveLength(2);
  expect(await listed(client, { startingToken: page.nextToken })).toEqual([ids[2]]);
});

test('one snapshot is shown, or is not found', async () => {
  const { client, one } = await started();
  const snapshotId = await snapshot(client, one, 'a');
  expect((await client.call('Controller', 'GetSnapshot', { snapshotId })).snapshot).toMatchObject({ snapshotId, sourceVolumeId: one });
  expect(await client.refusal('Controller', 'GetSnapshot', { snapshotId: '' })).toBe('INVALID_ARGUMENT');
  expect(await client.refusal('Controller', 'GetSnapshot', { snapshotId: UNKNOWN })).toBe('NOT_FOUND');
});

test('a volume from a snapshot is a clone that belongs to the driver alone, and may be larger', async () => {
  const { rsiod, client, one } = await started();
  const snapshotId = await snapshot(client, one, 'a');
  const stored = rsiod.server.named('one')!;
  stored.view = { ...stored.view, clients: [CONTROLLER, 'node-1'] };
  const volumeContentSource = { snapshot: { snapshotId } };
  const request = newVolume('clone', { volumeContentSource, capacityRange: { requiredBytes: 2 * GIB } });
  const { volume } = await client.call('Controller', 'CreateVolume', request);
  expect(volume).toMatchObject({ capacityBytes: 2 * GIB, contentSource: { type: 'snapshot', snapshot: { snapshotId } } });
  expect((await client.call('Controller', 'CreateVolume', request)).volume.volumeId).toBe(volume.volumeId);
  expect(rsiod.server.named('clone')?.view).toMatchObject({ clients: [CONTROLLER], sizeBytes: 2 * GIB });
  expect(rsiod.server.volumes).toHaveLength(3);
  const refused = (source: object): Promise<string> =>
    client.refusal('Controller', 'CreateVolume', newVolume('x', { volumeContentSource: source }));
  expect(await refused({ snapshot: { snapshotId: UNKNOWN } })).toBe('NOT_FOUND');
  expect(await refused({ volume: { volumeId: 'volume.x' } })).toBe('NOT_FOUND');
  expect(
    await client.refusal('Controller', 'CreateVolume', newVolume('x', { volumeContentSource, capacityRange: { limitBytes: GIB / 2 } })),
  ).toBe('OUT_OF_RANGE');
});

test('a volume from a volume is a copy, and a call during the copy is repeated until the job has ended', async () => {
  const { rsiod, client, one } = await started(hurriedClock());
  const request = newVolume('copy', { volumeContentSource: { volume: { volumeId: one } } });
  rsiod.server.holdsJobs = true;
  for (let times = 0; times < 2; times++) expect(await client.refusal('Controller', 'CreateVolume', request)).toBe('ABORTED');
  rsiod.server.holdsJobs = false;
  rsiod.server.finishJobs();
  expect((await client.call('Controller', 'CreateVolume', request)).volume.capacityBytes).toBe(GIB);
  expect(rsiod.server.count('volume-copy')).toBe(1);
  expect(rsiod.server.named('copy')?.view).toMatchObject({ clients: [CONTROLLER], owner: CONTROLLER });
  // After the volume has been removed, the server would answer the same request with the old job.
  await client.call('Controller', 'DeleteVolume', { volumeId: `volume.${rsiod.server.named('copy')?.view.id}` });
  await client.call('Controller', 'CreateVolume', request);
  expect(rsiod.server.named('copy')).not.toBe(null);
  expect(rsiod.server.count('volume-copy')).toBe(2);
});

test('volumes of a group have one moment, and the group is made once', async () => {
  const { rsiod, client, one, two } = await started();
  const request = { name: 'both', sourceVolumeIds: [one, two] };
  const { groupSnapshot } = await client.call('GroupController', 'CreateVolumeGroupSnapshot', request);
  expect(groupSnapshot).toMatchObject({ readyToUse: true });
  expect(groupSnapshot.snapshots.map((each: { sourceVolumeId: string }) => each.sourceVolumeId)).toEqual([one, two]);
  expect((await client.call('GroupController', 'CreateVolumeGroupSnapshot', request)).groupSnapshot).toEqual(groupSnapshot);
  expect(rsiod.server.count('volume-snapshot')).toBe(1);
  const { groupSnapshotId } = groupSnapshot as { groupSnapshotId: string };
  const snapshotIds = groupSnapshot.snapshots.map((each: { snapshotId: string }) => each.snapshotId) as string[];
  expect((await client.call('GroupController', 'GetVolumeGroupSnapshot', { groupSnapshotId, snapshotIds })).groupSnapshot).toEqual(
    groupSnapshot,
  );
  for (let times = 0; times < 2; times++)
    await client.call('GroupController', 'DeleteVolumeGroupSnapshot', { groupSnapshotId, snapshotIds });
  expect(await listed(client)).toEqual([]);
});

test('calls about groups without a name or id, or with unknown ones, are answered as the specification asks', async () => {
  const { client, one } = await started();
  const refused = (method: string, request: object): Promise<string> => client.refusal('GroupController', method, request);
  expect(await client.call('GroupController', 'GroupControllerGetCapabilities')).toMatchObject({
    capabilities: [{ rpc: { type: 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT' } }],
  });
  expect(await refused('CreateVolumeGroupSnapshot', { name: '', sourceVolumeIds: [one] })).toBe('INVALID_ARGUMENT');
  expect(await refused('CreateVolumeGroupSnapshot', { name: 'x', sourceVolumeIds: [] })).toBe('INVALID_ARGUMENT');
  expect(await refused('CreateVolumeGroupSnapshot', { name: 'x', sourceVolumeIds: [one, one] })).toBe('INVALID_ARGUMENT');
  expect(await refused('GetVolumeGroupSnapshot', { groupSnapshotId: '' })).toBe('INVALID_ARGUMENT');
  expect(await refused('GetVolumeGroupSnapshot', { groupSnapshotId: UNKNOWN_GROUP, snapshotIds: [UNKNOWN] })).toBe('NOT_FOUND');
  expect(await refused('DeleteVolumeGroupSnapshot', { groupSnapshotId: '' })).toBe('INVALID_ARGUMENT');
  await client.call('GroupController', 'DeleteVolumeGroupSnapshot', { groupSnapshotId: UNKNOWN_GROUP, snapshotIds: [UNKNOWN] });
});

test('the changed ranges come from the server, in messages of the wanted size, from the wanted offset', async () => {
  const { client, one, two } = await started();
  const [baseSnapshotId, targetSnapshotId] = [await snapshot(client, one, 'a'), await snapshot(client, one, 'b')];
  const delta = (changes: object = {}): Promise<{ blockMetadata: object[] }[]> =>
    client.stream('SnapshotMetadata', 'GetMetadataDelta', { baseSnapshotId, targetSnapshotId, maxResults: 1, ...changes });
  const messages = await delta();
  expect(messages.map(({ blockMetadata }) => blockMetadata)).toEqual(
    [0, 8_192, GIB / 2, GIB / 2 + 8_192].map((byteOffset) => [{ byteOffset, sizeBytes: 4_096 }]),
  );
  expect(messages[0]).toMatchObject({ blockMetadataType: 'VARIABLE_LENGTH', volumeCapacityBytes: GIB });
  expect(await delta({ maxResults: 0 })).toHaveLength(2);
  expect((await delta({ startingOffset: GIB / 2 })).length).toBe(2);
  await expect(delta({ baseSnapshotId: targetSnapshotId, targetSnapshotId: baseSnapshotId })).rejects.toMatchObject({
    status: 'INVALID_ARGUMENT',
  });
  await expect(delta({ targetSnapshotId: await snapshot(client, two, 'c') })).rejects.toMatchObject({ status: 'INVALID_ARGUMENT' });
  await expect(delta({ startingOffset: 2 * GIB })).rejects.toMatchObject({ status: 'OUT_OF_RANGE' });
  await expect(delta({ baseSnapshotId: UNKNOWN })).rejects.toMatchObject({ status: 'NOT_FOUND' });
});

test('the allocated ranges are never less than the content', async () => {
  const { client, one } = await started();
  const snapshotId = await snapshot(client, one, 'a');
  const messages = await client.stream('SnapshotMetadata', 'GetMetadataAllocated', { snapshotId, startingOffset: 4_096 });
  expect(messages).toMatchObject([{ blockMetadata: [{ byteOffset: 4_096, sizeBytes: GIB - 4_096 }] }]);
  await expect(client.stream('SnapshotMetadata', 'GetMetadataAllocated', { snapshotId: '' })).rejects.toMatchObject({
    status: 'INVALID_ARGUMENT',
  });
});
