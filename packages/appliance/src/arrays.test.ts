// Pools and replaced disks: a step that fails leaves the disks free, and nothing is erased that is used, too small, or not what the question
// has shown.

import { mkdirSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { useApplianceScene } from './testing/appliance-scene.ts';
import { adoptArray, eraseDisk, makePool, removeArray, replaceDisk, storageNow } from './arrays.ts';
import { overwriteText, UNKNOWN_CONTENT } from './disks.ts';
import { readSettings, writeSettings, FIRST_SETTINGS } from './settings.ts';

const scene = useApplianceScene('etc', 'proc', 'dev', 'sys/block/md127/md', 'config/dvsc');
const UUID = '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21';
const WANTED = { name: 'fast', level: 'raid1', disks: ['sdb', 'sdc'], typed: ['sdb', 'sdc'] } as const;
let disks: readonly object[];
const diskOf = (name: string, more: object = {}): object => ({
  name,
  type: 'disk',
  size: 1e9,
  serial: `S-${name}`,
  mountpoints: [],
  ...more,
});
const mdstat = (text: string): void => writeFileSync(`${scene.root}/proc/mdstat`, text);
const shown = async (...names: readonly string[]): Promise<string> => {
  const { disks: found } = await storageNow(scene);
  return overwriteText(names.flatMap((name) => found.filter((one) => one.name === name)));
};
/** A server that has the pools `names`, and takes each new one unless `why` is given. */
const serving = (names: readonly string[] = [], why: string | null = null) => {
  const added: string[] = [];
  const add = async (...given: readonly string[]): Promise<void> => {
    if (why !== null) throw new RsError('E_POOL', why);
    added.push(...given);
  };
  return { added, has: (name: string) => names.includes(name), add };
};
const changes = (): string[] => scene.programs.filter((line) => /^(?:wipefs|mdadm|mkfs)/.test(line));

beforeEach(() => {
  for (const one of ['sdb', 'sdc', 'sdd']) writeFileSync(`${scene.root}/dev/${one}`, '');
  scene.output = (program, args) => {
    if (program === 'blkid') return `${UUID}\n`;
    if (program !== 'lsblk') return '';
    const name = String(args.at(-1)).slice('/dev/'.length);
    return args[0] === '--json' ? JSON.stringify({ blockdevices: disks }) : `${name}   disk\n${name}1  part\n${name}2  lvm\n`;
  };
  disks = [diskOf('sdb'), diskOf('sdc')];
});

test('a pool is made from free disks, and a step that fails leaves them free', async () => {
  const question = await shown('sdb', 'sdc');
  const server = serving();
  await makePool(scene, WANTED, question, server);
  expect(server.added).toEqual(['fast', '/srv/fast/volumes']);
  expect((await readSettings(scene.root)).pools.map(({ name }) => name)).toEqual(['fast']);
  scene.programs = [];
  await expect(makePool(scene, WANTED, question, serving(['fast']))).rejects.toThrow('rssrv has a pool fast already');
  expect(changes()).toEqual([]);
  // The entry in the settings alone is no obstacle: the first array may be lost.
  await expect(makePool(scene, WANTED, question, serving([], 'rssrv refuses'))).rejects.toThrow('rssrv refuses');
  expect((await readSettings(scene.root)).pools).toEqual([]);
  const undone = ['systemctl stop -- srv-fast.mount', 'mdadm --stop /dev/md/fast', 'mdadm --zero-superblock /dev/sdb /dev/sdc'];
  expect(scene.programs.filter((line) => undone.includes(line))).toEqual(undone);
  scene.programs = [];
  scene.failing = 'mdadm --create';
  await expect(makePool(scene, WANTED, question, serving())).rejects.toThrow('mdadm failed');
  expect(scene.programs.some((line) => line.startsWith('mkfs'))).toBe(false);
});

test('the disk from which the appliance was started is refused', async () => {
  const id = '0b6a1e4f-7c21-4c58-9d3b-2f1c9a527a0e';
  mkdirSync(`${scene.root}/run/rsio-appliance`, { recursive: true });
  writeFileSync(`${scene.root}/run/rsio-appliance/partitions`, `boot=${id}\na=\n`);
  disks = [diskOf('sdb'), diskOf('sdc', { children: [diskOf('sdc1', { type: 'part', partuuid: id })] })];
  await expect(makePool(scene, WANTED, await shown('sdb', 'sdc'), serving())).rejects.toThrow('sdc, unknown model, serial S-sdc');
  expect(changes()).toEqual([]);
});

test('nothing is overwritten if a name has got another disk since the question', async () => {
  const question = await shown('sdb', 'sdc');
  disks = [diskOf('sdb', { serial: 'S-other' }), diskOf('sdc')];
  const refused = 'The disks have changed since the question';
  await expect(makePool(scene, WANTED, question, serving())).rejects.toThrow(refused);
  disks = [diskOf('sdb'), diskOf('sdc', { fstype: 'ext4' })];
  await expect(makePool(scene, WANTED, question, serving())).rejects.toThrow(refused);
  await expect(eraseDisk(scene, 'sdc', ['sdc'], question)).rejects.toThrow(refused);
  expect(changes()).toEqual([]);
});

test('the device of a volume of rssrv is in use', async () => {
  disks = ['sdb', 'sdc', 'sdd', 'sde'].map((name) => diskOf(name));
  writeFileSync(
    `${scene.root}/config/dvsc/rssrvcfg`,
    '# path = /dev/sdb\n[volume raw]\npath = /dev/sdc\n[pool far]\ndisks=/dev/sdd, /dev/sde\n',
  );
  const { disks: found } = await storageNow(scene);
  const served = 'a volume in rssrvcfg';
  expect(found.map(({ use }) => use.what)).toEqual([UNKNOWN_CONTENT, served, served, served]);
});

test('content is erased without force, after an array that does not run was stopped', async () => {
  mdstat('md126 : inactive sdb[0](S)\n      614336 blocks super 1.2\n');
  disks = [diskOf('sdb', { fstype: 'linux_raid_member' }), diskOf('sdc')];
  await makePool(scene, WANTED, await shown('sdb', 'sdc'), serving());
  expect(changes().slice(0, 3)).toEqual(['mdadm --stop /dev/md126', 'wipefs --all /dev/sdb1', 'wipefs --all /dev/sdb']);
});

test('a disk is replaced by one that is large enough', async () => {
  mdstat('md127 : active raid1 sdc[1] sdb[0](F)\n      614336 blocks super 1.2 [2/1] [U_]\n');
  writeFileSync(`${scene.root}/sys/block/md127/md/component_size`, '976563\n');
  disks = [diskOf('sdb'), diskOf('sdc'), diskOf('sdd', { fstype: 'ext4' })];
  const replaced = async (old: string | null) => replaceDisk(scene, { array: 'md127', old, by: 'sdd', typed: ['sdd'] }, await shown('sdd'));
  await expect(replaced(null)).rejects.toThrow('is too small: array - has');
  // The data fit only if nothing is before them.
  writeFileSync(`${scene.root}/sys/block/md127/md/component_size`, '900000\n');
  mkdirSync(`${scene.root}/sys/block/md127/md/dev-sdc`);
  writeFileSync(`${scene.root}/sys/block/md127/md/dev-sdc/offset`, '262144\n');
  await expect(replaced(null)).rejects.toThrow('is too small: array - has 1006.9M on each disk');
  await expect(replaced('sdx')).rejects.toThrow('sdx is not in array');
  expect(changes()).toEqual([]);
  // A disk of the same size as the others.
  writeFileSync(`${scene.root}/sys/block/md127/md/dev-sdc/offset`, `${(1e9 - 900_000 * 1024) / 512}\n`);
  await replaced('sdc');
  expect(changes()).toEqual([
    ...['wipefs --all /dev/sdd1', 'wipefs --all /dev/sdd'],
    ...['mdadm --manage /dev/md127 --remove failed', 'mdadm --manage /dev/md127 --remove detached'],
    ...['mdadm --manage /dev/md127 --add /dev/sdd', 'mdadm --manage /dev/md127 --replace /dev/sdc --with /dev/sdd'],
  ]);
});

test('an array is the one with its kernel name, also if another one has the same name', async () => {
  const two = ['md127 : active raid1 sdb[0]\n      1 blocks [1/1] [U]', 'md126 : active raid1 sdc[0]\n      1 blocks [1/1] [U]\n'];
  mdstat(two.join('\n'));
  disks = ['sdb', 'sdc'].map((name) => diskOf(name, { fstype: 'linux_raid_member', label: 'any:fast' }));
  await expect(removeArray(scene, 'md126', 'slow', serving())).rejects.toThrow('type its name to remove it');
  await expect(removeArray(scene, 'md126', 'fast', serving(['fast']))).rejects.toThrow('is a pool of rssrv');
  await removeArray(scene, 'md126', 'md126', serving());
  expect(changes()).toEqual(['mdadm --stop /dev/md126', 'mdadm --zero-superblock /dev/sdc']);
});

test('an array becomes a pool of rssrv also if the power was cut after it got its entry in the settings', async () => {
  mdstat('md127 : active raid1 sdb[0]\n      1 blocks [1/1] [U]\n');
  const md = { name: 'md127', type: 'raid1', size: 1e9, uuid: UUID, mountpoints: [] };
  const member = (fstype: string) => [diskOf('sdb', { fstype: 'linux_raid_member', label: 'any:fast', children: [{ ...md, fstype }] })];
  await writeSettings(scene.root, { ...FIRST_SETTINGS, pools: [{ name: 'fast', fileSystem: UUID }] });
  disks = member('ext4');
  await expect(adoptArray(scene, 'md127', serving())).rejects.toThrow('has no file system of a pool');
  disks = member('xfs');
  await expect(adoptArray(scene, 'md127', serving(['fast']))).rejects.toThrow('rssrv has a pool fast already');
  const server = serving();
  await adoptArray(scene, 'md127', server);
  expect(server.added).toEqual(['fast', '/srv/fast/volumes']);
  expect((await readSettings(scene.root)).pools).toEqual([{ name: 'fast', fileSystem: UUID }]);
});
