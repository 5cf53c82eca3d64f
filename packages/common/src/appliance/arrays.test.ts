// Pools and replaced disks: a step that fails leaves the disks free, and nothing is erased that is used, too small, or not what the question
// has shown.

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { RsError } from '../lib/errors.ts';
import { removeFolder } from '../testing/remove-folder.ts';
import { adoptArray, eraseDisk, makePool, removeArray, replaceDisk, storageNow } from './arrays.ts';
import { overwriteText } from './disks.ts';
import { readSettings, writeSettings, FIRST_SETTINGS } from './settings.ts';

const UUID = '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21';
const WANTED = { name: 'fast', level: 'raid1', disks: ['sdb', 'sdc'], typed: ['sdb', 'sdc'] } as const;
let root: string;
let programs: string[];
/** Part of the command line of a program that fails. */
let failing: string | null;
let disks: readonly object[];
const run = (program: string, args: readonly string[]): Promise<string> => {
  const line = [program, ...args].join(' ');
  if (program === 'lsblk')
    return Promise.resolve(args[0] === '--json' ? JSON.stringify({ blockdevices: disks }) : `${String(args.at(-1)).slice(5)} disk\n`);
  programs.push(line);
  if (failing !== null && line.includes(failing)) return Promise.reject(new RsError('E_SYSTEM', `${program} failed`));
  return Promise.resolve(program === 'blkid' ? `${UUID}\n` : '');
};
const diskOf = (name: string, more: object = {}): object => ({
  name,
  type: 'disk',
  size: 1e9,
  serial: `S-${name}`,
  mountpoints: [],
  ...more,
});
const mdstat = (text: string): void => writeFileSync(`${root}/proc/mdstat`, text);
const shown = async (...names: readonly string[]): Promise<string> => {
  const { disks: found } = await storageNow({ root, run });
  return overwriteText(names.flatMap((name) => found.filter((one) => one.name === name)));
};
const changes = (): string[] => programs.filter((line) => /^(?:wipefs|mdadm|mkfs)/.test(line));

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-md-'));
  const made = root;
  onTestFinished(() => removeFolder(made));
  for (const folder of ['etc', 'proc', 'dev', 'sys/block/md127/md', 'config/dvsc']) mkdirSync(`${root}/${folder}`, { recursive: true });
  for (const one of ['sdb', 'sdc', 'sdd']) writeFileSync(`${root}/dev/${one}`, '');
  programs = [];
  failing = null;
  disks = [diskOf('sdb'), diskOf('sdc')];
});

test('a pool is made from free disks, and a step that fails leaves them free', async () => {
  const added: string[] = [];
  const question = await shown('sdb', 'sdc');
  await makePool(
    { root, run },
    WANTED,
    question,
    () => false,
    (name, folder) => Promise.resolve(void added.push(name, folder)),
  );
  expect(added).toEqual(['fast', '/srv/fast/volumes']);
  expect((await readSettings(root)).pools.map(({ name }) => name)).toEqual(['fast']);
  programs = [];
  await expect(
    makePool(
      { root, run },
      WANTED,
      question,
      () => true,
      () => Promise.resolve(),
    ),
  ).rejects.toThrow('rssrv has a pool fast already');
  expect(changes()).toEqual([]);
  // The entry in the settings alone is no obstacle: the first array may be lost.
  const refused = makePool(
    { root, run },
    WANTED,
    question,
    () => false,
    () => Promise.reject(new RsError('E_POOL', 'rssrv refuses')),
  );
  await expect(refused).rejects.toThrow('rssrv refuses');
  expect((await readSettings(root)).pools).toEqual([]);
  const undone = ['systemctl stop -- srv-fast.mount', 'mdadm --stop /dev/md/fast', 'mdadm --zero-superblock /dev/sdb /dev/sdc'];
  expect(programs.filter((line) => undone.includes(line))).toEqual(undone);
  programs = [];
  failing = 'mdadm --create';
  await expect(
    makePool(
      { root, run },
      WANTED,
      question,
      () => false,
      () => Promise.resolve(),
    ),
  ).rejects.toThrow('mdadm failed');
  expect(programs.some((line) => line.startsWith('mkfs'))).toBe(false);
});

test('nothing is overwritten if a name has got another disk since the question', async () => {
  const question = await shown('sdb', 'sdc');
  disks = [diskOf('sdb', { serial: 'S-other' }), diskOf('sdc')];
  const refused = 'The disks have changed since the question';
  await expect(
    makePool(
      { root, run },
      WANTED,
      question,
      () => false,
      () => Promise.resolve(),
    ),
  ).rejects.toThrow(refused);
  disks = [diskOf('sdb'), diskOf('sdc', { fstype: 'ext4' })];
  await expect(
    makePool(
      { root, run },
      WANTED,
      question,
      () => false,
      () => Promise.resolve(),
    ),
  ).rejects.toThrow(refused);
  await expect(eraseDisk({ root, run }, 'sdc', ['sdc'], question)).rejects.toThrow(refused);
  expect(changes()).toEqual([]);
});

test('the device of a volume of rssrv is in use', async () => {
  writeFileSync(`${root}/config/dvsc/rssrvcfg`, '# path = /dev/sdb\n[volume raw]\npath = /dev/sdc\n');
  const { disks: found } = await storageNow({ root, run });
  expect(found.map(({ use }) => use.what)).toEqual([undefined, 'a volume in rssrvcfg']);
});

test('content is erased without force, after an array that does not run was stopped', async () => {
  mdstat('md126 : inactive sdb[0](S)\n      614336 blocks super 1.2\n');
  disks = [diskOf('sdb', { fstype: 'linux_raid_member' }), diskOf('sdc')];
  await makePool(
    { root, run },
    WANTED,
    await shown('sdb', 'sdc'),
    () => false,
    () => Promise.resolve(),
  );
  expect(changes().slice(0, 2)).toEqual(['mdadm --stop /dev/md126', 'wipefs --all /dev/sdb']);
});

test('a disk is replaced by one that is large enough', async () => {
  mdstat('md127 : active raid1 sdc[1] sdb[0](F)\n      614336 blocks super 1.2 [2/1] [U_]\n');
  writeFileSync(`${root}/sys/block/md127/md/component_size`, `${1e9 / 1000}\n`);
  disks = [diskOf('sdb'), diskOf('sdc'), diskOf('sdd', { fstype: 'ext4' })];
  const replaced = async (old: string | null) =>
    replaceDisk({ root, run }, { array: 'md127', old, by: 'sdd', typed: ['sdd'] }, await shown('sdd'));
  await expect(replaced(null)).rejects.toThrow('is too small: array - has');
  await expect(replaced('sdx')).rejects.toThrow('sdx is not in array');
  expect(changes()).toEqual([]);
  writeFileSync(`${root}/sys/block/md127/md/component_size`, '900000\n');
  await replaced('sdc');
  expect(changes()).toEqual([
    ...['wipefs --all /dev/sdd', 'mdadm --manage /dev/md127 --remove failed', 'mdadm --manage /dev/md127 --remove detached'],
    ...['mdadm --manage /dev/md127 --add /dev/sdd', 'mdadm --manage /dev/md127 --replace /dev/sdc --with /dev/sdd'],
  ]);
});

test('an array is the one with its kernel name, also if another one has the same name', async () => {
  const two = ['md127 : active raid1 sdb[0]\n      1 blocks [1/1] [U]', 'md126 : active raid1 sdc[0]\n      1 blocks [1/1] [U]\n'];
  mdstat(two.join('\n'));
  disks = ['sdb', 'sdc'].map((name) => diskOf(name, { fstype: 'linux_raid_member', label: 'any:fast' }));
  const remove = (typed: string, isServed: boolean) => removeArray({ root, run }, 'md126', typed, () => isServed);
  await expect(remove('slow', false)).rejects.toThrow('type its name to remove it');
  await expect(remove('fast', true)).rejects.toThrow('is a pool of rssrv');
  await remove('md126', false);
  expect(changes()).toEqual(['mdadm --stop /dev/md126', 'mdadm --zero-superblock /dev/sdc']);
});

test('an array becomes a pool of rssrv also if the power was cut after it got its entry in the settings', async () => {
  mdstat('md127 : active raid1 sdb[0]\n      1 blocks [1/1] [U]\n');
  const md = { name: 'md127', type: 'raid1', size: 1e9, uuid: UUID, mountpoints: [] };
  const member = (fstype: string) => [diskOf('sdb', { fstype: 'linux_raid_member', label: 'any:fast', children: [{ ...md, fstype }] })];
  await writeSettings(root, { ...FIRST_SETTINGS, pools: [{ name: 'fast', fileSystem: UUID }] });
  const added: string[] = [];
  const adopt = (isServed: boolean) =>
    adoptArray(
      { root, run },
      'md127',
      () => isServed,
      (name) => Promise.resolve(void added.push(name)),
    );
  disks = member('ext4');
  await expect(adopt(false)).rejects.toThrow('has no file system of a pool');
  disks = member('xfs');
  await expect(adopt(true)).rejects.toThrow('rssrv has a pool fast already');
  await adopt(false);
  expect(added).toEqual(['fast']);
  expect((await readSettings(root)).pools).toEqual([{ name: 'fast', fileSystem: UUID }]);
});
