// Devices that cannot be made, and devices that a user interferes with. In each case, the daemon prints one line with the remedy, leaves
// nothing half-done, and continues to serve all other devices. Other obstacles: test/integration/block-devices.test.ts (nodes, mounts, lost
// loop devices, two volumes of one name, parts of blocks), devices/device-paths.test.ts (names that leave the folder),
// fuse/fuse-session.test.ts (oversized requests) and rights.test.ts. Invariant: each test leaves nothing attached, because all tests except
// the last share their daemons.

import { existsSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { startClient } from '../support/hosts/configs.ts';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 30_000;
const TEST_MS = 240_000;
const MANY = 40;

/** Mounts a nearly empty /dev over the real /dev, in the mount namespace of the host. `$1`: root of the host. */
const BARE_DEV = `
mkdir "$1/bare"
mount -t tmpfs tmpfs "$1/bare"
for name in null zero random urandom; do cp -a "/dev/$name" "$1/bare"; done
mount --move "$1/bare" /dev
`;

const hosts = useHosts('file');
let shared: Promise<DeviceScene> | undefined;

beforeEach((context) => needDevices(context));

/**
 * Starts the scene that the tests share. The volume oracle has its own small disk; the volume own belongs to another client; the volume
 * shown is read-only and has an empty file system.
 */
function sharedScene(): Promise<DeviceScene> {
  const small = 'mkdir -p "$1"/small; mount -t tmpfs -o size=24m tmpfs "$1"/small';
  shared ??= DeviceScene.begin(hosts, 'block', {
    before: `${small}; mkdir -p "$1"/storage; truncate -s 16m "$1"/storage/shown.img; mkfs.ext4 -q "$1"/storage/shown.img || true`,
    volumes: (host) => ({
      oracle: { path: host.file('small/oracle.img'), blocksize: '4096' },
      other: { type: 'memory', size: '8m' },
      own: { type: 'memory', size: '8m', clients: 'venus' },
      shown: { path: host.file('storage/shown.img'), readonly: 'yes' },
    }),
  });
  return shared;
}

/** Expects that the volume has no attachment, mount or device node. */
async function expectNothing({ host, devices, raw, block }: DeviceScene): Promise<void> {
  expect(await host.rsconfigWell('-l')).toBe('');
  expect(devices.mounts().filter((place) => place !== host.file('small'))).toEqual([]);
  expect([raw, block].filter((place) => existsSync(place))).toEqual([]);
}

it(
  'without /dev/fuse or a free loop device an attach is refused with the remedy, and succeeds once they exist',
  async () => {
    const scene = await sharedScene();
    const { devices, host, block, raw } = scene;
    await devices.well(BARE_DEV, host.root);
    const refusals: readonly (readonly [prepare: string, sentence: string])[] = [
      ['true', 'device = block is not possible, because there is no /dev/fuse (modprobe fuse): load it, or use nbd-socket'],
      [
        'mknod /dev/fuse c 10 229',
        'device = block is not possible, because there is no /dev/loop-control (modprobe loop): load it, or use raw',
      ],
      [
        'mknod /dev/loop-control c 10 237; mv /dev/fuse /dev/good; mknod /dev/fuse c 10 253',
        '/dev/fuse cannot be opened (ENODEV): load the module fuse, or use device = nbd-socket',
      ],
      [
        'mv /dev/good /dev/fuse',
        `No free loop device for ${raw} (failed to set up loop device: No such file or directory): see losetup --list, or use device = raw`,
      ],
    ];
    for (const [prepare, sentence] of refusals) {
      await devices.well(prepare);
      const { code, stderr } = await host.rsconfig('-a', 'oracle');
      expect(stderr).toContain(sentence);
      expect(stderr).toContain('[E_SYSTEM]');
      expect(code).toBe(1);
      await expectNothing(scene);
    }
    await devices.well('umount --lazy /dev');
    expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${block}\n`);
    await host.rsconfigWell('-d');
    await expectNothing(scene);
  },
  TEST_MS,
);

it(
  'a volume that the server denies gets no device: another client holds it, or this client may not use it',
  async () => {
    const scene = await sharedScene();
    const { host, network, block } = scene;
    const venus = hosts.host();
    await startClient(venus, network, { node: 'venus', client: 1 });
    await venus.rsconfigWell('-a', 'oracle');
    const held = await host.rsconfig('-a', 'oracle');
    expect(held.stderr).toContain('[E_HELD]');
    expect(held.stderr).toContain('venus');
    const own = await host.rsconfig('-a', 'own');
    expect([held.code, own.code]).toEqual([1, 1]);
    expect(own.stderr).toContain('[E_');
    await expectNothing(scene);
    await venus.rsconfigWell('-d');
    expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${block}\n`);
    await host.rsconfigWell('-d');
    await venus.stop('rsiod');
  },
  TEST_MS,
);

it(
  "the server's disk is full: writers get ENOSPC, reads and other volumes continue, and writes succeed once there is room",
  async () => {
    const scene = await sharedScene();
    const { devices, host, raw, block } = scene;
    await host.rsconfigWell('-a', 'oracle', 'other');
    await devices.well('dd if=/dev/urandom of="$1"/first bs=1M count=4; dd if="$1"/first of="$2" bs=1M oflag=direct', host.root, block);
    await devices.well('dd if=/dev/zero of="$1"/small/filler bs=1M count=64 2> /dev/null || true', host.root);
    for (const device of [raw, block]) {
      const full = await devices.shell('dd if=/dev/urandom of="$1" bs=1M seek=64 count=1 oflag=direct conv=notrunc', device);
      expect(full.stderr).toContain('No space left on device');
    }
    await devices.well('cmp -n 4194304 "$1"/first "$2"; dd if=/dev/urandom of="$1"/second bs=1M count=4', host.root, block);
    // A program can still overwrite the blocks of oracle that have space on the full disk. The full disk does not affect the other volume.
    await devices.well('dd if="$1"/second of="$2" bs=1M oflag=direct conv=notrunc', host.root, block);
    await devices.well('dd if="$1"/second of="$2" bs=1M oflag=direct', host.root, scene.place('other'));
    await devices.well('rm "$1"/small/filler; dd if="$1"/first of="$2" bs=1M seek=64 oflag=direct conv=notrunc', host.root, block);
    await devices.well('cmp -n 4194304 "$1"/second "$2"; dd if="$2" bs=1M skip=64 count=4 iflag=direct | cmp "$1"/first', host.root, raw);
    await host.rsconfigWell('-d');
  },
  TEST_MS,
);

it(
  'a read-only volume is not mounted for writing; a block device also refuses parts of blocks and ranges past the end',
  async (context) => {
    needTool(context, 'mkfs.ext4', 'e2fsprogs');
    const scene = await sharedScene();
    const { devices, host, block } = scene;
    await host.rsconfigWell('-a', 'oracle', 'shown');
    const mount = scene.folder('mnt');
    const writable = await devices.shell('mount -o rw "$1" "$2"', scene.place('shown'), mount);
    expect(writable.stderr).toContain('write-protected, mounted read-only');
    expect((await devices.shell('touch "$1"/file', mount)).stderr).toContain('Read-only file system');
    await devices.well('umount "$1"', mount);

    const dd = async (words: string): Promise<string> => (await devices.shell(`dd if=/dev/zero of="$1" ${words}`, block)).stderr;
    expect(await dd('bs=512 count=1 oflag=direct')).toContain('Invalid argument');
    expect(await dd('bs=4096 count=1 seek=512 oflag=direct,seek_bytes')).toContain('Invalid argument');
    expect(await dd('bs=1M seek=95 count=2 oflag=direct')).toContain('No space left on device');
    expect(await dd('bs=1M seek=96 count=1')).toContain('No space left on device');
    await host.rsconfigWell('-d');
  },
  TEST_MS,
);

it(
  'a raw device unmounted by hand is gone with a message, even under its loop device; detach and attach restore it',
  async () => {
    const scene = await sharedScene();
    const { devices, host, raw, block } = scene;
    const other = scene.place('other');
    await host.rsconfigWell('-a', 'oracle', 'other');
    expect((await devices.shell('umount "$1"', raw)).stderr).toContain('target is busy');
    await devices.well('losetup --detach "$(readlink "$2")"; umount "$1"', raw, block);
    await waitFor(() => host.log('rsiod').includes(`Raw device ${raw} of osl:oracle@0 is gone`), WAIT_MS, 'It is said');
    await host.logged('rsiod', /is gone \(.+\): restore it with rsconfig -d and -a/);
    // Programs that still have the device open can continue to use it until the last program ends.
    await devices.well('umount --lazy "$1"; dd if=/dev/urandom of="$2" bs=1M count=1 oflag=direct', scene.place('rother'), other);
    for (const [name, device] of [
      ['oracle', block],
      ['other', other],
    ] as const) {
      expect(await host.rsconfigWell('-d', name)).toBe(`osl:${name}@0 detached\n`);
      expect(await host.rsconfigWell('-a', name)).toBe(`osl:${name}@0 attached ${device}\n`);
      await devices.well('dd if="$1" of=/dev/null bs=1M count=1 iflag=direct', device);
    }
    await host.rsconfigWell('-d');
    await expectNothing(scene);
  },
  TEST_MS,
);

it(
  'forty volumes attach at once, and again in the next daemon; one that fails does not stop the others',
  async () => {
    const names = Array.from({ length: MANY }, (_, number) => `v${number}`);
    const volumes = Object.fromEntries(names.map((name) => [name, { type: 'null', size: '1m' }]));
    const scene = await DeviceScene.begin(hosts, 'raw', { volumes: () => volumes });
    const { devices, host, raw } = scene;
    await devices.well('mkdir -p "$(dirname "$1")"; echo mine > "$1"', raw);
    const { code, stdout, stderr } = await host.rsconfig('-a');
    expect(stderr).toContain(`${raw} exists already and is no device of rsiod`);
    expect(code).toBe(1);
    const places = names.map((name) => scene.place(`r${name}`));
    expect(stdout).toBe(names.map((name, at) => `osl:${name}@0 attached ${places[at]}\n`).join(''));
    expect(devices.mounts().toSorted()).toEqual(places.toSorted());
    await host.stop('rsiod');
    expect(devices.mounts()).toEqual([]);
    await host.start('rsiod');
    await waitFor(() => devices.mounts().length === MANY, WAIT_MS, 'All are there again');
    await devices.well('for one in "$(dirname "$1")"/rv*; do dd if="$one" of=/dev/null bs=4k count=1; done', raw);
    expect((await host.rsconfigWell('-d')).split('\n')).toHaveLength(MANY + 1);
    expect(devices.mounts()).toEqual([]);
  },
  TEST_MS,
);
