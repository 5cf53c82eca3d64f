// Tests what disks are used for, and which of them may be overwritten. The output of lsblk and the texts of /proc/mdstat have the form of those
// on real machines.

import { expect, test } from 'vitest';
import { arrayDisks, arrayTrouble, diskText, storageOf, usableDisk } from './disks.ts';

const member = (name: string, label: string, children: readonly object[] = []) => ({
  name,
  type: 'disk',
  size: 4_000_787_030_016,
  model: 'WDC WD40EFRX-68N',
  serial: `WD-${name}`,
  fstype: 'linux_raid_member',
  label,
  uuid: 'a',
  partlabel: null,
  mountpoints: [null],
  ro: false,
  rm: false,
  children,
});
const plain = (name: string, more: object = {}) => ({ ...member(name, ''), fstype: null, label: null, ...more });
const MD = { name: 'md127', type: 'raid1', size: 4_000_000_000_000, fstype: 'xfs', uuid: 'f5', mountpoints: ['/srv/fast'] };
const LSBLK = JSON.stringify({
  blockdevices: [
    plain('sda', { children: [plain('sda1', { type: 'part', partlabel: 'rsio-a', partuuid: 'id-a' })] }),
    member('sdb', 'any:fast', [MD]),
    member('sdc', 'any:fast', [MD]),
    plain('sdd'),
    plain('sde', { children: [plain('sde1', { type: 'part', fstype: 'vfat' })] }),
    plain('sdf', { children: [plain('sdf1', { type: 'part', mountpoints: ['/mnt'] })] }),
    member('sdg', 'old:slow'),
    { ...plain('sr0'), type: 'rom' },
  ],
});
const HEAD = 'Personalities : [raid1] \n';
const WELL = `${HEAD}md127 : active raid1 sdc[1] sdb[0]\n      614336 blocks super 1.2 [2/2] [UU]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\nunused devices: <none>\n`;
const REBUILT = `${HEAD}md127 : active raid1 sdh[2] sdc[1](F) sdb[0]\n      614336 blocks super 1.2 [2/1] [U_]\n      [==>..................]  recovery = 12.6% (13/61) finish=0.2min speed=65K/sec\n\nunused devices: <none>\n`;
const IDLE = `${HEAD}md126 : inactive sdg[0](S)\n      614336 blocks super 1.2\n\nunused devices: <none>\n`;

const OWN = new Set(['id-a']);
const NONE: ReadonlySet<string> = new Set<string>();
const seen = (mdstat: string) => storageOf(LSBLK, mdstat, { served: NONE, own: OWN });
const usesIn = (blockdevices: readonly object[], own: ReadonlySet<string> = OWN, served = NONE) =>
  storageOf(JSON.stringify({ blockdevices }), '', { served, own }).disks.map(({ use }) => use.what ?? use.kind);

test('each disk is in use, or may have content', () => {
  const { disks, media } = seen(WELL);
  expect(disks.map(({ name, use }) => [name, use.kind, use.what])).toEqual([
    ['sda', 'system', undefined],
    ['sdb', 'array', 'array fast'],
    ['sdc', 'array', 'array fast'],
    ['sdd', 'content', 'unknown content, or none'],
    ['sde', 'content', '1 partition'],
    ['sdf', 'mounted', 'mounted at /mnt'],
    ['sdg', 'content', 'part of array slow'],
  ]);
  expect(media).toEqual(['sde1']);
  expect(diskText(disks[3]!)).toBe('sdd, WDC WD40EFRX-68N, serial WD-sdd, 3.6T');
});

test('an array is shown with its members, its missing disks and its recovery', () => {
  const [well] = seen(WELL).arrays;
  expect(well).toMatchObject({ device: 'md127', name: 'fast', level: 'raid1', fileSystem: 'f5', wanted: 2, working: 2, activity: null });
  expect(arrayTrouble(well!)).toBeNull();
  const [rebuilt] = seen(REBUILT).arrays;
  expect(rebuilt?.activity).toBe('recovery 12.6%');
  expect(arrayTrouble(rebuilt!)).toBe('1 of 2 disks work; failed: sdc');
  const [idle] = seen(IDLE).arrays;
  expect(arrayTrouble(idle!)).toBe('it does not run: too many of its disks are missing');
  expect(seen(WELL.replace('active raid1', 'active (auto-read-only) raid1')).arrays[0]?.level).toBe('raid1');
  expect(seen('').arrays).toEqual([]);
});

// Regression: a disk on which no program recognised anything was overwritten without a typed name, and had the data of a raw volume.
test('a disk is overwritten only if its name was typed, whatever is recognised on it', () => {
  const storage = seen(WELL);
  for (const [name, what] of [
    ['sdd', 'unknown content, or none'],
    ['sde', '1 partition'],
  ] as const) {
    expect(() => usableDisk(storage, name, [])).toThrow(`would be lost (${what}): type its name to overwrite it`);
    expect(() => usableDisk(storage, name, ['sdg'])).toThrow('type its name');
    expect(usableDisk(storage, name, [name]).name).toBe(name);
  }
  for (const [name, why] of [
    ['sda', 'disk of the appliance itself'],
    ['sdb', 'in use (array fast)'],
    ['sdf', 'in use (mounted at /mnt)'],
    ['sdz', 'the disks are sda, sdb'],
  ] as const)
    expect(() => usableDisk(storage, name, [name])).toThrow(why);
});

test('a new array needs a free name and enough different disks', () => {
  const storage = seen(WELL);
  const made = (change: object) =>
    arrayDisks(storage, { name: 'new', level: 'raid1', disks: ['sdd', 'sdg'], typed: ['sdd', 'sdg'], ...change });
  expect(made({}).map(({ name }) => name)).toEqual(['sdd', 'sdg']);
  expect(() => made({ typed: ['sdd'] })).toThrow('part of array slow');
  expect(() => made({ typed: ['sdg'] })).toThrow('unknown content');
  expect(() => made({ name: 'fast' })).toThrow('There already is an array fast');
  expect(() => made({ name: '../x' })).toThrow('Wrong name');
  expect(() => made({ disks: ['sdd', 'sdd'] })).toThrow('named twice');
  expect(() => made({ level: 'raid6' })).toThrow('raid6 needs at least 4 disks, not 2');
});

// Regression: a client of a raw volume could write a partition with the name of one of the appliance.
test('the disk of the appliance is known by the ids of its partitions', () => {
  const part = (name: string, partuuid: string) =>
    plain(name, { children: [plain(`${name}1`, { type: 'part', partlabel: 'rsio-config', partuuid })] });
  const both = [part('sda', 'id-a'), part('sdb', 'id-x')];
  expect(usesIn(both)).toEqual(['system', 'another appliance']);
  expect(usesIn(both.toReversed())).toEqual(['another appliance', 'system']);
  // If the ids are not known, neither may be overwritten.
  expect(usesIn(both, NONE)).toEqual(['system', 'system']);
});

test('a disk is in use if it is the same disk as one that is in use', () => {
  const paths = ['sdb', 'sdc', 'sdd'].map((name) => plain(name, { wwn: name === 'sdd' ? '0x2' : '0x1' }));
  const same = ['a volume in rssrvcfg', 'the same disk as sdb', 'unknown content, or none'];
  expect(usesIn(paths, OWN, new Set(['sdb']))).toEqual(same);
  expect(usesIn(paths)).toEqual(['unknown content, or none', 'unknown content, or none', 'unknown content, or none']);
  expect(usesIn([plain('sdb', { mountpoints: ['/x'] }), plain('sdc')])).toEqual(['mounted at /x', 'unknown content, or none']);
});
