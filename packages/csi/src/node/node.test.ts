// Tests the calls of the node with a client over real gRPC. The rsiod and the machine are in memory; test/integration/csi-node.test.ts uses
// real devices and mounts. Rules: G45.

import { expect, test } from 'vitest';
import { NODE_VOLUMES_MAX } from '../limits.ts';
import { BLOCK_WRITER, hurriedClock, WRITER } from '../testing/csi-scene.ts';
import type { CsiClient } from '../testing/csi-client.ts';
import { DEVICE, nodeScene, type NodeWorld, nodeWorld, publishRequest, stageRequest, STAGING, TARGET } from '../testing/node-scene.ts';
import { GIB } from '../testing/fake-servers.ts';

const SINGLE = { ...WRITER, accessMode: { mode: 'SINGLE_NODE_SINGLE_WRITER' } };
const READER = { ...WRITER, accessMode: { mode: 'SINGLE_NODE_READER_ONLY' } };

async function started(changes: { readonly shared?: boolean } = {}): Promise<NodeWorld & { readonly client: CsiClient }> {
  const world = nodeWorld(changes);
  return { ...world, client: (await nodeScene(world, hurriedClock())).client };
}

test('the node announces its client, its calls and how many volumes it takes', async () => {
  const { client } = await started();
  expect(await client.call('Node', 'NodeGetInfo')).toEqual({
    nodeId: 'node-1',
    maxVolumesPerNode: NODE_VOLUMES_MAX,
    accessibleTopology: { segments: { 'topology.rsio.csi/namespace': 'osl-200' } },
  });
  const { capabilities } = await client.call('Node', 'NodeGetCapabilities');
  expect(capabilities.map((one: { rpc: { type: string } }) => one.rpc.type)).toContain('STAGE_UNSTAGE_VOLUME');
});

test('one life of a volume: stage, publish, unpublish, unstage, each twice', async () => {
  const world = await started();
  const { client, host, rsiod, records } = world;
  for (let times = 0; times < 2; times++) await client.call('Node', 'NodeStageVolume', stageRequest(world));
  expect(host.mounted.map(({ mountPoint }) => mountPoint)).toEqual([STAGING]);
  expect(host.device(DEVICE).made).toBe(1);
  for (let times = 0; times < 2; times++) await client.call('Node', 'NodePublishVolume', publishRequest(world));
  expect(host.mounted.map(({ mountPoint }) => mountPoint)).toEqual([STAGING, TARGET]);
  for (let times = 0; times < 2; times++)
    await client.call('Node', 'NodeUnpublishVolume', { volumeId: world.volumeId, targetPath: TARGET });
  expect(host.paths.has(TARGET)).toBe(false);
  for (let times = 0; times < 2; times++)
    await client.call('Node', 'NodeUnstageVolume', { volumeId: world.volumeId, stagingTargetPath: STAGING });
  expect([host.mounted, rsiod.attached, records.all.size]).toEqual([[], [], 0]);
});

test('a call without volume, path or capability is refused', async () => {
  const world = await started();
  const { client, volumeId } = world;
  const cases: readonly (readonly [method: string, request: object])[] = [
    ['NodeStageVolume', stageRequest(world, { volumeId: '' })],
    ['NodeStageVolume', stageRequest(world, { stagingTargetPath: '' })],
    ['NodeStageVolume', stageRequest(world, { stagingTargetPath: '/var/../etc' })],
    ['NodeStageVolume', stageRequest(world, { volumeCapability: null })],
    ['NodeUnstageVolume', { volumeId: '', stagingTargetPath: STAGING }],
    ['NodeUnstageVolume', { volumeId, stagingTargetPath: '' }],
    ['NodePublishVolume', publishRequest(world, { volumeId: '' })],
    ['NodePublishVolume', publishRequest(world, { targetPath: '' })],
    ['NodePublishVolume', publishRequest(world, { volumeCapability: null })],
    ['NodeUnpublishVolume', { volumeId: '', targetPath: TARGET }],
    ['NodeUnpublishVolume', { volumeId, targetPath: '' }],
    ['NodeGetVolumeStats', { volumeId: '', volumePath: TARGET }],
    ['NodeGetVolumeStats', { volumeId, volumePath: '' }],
    ['NodeExpandVolume', { volumeId: '', volumePath: TARGET }],
    ['NodeExpandVolume', { volumeId, volumePath: '' }],
  ];
  for (const [method, request] of cases)
    expect(await client.refusal('Node', method, request), `${method} ${JSON.stringify(request)}`).toBe('INVALID_ARGUMENT');
});

test('a volume that is not offered to this client, or not staged, is not found or refused', async () => {
  const world = await started();
  const { client, rsiod } = world;
  expect(await client.refusal('Node', 'NodePublishVolume', publishRequest(world))).toBe('FAILED_PRECONDITION');
  const stored = rsiod.server.named('one')!;
  stored.view = { ...stored.view, clients: ['kubernetes'] };
  expect(await client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('NOT_FOUND');
  rsiod.server.isConnected = false;
  expect(await client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('UNAVAILABLE');
});

test('another volume with the name of the staged one is never taken for it', async () => {
  const world = await started();
  const { rsiod, client } = world;
  const stored = rsiod.server.named('one')!;
  stored.view = { ...stored.view, name: 'renamed' };
  rsiod.server.add({ name: 'one', universe: 0, clients: ['node-1'], owner: null });
  await client.call('Node', 'NodeStageVolume', stageRequest(world));
  expect(rsiod.attached.map(({ name }) => name)).toEqual(['renamed']);
});

test('a volume with data is never formatted, and the refusal says why', async () => {
  for (const [signature, hasBytes, reason] of [
    ['xfs', true, 'has a file system xfs, and not ext4'],
    ['LVM2_member', true, 'another signature'],
    [null, true, 'has data without a known signature'],
  ] as const) {
    const world = await started();
    const device = world.host.device(DEVICE);
    [device.signature, device.hasBytes] = [signature, hasBytes];
    await expect(world.client.call('Node', 'NodeStageVolume', stageRequest(world))).rejects.toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: expect.stringContaining(reason) as string,
    });
    expect(device.made).toBe(0);
  }
  const world = await started();
  world.host.answers.set('blkid', { code: 8, stdout: '', stderr: 'ambivalent result' });
  expect(await world.client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('FAILED_PRECONDITION');
  world.host.answers.set('blkid', { code: 1, stdout: '', stderr: 'Input/output error' });
  expect(await world.client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('UNAVAILABLE');
});

test('a record that the kernel does not confirm blocks nothing: other paths, kinds and modes after a crash or a power cut', async () => {
  const kept = (world: NodeWorld, changes: object): void => {
    const record = {
      label: 'osl:one@0',
      kind: 'mount',
      fsType: 'ext4',
      isReadonly: false,
      mode: 'x',
      stagingPath: '/old',
      ...changes,
    } as const;
    world.records.all.set(world.volumeId, { volumeId: world.volumeId, ...record });
  };
  for (const isAttached of [false, true])
    for (const changes of [{}, { kind: 'block' }, { isReadonly: true }, { stagingPath: STAGING, isReadonly: true }]) {
      const world = await started();
      if (isAttached) await world.rsiod.call('attach', { names: ['osl:one@0'], readOnly: true, server: null, take: 'no' });
      kept(world, { isReadonly: isAttached, ...changes });
      await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
      expect(world.host.mounted).toMatchObject([{ mountPoint: STAGING, isReadonly: false }]);
      expect(world.rsiod.attached).toMatchObject([{ readonly: false }]);
      expect(world.records.all.get(world.volumeId)).toMatchObject({ stagingPath: STAGING, kind: 'mount' });
    }
});

test('a record that the kernel confirms refuses another way, and a published raw volume too', async () => {
  const world = await started();
  const { client, host } = world;
  await client.call('Node', 'NodeStageVolume', stageRequest(world));
  const other = stageRequest(world, { stagingTargetPath: '/other' });
  expect(await client.refusal('Node', 'NodeStageVolume', other)).toBe('ALREADY_EXISTS');
  const raw = await started();
  const block = { volumeCapability: BLOCK_WRITER };
  await raw.client.call('Node', 'NodeStageVolume', stageRequest(raw, block));
  await raw.client.call('Node', 'NodePublishVolume', publishRequest(raw, block));
  expect(await raw.client.refusal('Node', 'NodeStageVolume', stageRequest(raw))).toBe('ALREADY_EXISTS');
  expect(host.device(DEVICE).made).toBe(1);
});

test('a mount of a device that the volume had earlier is replaced, and a strange mount is refused', async () => {
  const world = await started();
  await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
  world.host.mounted[0] = { ...world.host.mounted[0]!, device: '7:99' };
  await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
  expect(world.host.mounted).toMatchObject([{ mountPoint: STAGING, device: world.host.device(DEVICE).number }]);
  const strange = await started();
  strange.host.mounted.push({ device: '8:1', root: '/', mountPoint: STAGING, type: 'ext4', isReadonly: false, options: ['rw'] });
  expect(await strange.client.refusal('Node', 'NodeStageVolume', stageRequest(strange))).toBe('FAILED_PRECONDITION');
});

test('a good volume that once was half formatted elsewhere is mounted, and one with the mark of this volume is made again', async () => {
  const world = await started();
  const device = world.host.device(DEVICE);
  Object.assign(device, { signature: 'ext4', hasBytes: true, needsReplay: true });
  await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
  expect(device).toMatchObject({ made: 0, needsReplay: false });
  const half = await started();
  Object.assign(half.host.device(DEVICE), { hasBytes: true, begunFor: half.volumeId });
  await half.client.call('Node', 'NodeStageVolume', stageRequest(half));
  expect(half.host.device(DEVICE)).toMatchObject({ made: 1, begunFor: null, signature: 'ext4' });
});

test('ext4 is checked before each mount for writing, and what the check does not correct is not mounted', async () => {
  const cases: readonly (readonly [code: number | null, status: string])[] = [
    [0, 'OK'],
    [1, 'OK'],
    [2, 'OK'],
    [4, 'FAILED_PRECONDITION'],
    [12, 'FAILED_PRECONDITION'],
    [8, 'UNAVAILABLE'],
    [null, 'UNAVAILABLE'],
  ];
  for (const [code, status] of cases) {
    const world = await started();
    Object.assign(world.host.device(DEVICE), { signature: 'ext4', hasBytes: true });
    world.host.answers.set('e2fsck', { code, stdout: 'said', stderr: '' });
    expect(await world.client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe(status);
    expect(world.host.mounted).toHaveLength(status === 'OK' ? 1 : 0);
    expect(world.host.ran).toContain(`e2fsck -p ${DEVICE}`);
    // A killed check would start from the beginning at each call.
    expect(world.host.limits.get('e2fsck')).toBe(null);
  }
});

test('the mark of an unfinished file system ends when pods get the device itself for writing', async () => {
  const world = await started();
  const device = world.host.device(DEVICE);
  Object.assign(device, { hasBytes: true, begunFor: world.volumeId });
  const block = stageRequest(world, { volumeCapability: BLOCK_WRITER });
  await world.client.call('Node', 'NodeStageVolume', block);
  expect(device.begunFor).toBe(null);
  await world.client.call('Node', 'NodeUnstageVolume', { volumeId: world.volumeId, stagingTargetPath: STAGING });
  expect(await world.client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('FAILED_PRECONDITION');
  expect(device.made).toBe(0);
});

test('a file system that has failed is seen, is given to no further pod, and is checked and mounted again when no pod has it', async () => {
  for (const fail of [
    (world: NodeWorld) => void (world.host.device(DEVICE).fault = 'EIO'),
    ...['ro', 'shutdown', 'emergency_ro'].map((option) => ({ host }: NodeWorld) => {
      for (const [at, one] of host.mounted.entries()) host.mounted[at] = { ...one, options: ['rw', option] };
    }),
  ]) {
    const world = await started();
    const { client, host, volumeId } = world;
    await client.call('Node', 'NodeStageVolume', stageRequest(world));
    await client.call('Node', 'NodePublishVolume', publishRequest(world));
    fail(world);
    const { volumeCondition } = await client.call('Node', 'NodeGetVolumeStats', { volumeId, volumePath: TARGET });
    expect(volumeCondition).toMatchObject({ abnormal: true, message: expect.stringContaining('The file system has failed') as string });
    for (const method of ['NodeStageVolume', 'NodePublishVolume'])
      expect(await client.refusal('Node', method, publishRequest(world, { targetPath: `${TARGET}-2` }))).toBe('FAILED_PRECONDITION');
    await client.call('Node', 'NodeUnpublishVolume', { volumeId, targetPath: TARGET });
    await client.call('Node', 'NodePublishVolume', publishRequest(world));
    expect(host.mounted.map(({ mountPoint, options }) => [mountPoint, options])).toEqual([
      [STAGING, ['rw']],
      [TARGET, ['rw']],
    ]);
    expect(host.ran).toContain(`e2fsck -p ${DEVICE}`);
    host.device(DEVICE).errors = 3;
    const stats = await client.call('Node', 'NodeGetVolumeStats', { volumeId, volumePath: TARGET });
    expect(stats).toMatchObject({ usage: [{ unit: 'BYTES' }, { unit: 'INODES' }], volumeCondition: { abnormal: true } });
  }
});

test('a file system that its class mounts read-only has not failed', async () => {
  const world = await started();
  await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
  world.host.mounted[0] = { ...world.host.mounted[0]!, isReadonly: true, options: ['ro'] };
  await world.client.call('Node', 'NodeStageVolume', stageRequest(world));
});

test('a crash-consistent clone is mounted read-only after its journal was replayed, never without it', async () => {
  for (const fsType of ['ext4', 'xfs']) {
    const request = { volumeCapability: { ...READER, mount: { fsType, mountFlags: [] } } };
    const world = await started();
    Object.assign(world.host.device(DEVICE), { signature: fsType, hasBytes: true, needsReplay: true });
    await world.client.call('Node', 'NodeStageVolume', stageRequest(world, request));
    expect(world.host.mounted).toMatchObject([{ mountPoint: STAGING, isReadonly: true }]);
    expect([world.rsiod.attached[0]?.readonly, world.host.device(DEVICE).needsReplay]).toEqual([true, false]);
    expect(world.host.ran.join(' ')).not.toMatch(/noload|norecovery/);
    const held = await started();
    Object.assign(held.host.device(DEVICE), { signature: fsType, hasBytes: true, needsReplay: true });
    const stored = held.rsiod.server.named('one')!;
    stored.view = { ...stored.view, holders: [{ node: 'node-2' } as never] };
    expect(await held.client.refusal('Node', 'NodeStageVolume', stageRequest(held, request))).toBe('UNAVAILABLE');
    expect([held.host.mounted, held.rsiod.attached]).toEqual([[], []]);
  }
});

test('a read-only publication cannot write, also after a call that was killed before the remount', async () => {
  const world = await started();
  const { client, host } = world;
  await client.call('Node', 'NodeStageVolume', stageRequest(world));
  host.mounted.push({ ...host.mounted[0]!, mountPoint: TARGET });
  await client.call('Node', 'NodePublishVolume', publishRequest(world, { readonly: true }));
  expect(host.mounted.at(-1)).toMatchObject({ mountPoint: TARGET, isReadonly: true });
  expect(await client.refusal('Node', 'NodePublishVolume', publishRequest(world))).toBe('ALREADY_EXISTS');
});

test('a volume that is published read-only to the node is attached read-only, and gets no file system', async () => {
  const world = await started();
  const { client, host, rsiod } = world;
  const request = stageRequest(world, { publishContext: { readonly: 'yes' }, volumeCapability: READER });
  expect(await client.refusal('Node', 'NodeStageVolume', request)).toBe('FAILED_PRECONDITION');
  expect(rsiod.attached[0]).toMatchObject({ readonly: true });
  const device = host.device(DEVICE);
  [device.signature, device.hasBytes] = ['ext4', true];
  await client.call('Node', 'NodeStageVolume', request);
  expect(host.mounted[0]).toMatchObject({ isReadonly: true });
  expect(device.enlarged).toBe(0);
  expect(await client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('ALREADY_EXISTS');
});

test('a volume for one pod is not published at a second target', async () => {
  const world = await started();
  const { client } = world;
  await client.call('Node', 'NodeStageVolume', stageRequest(world, { volumeCapability: SINGLE }));
  const publish = (targetPath: string): object => publishRequest(world, { volumeCapability: SINGLE, targetPath });
  await client.call('Node', 'NodePublishVolume', publish(TARGET));
  await client.call('Node', 'NodePublishVolume', publish(TARGET));
  expect(await client.refusal('Node', 'NodePublishVolume', publish(`${TARGET}-2`))).toBe('FAILED_PRECONDITION');
  const many = await started();
  await many.client.call('Node', 'NodeStageVolume', stageRequest(many));
  for (const targetPath of [TARGET, `${TARGET}-2`])
    await many.client.call('Node', 'NodePublishVolume', publishRequest(many, { targetPath }));
});

test('a raw block volume is a device file, is not formatted, and is read-only only if the node has it read-only', async () => {
  const world = await started();
  const { client, host } = world;
  const block = { volumeCapability: BLOCK_WRITER };
  await client.call('Node', 'NodeStageVolume', stageRequest(world, block));
  expect(host.device(DEVICE).made).toBe(0);
  expect(await client.refusal('Node', 'NodePublishVolume', publishRequest(world, { ...block, readonly: true }))).toBe(
    'FAILED_PRECONDITION',
  );
  for (let times = 0; times < 2; times++) await client.call('Node', 'NodePublishVolume', publishRequest(world, block));
  expect(host.mounted).toMatchObject([{ root: DEVICE, mountPoint: TARGET }]);
  const single = { ...BLOCK_WRITER, accessMode: { mode: 'SINGLE_NODE_SINGLE_WRITER' } };
  expect(
    await client.refusal('Node', 'NodePublishVolume', publishRequest(world, { volumeCapability: single, targetPath: `${TARGET}-2` })),
  ).toBe('FAILED_PRECONDITION');
  const { usage } = await client.call('Node', 'NodeGetVolumeStats', { volumeId: world.volumeId, volumePath: TARGET });
  expect(usage).toMatchObject([{ unit: 'BYTES', total: GIB }]);
});

test('unpublish removes the target, also if nothing is mounted there', async () => {
  const world = await started();
  await world.host.makeFolder(TARGET);
  await world.client.call('Node', 'NodeUnpublishVolume', { volumeId: world.volumeId, targetPath: TARGET });
  expect(world.host.paths.has(TARGET)).toBe(false);
});

test('use and health: figures while all is well, and only the reason while the I/O waits', async () => {
  const world = await started();
  const { client, rsiod, volumeId } = world;
  const stats = (changes: object = {}): Promise<{ usage: object[]; volumeCondition: object }> =>
    client.call('Node', 'NodeGetVolumeStats', { volumeId, volumePath: TARGET, ...changes });
  await expect(stats()).rejects.toMatchObject({ status: 'NOT_FOUND' });
  await client.call('Node', 'NodeStageVolume', stageRequest(world));
  await client.call('Node', 'NodePublishVolume', publishRequest(world));
  await expect(stats({ volumePath: '/some/path' })).rejects.toMatchObject({ status: 'NOT_FOUND' });
  expect(await stats()).toMatchObject({
    usage: [
      { unit: 'BYTES', total: 1_000, available: 400, used: 600 },
      { unit: 'INODES', total: 100, available: 90, used: 10 },
    ],
    volumeCondition: { abnormal: false },
  });
  rsiod.attached[0] = { ...rsiod.attached[0]!, state: 'waiting' };
  rsiod.waiting.set('osl:one@0', 'a path to server big-9');
  expect(await stats()).toEqual({
    usage: [],
    volumeCondition: { abnormal: true, message: 'The I/O of the volume waits: a path to server big-9' },
  });
});

test('the file system grows to the size of the volume, once the kernel knows it', async () => {
  const world = await started();
  const { client, host, rsiod, volumeId } = world;
  const expand = (requiredBytes: number): Promise<object> =>
    client.call('Node', 'NodeExpandVolume', { volumeId, volumePath: TARGET, capacityRange: { requiredBytes } });
  await expect(expand(GIB)).rejects.toMatchObject({ status: 'NOT_FOUND' });
  await client.call('Node', 'NodeStageVolume', stageRequest(world));
  await client.call('Node', 'NodePublishVolume', publishRequest(world));
  const before = host.device(DEVICE).enlarged;
  await expect(expand(2 * GIB)).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  rsiod.attached[0] = { ...rsiod.attached[0]!, blocks: (2 * GIB) / 512 };
  expect(await expand(2 * GIB)).toEqual({ capacityBytes: 2 * GIB });
  expect(await expand(2 * GIB)).toEqual({ capacityBytes: 2 * GIB });
  expect(host.device(DEVICE).enlarged).toBe(before + 2);
  rsiod.attached[0] = { ...rsiod.attached[0]!, blocks: (3 * GIB) / 512 };
  host.kernelBytes = 2 * GIB;
  await expect(expand(0)).rejects.toMatchObject({ status: 'UNAVAILABLE' });
});

test('a program that hangs or fails is named with what it printed', async () => {
  const world = await started();
  world.host.answers.set('mkfs.ext4', { code: 1, stdout: '', stderr: 'mkfs.ext4: Device size reported to be zero\n' });
  await expect(world.client.call('Node', 'NodeStageVolume', stageRequest(world))).rejects.toMatchObject({
    status: 'INTERNAL',
    message: expect.stringMatching(/^mkfs\.ext4 .* ended with 1: mkfs\.ext4: Device size reported to be zero$/) as string,
  });
  world.host.answers.set('mkfs.ext4', { code: null, stdout: '', stderr: '' });
  expect(await world.client.refusal('Node', 'NodeStageVolume', stageRequest(world))).toBe('DEADLINE_EXCEEDED');
});
