// Kills the driver before and after each of its requests to rsiod, and repeats the call with the next driver. Whatever the step, the end is
// the same as without a kill, and the same call once more changes nothing.

import { expect, test } from 'vitest';
import { controllerOver, killedAtEachStep, newVolume, WRITER } from '../testing/csi-scene.ts';
import { CONTROLLER, FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';

interface World {
  readonly rsiod: FakeRsiod;
  readonly volumeId: string;
  readonly snapshotId: string;
}

const NOTHING = { volumeId: '', snapshotId: '' };

async function empty(servers: readonly string[] = ['big-9']): Promise<World> {
  return { rsiod: new FakeRsiod(servers), ...NOTHING };
}

/** A world with the volume `one`, published to node-1, and its snapshot `a`. */
async function filled(): Promise<World> {
  const rsiod = new FakeRsiod();
  const client = controllerOver(rsiod);
  const { volume } = await client.call('Controller', 'CreateVolume', newVolume('one'));
  const { volumeId } = volume as { volumeId: string };
  await client.call('Controller', 'ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: WRITER });
  const { snapshot } = await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name: 'a' });
  return { rsiod, volumeId, snapshotId: snapshot.snapshotId as string };
}

function namesIn({ rsiod }: World): string[] {
  return rsiod.server.volumes.map(({ view }) => view.name);
}

test('create: one volume', async () => {
  const steps = await killedAtEachStep(
    empty,
    (client) => client.call('Controller', 'CreateVolume', newVolume('one')),
    (world) => expect(namesIn(world)).toEqual(['one']),
  );
  expect(steps).toBeGreaterThan(5);
});

test('create from a snapshot: one complete clone, and nothing unfinished', async () => {
  const steps = await killedAtEachStep(
    filled,
    (client, { snapshotId }) =>
      client.call(
        'Controller',
        'CreateVolume',
        newVolume('clone', {
          volumeContentSource: { snapshot: { snapshotId } },
          capacityRange: { requiredBytes: 2 * GIB },
          mutableParameters: { iops: '5' },
        }),
      ),
    (world) => {
      expect(namesIn(world)).toEqual(['one', 'clone']);
      expect(world.rsiod.server.named('clone')?.view).toMatchObject({ sizeBytes: 2 * GIB, clients: [CONTROLLER] });
    },
  );
  expect(steps).toBeGreaterThan(12);
});

test('create from a volume: one complete copy, and nothing unfinished', async () => {
  await killedAtEachStep(
    filled,
    (client, { volumeId }) =>
      client.call('Controller', 'CreateVolume', newVolume('copy', { volumeContentSource: { volume: { volumeId } } })),
    (world) => {
      expect(namesIn(world)).toEqual(['one', 'copy']);
      expect(world.rsiod.server.count('volume-copy')).toBe(1);
    },
  );
});

test('create a mirror: one mirror whose replicas are private', async () => {
  await killedAtEachStep(
    () => empty(['pi-1', 'pi-2', 'pi-3']),
    (client) => client.call('Controller', 'CreateVolume', newVolume('db', { parameters: { servers: 'pi-1,pi-2', witness: 'pi-3' } })),
    ({ rsiod }) => {
      expect(rsiod.mirrors.all).toHaveLength(1);
      for (const name of ['pi-1', 'pi-2']) expect(rsiod.servers.get(name)?.volumes.map(({ view }) => view.clients)).toEqual([[CONTROLLER]]);
    },
  );
});

test('publish, unpublish, expand and modify', async () => {
  const changes: readonly (readonly [method: string, request: object, check: (world: World) => void])[] = [
    [
      'ControllerPublishVolume',
      { nodeId: 'node-1', volumeCapability: WRITER },
      ({ rsiod }) => expect(rsiod.server.named('one')?.view.clients).toEqual([CONTROLLER, 'node-1']),
    ],
    [
      'ControllerUnpublishVolume',
      { nodeId: 'node-1' },
      ({ rsiod }) => expect(rsiod.server.named('one')?.view.clients).toEqual([CONTROLLER]),
    ],
    [
      'ControllerExpandVolume',
      { capacityRange: { requiredBytes: 3 * GIB } },
      ({ rsiod }) => expect(rsiod.server.named('one')?.view.sizeBytes).toBe(3 * GIB),
    ],
    [
      'ControllerModifyVolume',
      { mutableParameters: { iops: '5' } },
      ({ rsiod }) => expect(rsiod.server.count('volume-set')).toBeGreaterThan(0),
    ],
  ];
  for (const [method, request, check] of changes)
    await killedAtEachStep(filled, (client, { volumeId }) => client.call('Controller', method, { volumeId, ...request }), check);
});

test('snapshots and group snapshots', async () => {
  const names = ({ rsiod }: World): string[] => rsiod.server.named('one')?.snapshots.map(({ snapshot }) => snapshot) ?? [];
  await killedAtEachStep(
    filled,
    (client, { volumeId }) => client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name: 'b' }),
    (world) => expect(names(world)).toEqual(['a', 'b']),
  );
  await killedAtEachStep(
    filled,
    (client, { snapshotId }) => client.call('Controller', 'DeleteSnapshot', { snapshotId }),
    (world) => expect(names(world)).toEqual([]),
  );
  await killedAtEachStep(
    filled,
    (client, { volumeId }) => client.call('GroupController', 'CreateVolumeGroupSnapshot', { name: 'g', sourceVolumeIds: [volumeId] }),
    (world) => expect(names(world)).toHaveLength(2),
  );
});

test('snapshots of a mirror, which is given back whatever the step', async () => {
  const world = async (): Promise<World> => {
    const rsiod = new FakeRsiod(['pi-1', 'pi-2', 'pi-3']);
    const client = controllerOver(rsiod);
    const parameters = { servers: 'pi-1,pi-2', witness: 'pi-3' };
    const { volume } = await client.call('Controller', 'CreateVolume', newVolume('db', { parameters }));
    const { volumeId } = volume as { volumeId: string };
    const { snapshot } = await client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name: 'a' });
    return { rsiod, volumeId, snapshotId: snapshot.snapshotId as string };
  };
  const check =
    (names: readonly string[]) =>
    ({ rsiod }: World): void => {
      for (const name of ['pi-1', 'pi-2'])
        expect(
          rsiod.servers
            .get(name)
            ?.named('db')
            ?.snapshots.map(({ snapshot }) => snapshot),
        ).toEqual(names);
      expect(rsiod.mirrors.all[0]?.holder).toBeNull();
      expect(rsiod.orders.size).toBe(0);
    };
  const steps = await killedAtEachStep(
    world,
    (client, { volumeId }) => client.call('Controller', 'CreateSnapshot', { sourceVolumeId: volumeId, name: 'b' }),
    check(['a', 'b']),
  );
  expect(steps).toBeGreaterThan(10);
  await killedAtEachStep(world, (client, { snapshotId }) => client.call('Controller', 'DeleteSnapshot', { snapshotId }), check([]));
});

test('delete', async () => {
  const lonely = async (): Promise<World> => {
    const world = await filled();
    const client = controllerOver(world.rsiod);
    await client.call('Controller', 'DeleteSnapshot', { snapshotId: world.snapshotId });
    await client.call('Controller', 'ControllerUnpublishVolume', { volumeId: world.volumeId, nodeId: 'node-1' });
    return world;
  };
  await killedAtEachStep(
    lonely,
    (client, { volumeId }) => client.call('Controller', 'DeleteVolume', { volumeId }),
    (world) => expect(namesIn(world)).toEqual([]),
  );
});
