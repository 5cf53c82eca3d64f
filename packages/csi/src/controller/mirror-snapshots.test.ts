// Tests snapshots of mirrors: when they are made, what happens if rsiod, a server or a node is in the way, and what is done with them. The
// driver is killed at each step in kills.test.ts. Rules: G45, M22.

import { expect, test, vi } from 'vitest';
import type { CsiClient } from '../testing/csi-client.ts';
import { controllerScene, newVolume, WRITER } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';

const PARAMETERS = { servers: 'pi-1,pi-2', witness: 'pi-3' };

interface Started {
  readonly rsiod: FakeRsiod;
  readonly client: CsiClient;
  /** Id of the mirror. */
  readonly volumeId: string;
  readonly snapshot: (name: string) => Promise<string>;
  readonly publish: () => Promise<unknown>;
  readonly holder: () => string | null | undefined;
  /** For each server, the names of its snapshots. */
  readonly names: () => (string[] | undefined)[];
}

async function started(): Promise<Started> {
  const rsiod = new FakeRsiod(['pi-1', 'pi-2', 'pi-3']);
  const { client } = await controllerScene(rsiod);
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('db', { parameters: PARAMETERS }));
  const volumeId = volume.volumeId as string;
  return {
    rsiod,
    client,
    volumeId,
    snapshot: async (name) =>
      (await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name })).snapshot.snapshotId as string,
    publish: () => client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: WRITER }),
    holder: () => rsiod.mirrors.all[0]?.holder,
    names: () =>
      ['pi-1', 'pi-2'].map((name) =>
        rsiod.servers
          .get(name)
          ?.named('db')
          ?.snapshots.map(({ snapshot }) => snapshot),
      ),
  };
}

async function listed(client: CsiClient, request: object = {}): Promise<string[]> {
  const { entries } = await client.call('Controller', 'ListSnapshots', request);
  return (entries as { snapshot: { snapshotId: string } }[]).map((one) => one.snapshot.snapshotId);
}

test('a mirror that no node has gets its snapshot once, on all servers, and is given back', async () => {
  const { client, volumeId, snapshot, holder, names, rsiod } = await started();
  const request = { sourceVolumeId: volumeId, name: 'monday' };
  const made = await client.call('Controller', 'CreateSnapshot', request);
  expect(made.snapshot).toMatchObject({ sourceVolumeId: volumeId, readyToUse: true, sizeBytes: GIB });
  const snapshotId = made.snapshot.snapshotId as string;
  expect(snapshotId).toMatch(/^mirror-snapshot\./);
  expect([holder(), names()]).toEqual([null, [['monday'], ['monday']]]);
  expect(await client.call('Controller', 'CreateSnapshot', request)).toEqual(made);
  const tuesday = await snapshot('tuesday');
  expect(await listed(client)).toEqual([snapshotId, tuesday].toSorted());
  expect(await listed(client, { snapshotId })).toEqual([snapshotId]);
  expect(await listed(client, { sourceVolumeId: volumeId })).toEqual([snapshotId, tuesday].toSorted());
  expect(await client.call('Controller', 'GetSnapshot', { snapshotId })).toEqual(made);
  const { entries } = await client.call('Controller', 'ListSnapshots', { snapshotId });
  expect(entries[0].snapshot).toEqual(made.snapshot);
  // The replica of a server is replaced by an empty one.
  rsiod.servers.get('pi-1')!.named('db')!.snapshots = [];
  expect(await snapshot('monday')).toBe(snapshotId);
});

test('a name belongs to one volume or mirror', async () => {
  const { client, volumeId, snapshot } = await started();
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('one', { parameters: { server: 'pi-1' } }));
  const { volumeId: one } = volume as { volumeId: string };
  await snapshot('monday');
  const refused = (sourceVolumeId: string, name: string): Promise<string> =>
    client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId, name });
  expect(await refused(one, 'monday')).toBe('ALREADY_EXISTS');
  await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: one, name: 'tuesday' });
  expect(await refused(volumeId, 'tuesday')).toBe('ALREADY_EXISTS');
  expect(await refused(`mirror.${'9'.repeat(32)}`, 'x')).toBe('NOT_FOUND');
});

test('while a node has the mirror, the call is refused with the command for the node, after which the call succeeds', async () => {
  const { rsiod, client, volumeId, snapshot, publish, holder, names } = await started();
  await publish();
  await expect(snapshot('monday')).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message:
      'Only node node-1, which has mirror db, can make its snapshot: rsconfig volume snapshot db@monday there makes it, with the right manage; or repeat the call when no node has the mirror',
  });
  // The node gives the command.
  rsiod.mirrors.snapshot('db', 'monday')();
  await snapshot('monday');
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  // A client that is no node of the driver has it.
  rsiod.mirrors.held(rsiod.mirrors.all[0]!.mirror, 'venus');
  await expect(snapshot('tuesday')).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: expect.stringMatching(/Client venus has mirror db .*rsconfig volume snapshot db@tuesday there makes it/),
  });
  expect([holder(), names()]).toEqual(['venus', [['monday'], ['monday']]]);
});

test('no node gets the mirror while the driver makes its snapshot', async () => {
  const { rsiod, client, volumeId, snapshot, publish } = await started();
  let goOn = (): void => undefined;
  const isAsked = new Promise<void>((asked) => {
    const isOver = new Promise<void>((over) => (goOn = over));
    rsiod.meanwhile = {
      made: () => {
        asked();
        return isOver;
      },
    };
  });
  const making = snapshot('monday');
  await isAsked;
  const published = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
  expect(await client.refusal('Controller', 'ControllerPublishVolume', published)).toBe('ABORTED');
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('ABORTED');
  goOn();
  await making;
  await publish();
});

test('rsiod is killed before the mirror has confirmed the snapshot: it does not count, and the repeated call makes it', async () => {
  const { rsiod, client, volumeId, snapshot, holder, names } = await started();
  for (const when of ['made', 'proven'] as const) {
    rsiod.meanwhile = { [when]: () => rsiod.restart() };
    await expect(snapshot('monday')).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    expect(holder()).toBe(CONTROLLER);
    expect(await listed(client)).toEqual([]);
    expect(await listed(client, { sourceVolumeId: volumeId })).toEqual([]);
  }
  // What is not confirmed occupies no name.
  expect(names()).toEqual([['monday'], ['monday']]);
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('one', { parameters: { server: 'pi-1' } }));
  const { snapshot: other } = await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volume.volumeId, name: 'monday' });
  await client.call('Controller', 'DeleteSnapshot', { snapshotId: other.snapshotId });
  rsiod.meanwhile = {};
  const snapshotId = await snapshot('monday');
  expect([holder(), names()]).toEqual([null, [['monday'], ['monday']]]);
  expect(await listed(client)).toEqual([snapshotId]);
});

test('what a killed rsiod has left held is given back by the next snapshot, publication or removal', async () => {
  const { rsiod, client, volumeId, snapshot, publish, holder } = await started();
  const { mirror } = rsiod.mirrors.all[0]!;
  const snapshotId = await snapshot('monday');
  const leave = (): void => rsiod.mirrors.held(mirror, CONTROLLER);
  leave();
  expect(await snapshot('monday')).toBe(snapshotId);
  expect(holder()).toBeNull();
  leave();
  await publish();
  expect(holder()).toBeNull();
  await client.call('Controller', 'ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  await client.call('Controller', 'DeleteSnapshot', { snapshotId });
  leave();
  await client.call('Controller', 'DeleteVolume', { volumeId });
  expect(rsiod.mirrors.all).toEqual([]);
});

test('a mirror that cannot be given back is published to no node', async () => {
  const { rsiod, volumeId, client, publish, holder } = await started();
  const { mirror } = rsiod.mirrors.all[0]!;
  rsiod.mirrors.held(mirror, CONTROLLER);
  // A person has attached the mirror beside the driver.
  const held = vi.spyOn(rsiod.mirrors, 'held').mockImplementation(() => undefined);
  await expect(publish()).rejects.toMatchObject({ status: 'UNAVAILABLE', message: expect.stringContaining('still has mirror db') });
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('UNAVAILABLE');
  expect(rsiod.servers.get('pi-1')?.named('db')?.view.clients).toEqual([CONTROLLER]);
  held.mockRestore();
  await publish();
  expect(holder()).toBeNull();
});

test('another mirror of the same name, as after mirror force, gets no snapshot', async () => {
  const { rsiod, snapshot, holder, names } = await started();
  rsiod.mirrors.all.unshift({ ...rsiod.mirrors.all[0]!, mirror: 'c'.repeat(32) });
  await expect(snapshot('monday')).rejects.toMatchObject({ status: 'ABORTED' });
  expect([holder(), names()]).toEqual([null, [[], []]]);
});

test('a snapshot is removed from all servers, or from none while a server is away', async () => {
  const { rsiod, client, volumeId, snapshot, names } = await started();
  // While the second server was away, a snapshot of this name was made and its answer lost; then the first one was away.
  const [first, second] = ['pi-1', 'pi-2'].map((name) => rsiod.servers.get(name)!);
  second!.isConnected = false;
  await snapshot('monday');
  second!.isConnected = true;
  first!.isConnected = false;
  const snapshotId = await snapshot('monday');
  first!.isConnected = true;
  expect(await listed(client)).toEqual([snapshotId]);
  expect(await client.refusal('Controller', 'DeleteVolume', { volumeId })).toBe('FAILED_PRECONDITION');
  second!.isConnected = false;
  await expect(client.call('Controller', 'DeleteSnapshot', { snapshotId })).rejects.toMatchObject({
    status: 'UNAVAILABLE',
    message: expect.stringContaining('pi-2'),
  });
  // The snapshot is not counted as missing, either.
  expect(await client.refusal('Controller', 'GetSnapshot', { snapshotId })).toBe('UNAVAILABLE');
  second!.isConnected = true;
  expect(names()).toEqual([['monday'], ['monday']]);
  for (let times = 0; times < 2; times++) await client.call('Controller', 'DeleteSnapshot', { snapshotId });
  expect(names()).toEqual([[], []]);
  expect(await client.refusal('Controller', 'GetSnapshot', { snapshotId })).toBe('NOT_FOUND');
  await client.call('Controller', 'DeleteVolume', { volumeId });
  await client.call('Controller', 'DeleteSnapshot', { snapshotId });
});

test('without a majority of the voters, the list of servers is not certain, and nothing is removed', async () => {
  const { rsiod, client, snapshot, names } = await started();
  const snapshotId = await snapshot('monday');
  const [mirror] = rsiod.mirrors.all;
  rsiod.mirrors.all[0] = { ...mirror!, voters: mirror!.voters.map((one, index) => ({ ...one, answers: index === 0 })) };
  expect(await client.refusal('Controller', 'DeleteSnapshot', { snapshotId })).toBe('UNAVAILABLE');
  expect(names()).toEqual([['monday'], ['monday']]);
});

test('a mirror with an unconfirmed snapshot can be removed, because no orchestrator knows that', async () => {
  const { rsiod, client, volumeId, snapshot } = await started();
  rsiod.meanwhile = { proven: () => rsiod.restart() };
  await expect(snapshot('monday')).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  await client.call('Controller', 'DeleteVolume', { volumeId });
  expect(rsiod.mirrors.all).toEqual([]);
});

test('a mirror is in no group snapshot', async () => {
  const { client, volumeId } = await started();
  const group = { name: 'both', sourceVolumeIds: [volumeId] };
  await expect(client.call('GroupController', 'CreateVolumeGroupSnapshot', group)).rejects.toMatchObject({
    status: 'FAILED_PRECONDITION',
    message: 'Mirror db cannot be in a group snapshot, because it shares no moment with other volumes: make its snapshot alone',
  });
});

test('a volume from the snapshot of a mirror is a clone on the server that the class names', async () => {
  const { rsiod, client, snapshot } = await started();
  const snapshotId = await snapshot('monday');
  const volumeContentSource = { snapshot: { snapshotId } };
  const request = (parameters: object): object => newVolume('clone', { volumeContentSource, parameters });
  await expect(client.call('Controller', 'CreateVolume', request({}))).rejects.toMatchObject({
    status: 'INVALID_ARGUMENT',
    message: expect.stringContaining('is on pi-1 and pi-2: use a class that names one of them in parameter server'),
  });
  expect(await client.refusal('Controller', 'CreateVolume', request({ server: 'pi-3' }))).toBe('INVALID_ARGUMENT');
  expect(await client.refusal('Controller', 'CreateVolume', request(PARAMETERS))).toBe('INVALID_ARGUMENT');
  const away = rsiod.servers.get('pi-2')!;
  away.isConnected = false;
  expect(await client.refusal('Controller', 'CreateVolume', request({ server: 'pi-2' }))).toBe('UNAVAILABLE');
  away.isConnected = true;
  const { volume } = await client.call('Controller', 'CreateVolume', request({ server: 'pi-2' }));
  expect(volume).toMatchObject({ capacityBytes: GIB, volumeId: expect.stringMatching(/^volume\./) });
  expect((await client.call('Controller', 'CreateVolume', request({ server: 'pi-2' }))).volume).toEqual(volume);
  expect(away.named('clone')?.view).toMatchObject({ clients: [CONTROLLER], mirror: null });
});

test('the changed ranges between snapshots of a mirror come from a server that has both', async () => {
  const { rsiod, client, snapshot } = await started();
  const away = rsiod.servers.get('pi-1')!;
  away.isConnected = false;
  const baseSnapshotId = await snapshot('a');
  away.isConnected = true;
  const targetSnapshotId = await snapshot('b');
  const ids = { baseSnapshotId, targetSnapshotId };
  const messages = await client.stream('SnapshotMetadata', 'GetMetadataDelta', ids);
  expect(messages).toHaveLength(2);
  const onlyHere = rsiod.servers.get('pi-2')!.named('db')!;
  onlyHere.snapshots = onlyHere.snapshots.slice(0, 1);
  await expect(client.stream('SnapshotMetadata', 'GetMetadataDelta', ids)).rejects.toMatchObject({ status: 'INVALID_ARGUMENT' });
});
