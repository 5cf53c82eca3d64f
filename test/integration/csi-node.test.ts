// The CSI driver of a node with real daemons, devices and mounts, as root: what a pod sees of its volume, a driver that is killed and replaced
// under verified I/O, killed calls, and volumes with data, which are never formatted. packages/csi/src/node has the tests of all calls and
// of a kill at each step. Skipped without /dev/fuse or loop devices. Rules: G45.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { unsealed } from '@rsio/base/testing/unsealed';
import { expect, it, type TestContext } from 'vitest';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { makeEmptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CsiDriver } from '../support/scenes/csi-driver.ts';

const MIB = 1 << 20;
const SOON_MS = 30_000;
const LONG_MS = 240_000;
const SIZE = '320m';
/** Options of fio in the folder of the pod. fio verifies the data that it reads. */
const FIO = [
  ...['--name=pod', '--rw=randwrite', '--bs=8k', '--direct=1', '--ioengine=libaio', '--iodepth=4', '--size=16m'],
  ...[
    '--verify=crc32c',
    '--verify_backlog=32',
    '--verify_fatal=1',
    '--verify_state_save=0',
    '--time_based',
    '--runtime=30',
    '--rate_iops=300',
  ],
];

const hosts = useHosts();

interface Scene {
  readonly devices: DeviceScene;
  readonly host: Host;
  readonly driver: CsiDriver;
}

async function begin(context: TestContext): Promise<Scene> {
  needDevices(context);
  needPrograms(context, 'perl', 'mkfs.ext4', 'mkfs.xfs');
  const devices = await DeviceScene.begin(hosts, 'block');
  const { host } = devices;
  const pool = path.join(host.root, 'pool');
  await devices.devices.well('mkdir "$1"', pool);
  await makeEmptyPool(pool);
  await host.rsadmWell('pool', 'add', 'fast', pool);
  const driver = await CsiDriver.start(host, 'node', ['--state', host.file('csi-state')]);
  return { devices, host, driver };
}

/** Creates a volume for this node. Returns its id for the orchestrator. */
async function volume({ host }: Scene, name: string): Promise<string> {
  const text = await host.rsadmWell('volume', 'create', name, '--size', SIZE, '--clients', 'big-2', '--json');
  return `volume.${(JSON.parse(text) as { volume: { id: string } }).volume.id}`;
}

function capability(fsType: string): object {
  return { accessType: 'mount', mount: { fsType, mountFlags: ['noatime'] }, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
}

interface Request {
  readonly volumeId: string;
  readonly stagingTargetPath: string;
  readonly targetPath: string;
  readonly volumePath: string;
}

function requestFor({ host }: Scene, volumeId: string, fsType = 'ext4'): Request {
  const [stagingTargetPath, targetPath] = [host.file('kubelet/staging/x'), host.file('kubelet/pods/one/mount')];
  const context = { publishContext: { readonly: 'no' }, volumeCapability: capability(fsType) };
  return { volumeId, stagingTargetPath, targetPath, volumePath: targetPath, ...context };
}

it('a pod keeps its files and its I/O while the driver is killed and replaced, and while the volume grows', {
  timeout: LONG_MS,
}, async (context) => {
  needTool(context, 'fio', 'fio');
  const scene = await begin(context);
  const { devices, host, driver } = scene;
  const { client } = driver;
  const volumeId = await volume(scene, 'pvc-1');
  // Online growth of ext4 needs CAP_SYS_RESOURCE, which not every machine gives to root.
  const request = requestFor(scene, volumeId, 'xfs');
  expect(await client.call('Node', 'NodeGetInfo')).toMatchObject({ nodeId: 'big-2', maxVolumesPerNode: 64 });
  for (const method of ['NodeStageVolume', 'NodeStageVolume', 'NodePublishVolume', 'NodePublishVolume'])
    await client.call('Node', method, request);
  await devices.devices.well('echo kept > "$1/file" && sync "$1/file"', request.targetPath);
  const fio = devices.beside('fio', [`--directory=${request.targetPath}`, ...FIO]);
  await waitFor(
    () => devices.devices.shell('test "$(stat -c %b "$1"/pod*)" -gt 100', request.targetPath).then(({ code }) => code === 0),
    SOON_MS,
    'fio writes',
  );
  await driver.end('SIGKILL');
  await driver.again();
  for (const method of ['NodeStageVolume', 'NodePublishVolume']) await client.call('Node', method, request);
  await host.rsadmWell('volume', 'grow', 'pvc-1', '400m');
  const grown = await client.call('Node', 'NodeExpandVolume', { ...request, capacityRange: { requiredBytes: 400 * MIB } });
  expect(grown).toEqual({ capacityBytes: 400 * MIB });
  const { usage, volumeCondition } = await client.call('Node', 'NodeGetVolumeStats', request);
  expect(usage[0].total).toBeGreaterThan(300 * MIB);
  expect(volumeCondition.abnormal).toBe(false);
  await driver.end('SIGTERM');
  await driver.again();
  fio.kill('SIGTERM');
  expect((await fio.ended).stdout).toMatch(/err= 0/);
  const readOnly = { ...request, targetPath: host.file('kubelet/pods/two/mount'), readonly: true };
  await client.call('Node', 'NodePublishVolume', readOnly);
  const wrong = await devices.devices.shell('cat "$1/file"; echo more > "$1/file"', readOnly.targetPath);
  expect([wrong.stdout, wrong.code]).toEqual(['kept\n', 2]);
  for (const { targetPath } of [request, readOnly, request]) await client.call('Node', 'NodeUnpublishVolume', { volumeId, targetPath });
  expect(existsSync(request.targetPath)).toBe(false);
  for (let times = 0; times < 2; times++) await client.call('Node', 'NodeUnstageVolume', request);
  expect([devices.devices.mounts().filter((place) => place.includes('kubelet')), (await host.call('local', {})).attachments]).toEqual([
    [],
    [],
  ]);
  await client.call('Node', 'NodeStageVolume', request);
  expect(await devices.devices.well('cat "$1/file"', request.stagingTargetPath)).toBe('kept\n');
  await client.call('Node', 'NodeUnstageVolume', request);
});

it('a driver that is killed with its mkfs leaves a volume that the next call completes, with each file system', {
  timeout: LONG_MS,
}, async (context) => {
  const scene = await begin(context);
  const { devices, driver } = scene;
  for (const fsType of ['ext4', 'xfs']) {
    const request = requestFor(scene, await volume(scene, fsType), fsType);
    const staged = driver.client.call('Node', 'NodeStageVolume', request).catch(() => 'failed');
    // The kill comes while mkfs works or, if mkfs is quick, before it begins or after it ends. The next call must continue in each case.
    const hunt = 'for try in $(seq 200); do pkill -KILL -f "^mkfs.$2 .*$1/dev/av0" && exit; sleep 0.02; done';
    await devices.devices.shell(hunt, devices.host.root, fsType);
    await driver.end('SIGKILL');
    await staged;
    await driver.again();
    for (let times = 0; times < 2; times++) await driver.client.call('Node', 'NodeStageVolume', request);
    await devices.devices.well('echo works > "$1/file" && sync -f "$1"', request.stagingTargetPath);
    await driver.client.call('Node', 'NodeUnstageVolume', request);
  }
});

it('a volume with data is never formatted: file systems, signatures at the end, and data without a signature', {
  timeout: LONG_MS,
}, async (context) => {
  const scene = await begin(context);
  const { devices, host, driver } = scene;
  for (const [name, make, reason] of [
    ['xfs', 'mkfs.xfs -q -f "$1"', 'has a file system xfs, and not ext4'],
    ['swap', 'mkswap -q "$1"', 'another signature'],
    [
      'end',
      'echo precious | dd of="$1" bs=512 seek=$(($(blockdev --getsz "$1") - 8)) conv=sync,fsync status=none',
      'has data without a known signature',
    ],
    ['plain', 'echo precious | dd of="$1" bs=512 conv=sync,fsync status=none', 'has data without a known signature'],
  ] as const) {
    const volumeId = await volume(scene, name);
    await host.rsconfigWell('-a', name);
    const device = devices.place(name);
    await devices.devices.well(`${make}; sync`, device);
    const sum = (): Promise<string> => devices.devices.well('head -c 4M "$1" | cksum; tail -c 4M "$1" | cksum', device);
    const before = await sum();
    const request = requestFor(scene, volumeId);
    await expect(driver.client.call('Node', 'NodeStageVolume', request), name).rejects.toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: expect.stringContaining(reason) as string,
    });
    expect(await sum(), name).toBe(before);
    await driver.client.call('Node', 'NodeUnstageVolume', request);
  }
});

it('a file system that failed is seen, checked and mounted again, and its journal is replayed also for readers, with each file system', {
  timeout: LONG_MS,
}, async (context) => {
  const scene = await begin(context);
  const { devices, host, driver } = scene;
  const { client } = driver;
  const shell = devices.devices;
  for (const fsType of ['ext4', 'xfs']) {
    const volumeId = await volume(scene, `failed-${fsType}`);
    const request = requestFor(scene, volumeId, fsType);
    /** Writes a file durably, so that it may be only in the journal, and then shuts the file system down. */
    const fail = async (name: string): Promise<void> => {
      await shell.well('echo "$2" > "$1/$2" && sync "$1/$2" "$1"', request.stagingTargetPath, name);
      // FS_IOC_SHUTDOWN without a flush of the log.
      await shell.well(
        'perl -e \'open my $d, "<", $ARGV[0]; my $how = pack "L", 2; ioctl $d, 0x8004587d, $how or die $!\' "$1"',
        request.stagingTargetPath,
      );
    };
    for (const method of ['NodeStageVolume', 'NodePublishVolume']) await client.call('Node', method, request);
    await fail('first');
    expect((await client.call('Node', 'NodeGetVolumeStats', request)).volumeCondition).toMatchObject({
      abnormal: true,
      message: expect.stringContaining('The file system has failed') as string,
    });
    const second = { ...request, targetPath: host.file('kubelet/pods/two/mount') };
    expect(await client.refusal('Node', 'NodePublishVolume', second)).toBe('FAILED_PRECONDITION');
    await client.call('Node', 'NodeUnpublishVolume', request);
    await client.call('Node', 'NodePublishVolume', second);
    expect(await shell.well('cat "$1/first"', second.targetPath)).toBe('first\n');
    expect((await client.call('Node', 'NodeGetVolumeStats', { ...request, volumePath: second.targetPath })).volumeCondition.abnormal).toBe(
      false,
    );
    await client.call('Node', 'NodeUnpublishVolume', second);
    await fail('second');
    await client.call('Node', 'NodeUnstageVolume', request);
    const volumeCapability = { ...capability(fsType), accessMode: { mode: 'MULTI_NODE_READER_ONLY' } };
    const reader = { ...request, volumeCapability, publishContext: { readonly: 'yes' } };
    for (let times = 0; times < 2; times++) await client.call('Node', 'NodeStageVolume', reader);
    const files = await shell.shell('cat "$1/first" "$1/second"; echo x > "$1/third"', request.stagingTargetPath);
    expect([files.stdout, files.code]).toEqual(['first\nsecond\n', 2]);
    expect((await host.call('local', {})).attachments).toMatchObject([{ readonly: true }]);
    await client.call('Node', 'NodeUnstageVolume', reader);
  }
});

it('after a crash, records that nothing confirms block no volume', { timeout: LONG_MS }, async (context) => {
  const scene = await begin(context);
  const { devices, host, driver } = scene;
  const request = requestFor(scene, await volume(scene, 'pvc-1'));
  await driver.client.call('Node', 'NodeStageVolume', request);
  await devices.devices.well('echo kept > "$1/file" && sync "$1/file" && umount "$1"', request.stagingTargetPath);
  const elsewhere = { ...request, stagingTargetPath: host.file('kubelet/staging/after') };
  await driver.client.call('Node', 'NodeStageVolume', elsewhere);
  expect(await devices.devices.well('cat "$1/file"', elsewhere.stagingTargetPath)).toBe('kept\n');
  await devices.devices.well('umount "$1"', elsewhere.stagingTargetPath);
  const volumeCapability = { ...capability('ext4'), accessMode: { mode: 'SINGLE_NODE_READER_ONLY' } };
  await driver.client.call('Node', 'NodeStageVolume', { ...request, volumeCapability, publishContext: { readonly: 'yes' } });
  expect((await host.call('local', {})).attachments).toMatchObject([{ readonly: true }]);
  await driver.client.call('Node', 'NodeUnstageVolume', request);
});

it('a volume that a person or an application wants here stays attached when it is unstaged, and the other way round', {
  timeout: LONG_MS,
}, async (context) => {
  const scene = await begin(context);
  const { host, driver, devices } = scene;
  const names = async (): Promise<string[]> => (await host.call('local', {})).attachments.map(({ name }) => name);
  const request = requestFor(scene, await volume(scene, 'pvc-1'));
  const app = { names: ['pvc-1'], owner: 'rsapp:pg' };
  // The volume is found attached, and the driver claims it.
  await host.rsconfigWell('-a', 'pvc-1');
  await driver.client.call('Node', 'NodeStageVolume', request);
  await driver.client.call('Node', 'NodeUnstageVolume', request);
  expect(await names()).toContain('pvc-1');
  await driver.client.call('Node', 'NodeStageVolume', request);
  await host.rsconfigWell('-d', 'oracle');
  expect((await host.rsconfig('-d', 'pvc-1')).code, 'it is mounted').not.toBe(0);
  await host.call('attach', { ...app, readOnly: false, server: null, take: 'no' });
  await host.call('detach', { names: ['pvc-1'], force: false, owner: 'person' });
  await host.call('detach', { ...app, force: false });
  expect(await names()).toContain('pvc-1');
  await driver.client.call('Node', 'NodeUnstageVolume', request);
  expect(await names()).not.toContain('pvc-1');
  // What an earlier release attached has no recorded owner.
  await driver.client.call('Node', 'NodeStageVolume', request);
  await devices.devices.well('umount "$1"', request.stagingTargetPath);
  await host.kill('rsiod');
  const file = path.join(host.root, 'run/rsio/rsiod/attached.json');
  const stored = JSON.parse(unsealed(readFileSync(file, 'utf8'))) as { content: { attached: Record<string, unknown>[] } };
  for (const one of stored.content.attached) delete one['owners'];
  writeFileSync(file, JSON.stringify(stored));
  await host.start('rsiod');
  await waitFor(async () => (await names()).includes('pvc-1'), SOON_MS, 'it is attached again');
  await driver.client.call('Node', 'NodeUnstageVolume', request);
  expect(await names()).not.toContain('pvc-1');
});
