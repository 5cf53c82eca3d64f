// Kills the driver of a node before and after each request, program and state file, and in the middle of mkfs. The next driver gets the same
// call. Whatever the step, the volume ends as without a kill, and a file system with data is not made twice. Rules: G45.

import { expect, test } from 'vitest';
import { direct, killedAtEachStep, WRITER } from '../testing/csi-scene.ts';
import { DEVICE, nodeServices, type NodeWorld, nodeWorld, publishRequest, stageRequest, STAGING, TARGET } from '../testing/node-scene.ts';

const XFS = { ...WRITER, mount: { fsType: 'xfs' } };

/** A world in which the first calls have been made. */
async function after(...methods: readonly string[]): Promise<NodeWorld> {
  const world = nodeWorld();
  const node = direct((calls) => nodeServices(world, calls));
  for (const method of methods) await node.call('Node', method, publishRequest(world));
  return world;
}

test.each([
  ['ext4', WRITER],
  ['xfs', XFS],
])('stage with %s: one complete file system, mounted once', async (type, volumeCapability) => {
  const steps = await killedAtEachStep(
    () => after(),
    (client, world) => client.call('Node', 'NodeStageVolume', stageRequest(world, { volumeCapability })),
    ({ host, records, rsiod, volumeId }) => {
      const device = host.device(DEVICE);
      expect(device).toMatchObject({ signature: type, isXfsBegun: false, begunFor: null });
      expect(device.made).toBeLessThanOrEqual(2);
      expect(host.mounted.map(({ mountPoint }) => mountPoint)).toEqual([STAGING]);
      expect([records.all.has(volumeId), rsiod.attached.length]).toEqual([true, 1]);
    },
    nodeServices,
  );
  expect(steps).toBeGreaterThan(15);
});

test('a read-only clone with a journal: it is replayed, and then attached read-only', async () => {
  await killedAtEachStep(
    async () => {
      const world = nodeWorld();
      Object.assign(world.host.device(DEVICE), { signature: 'xfs', hasBytes: true, needsReplay: true });
      return world;
    },
    (client, world) =>
      client.call('Node', 'NodeStageVolume', stageRequest(world, { volumeCapability: XFS, publishContext: { readonly: 'yes' } })),
    ({ host, rsiod }) => {
      expect(host.mounted).toMatchObject([{ mountPoint: STAGING, isReadonly: true }]);
      expect(rsiod.attached).toMatchObject([{ readonly: true }]);
      expect(host.device(DEVICE)).toMatchObject({ made: 0, needsReplay: false });
    },
    nodeServices,
  );
});

test('publish: one bind mount, read-only if that was asked for', async () => {
  await killedAtEachStep(
    () => after('NodeStageVolume'),
    (client, world) => client.call('Node', 'NodePublishVolume', publishRequest(world, { readonly: true })),
    ({ host }) =>
      expect(host.mounted.map(({ mountPoint, isReadonly }) => [mountPoint, isReadonly])).toEqual([
        [STAGING, false],
        [TARGET, true],
      ]),
    nodeServices,
  );
});

test('unpublish and unstage: nothing is left', async () => {
  await killedAtEachStep(
    () => after('NodeStageVolume', 'NodePublishVolume'),
    (client, { volumeId }) => client.call('Node', 'NodeUnpublishVolume', { volumeId, targetPath: TARGET }),
    ({ host }) => expect([host.mounted.length, host.paths.has(TARGET)]).toEqual([1, false]),
    nodeServices,
  );
  await killedAtEachStep(
    () => after('NodeStageVolume'),
    (client, { volumeId }) => client.call('Node', 'NodeUnstageVolume', { volumeId, stagingTargetPath: STAGING }),
    ({ host, rsiod, records }) => expect([host.mounted, rsiod.attached, records.all.size]).toEqual([[], [], 0]),
    nodeServices,
  );
});

test('expand', async () => {
  await killedAtEachStep(
    () => after('NodeStageVolume', 'NodePublishVolume'),
    (client, { volumeId }) => client.call('Node', 'NodeExpandVolume', { volumeId, volumePath: TARGET }),
    ({ host }) => expect(host.device(DEVICE).enlarged).toBeGreaterThan(1),
    nodeServices,
  );
});
