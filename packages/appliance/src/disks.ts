// The disks and arrays of the machine, from the output of lsblk and from /proc/mdstat, and what may be done with them. Pure. Invariants: a disk
// that is part of anything is never overwritten; any other disk is overwritten only if its name was typed, because a disk on which no program
// recognises anything may have the data of a raw volume. The disk of the appliance is known by the ids of its partitions, and not by their
// names, which each client of a raw volume can write to another disk.

import { RsError } from '@rsio/base/lib/errors';
import { isRecord } from '@rsio/base/lib/shape';
import { plural } from '@rsio/base/lib/units';
import { shownSize } from '@rsio/base/lib/units';
import { isPoolName } from './settings.ts';

export const LSBLK = [
  '--json',
  '--bytes',
  '--output',
  'NAME,TYPE,SIZE,MODEL,SERIAL,WWN,FSTYPE,LABEL,UUID,PARTLABEL,PARTUUID,MOUNTPOINTS,RO',
];
/** Begins the labels of the partitions of an appliance. */
const APPLIANCE_PARTITIONS = 'rsio-';
const ANOTHER_APPLIANCE = 'another appliance';
/** What a disk has on which nothing is recognised. */
export const UNKNOWN_CONTENT = 'unknown content, or none';

/** `content`: nothing uses the disk. It may have content: a file system, partitions, an array that does not run, or any data. */
export type DiskUse =
  | { readonly kind: 'system'; readonly what?: undefined }
  | { readonly kind: 'array' | 'mounted' | 'content'; readonly what: string };

export interface Disk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly model: string;
  readonly serial: string;
  readonly use: DiskUse;
}

export interface DiskArray {
  /** Name of the kernel, such as `md127`. */
  readonly device: string;
  /** Name of the pool that it was made for. */
  readonly name: string;
  readonly level: string;
  readonly isRunning: boolean;
  readonly sizeBytes: number;
  /** UUID of the file system of a pool; null if there is none. */
  readonly fileSystem: string | null;
  readonly members: readonly { readonly disk: string; readonly isFaulty: boolean }[];
  /** Number of disks that the array should have. */
  readonly wanted: number;
  readonly working: number;
  /** Such as `recovery = 12.6%`; null if the array does nothing. */
  readonly activity: string | null;
}

export interface Storage {
  readonly disks: readonly Disk[];
  readonly arrays: readonly DiskArray[];
  /** Partitions and whole disks with a file system that may hold files for upgrades and configurations. */
  readonly media: readonly string[];
}

const TEXTS = ['name', 'type', 'model', 'serial', 'wwn', 'fstype', 'label', 'uuid', 'partlabel', 'partuuid'] as const;

/** What lsblk says of a disk, partition or array. A text that lsblk does not know is empty. */
interface Block extends Readonly<Record<(typeof TEXTS)[number], string>> {
  readonly sizeBytes: number;
  readonly mounts: readonly string[];
  readonly isReadOnly: boolean;
  readonly children: readonly Block[];
}

function blockOf(value: unknown): Block {
  const given = isRecord(value) ? value : {};
  const text = (key: string): string => (typeof given[key] === 'string' ? given[key].trim() : '');
  return {
    ...(Object.fromEntries(TEXTS.map((key) => [key, text(key)])) as Record<(typeof TEXTS)[number], string>),
    sizeBytes: Number(given['size'] ?? 0),
    mounts: listIn(given, 'mountpoints').filter((one) => typeof one === 'string'),
    isReadOnly: given['ro'] === true,
    children: listIn(given, 'children').map(blockOf),
  };
}

function listIn(given: unknown, key: string): readonly unknown[] {
  return isRecord(given) && Array.isArray(given[key]) ? given[key] : [];
}

function withParts(block: Block): readonly Block[] {
  return [block, ...block.children.flatMap(withParts)];
}

/** What lsblk cannot know: names of the devices in rssrvcfg, and ids of the partitions from which the appliance was started. */
export interface UsedDisks {
  readonly served: ReadonlySet<string>;
  readonly own: ReadonlySet<string>;
}

/** Parses the output of `lsblk` with the arguments LSBLK, and the text of /proc/mdstat. Throws E_SYSTEM if lsblk's output is not JSON. */
export function storageOf(lsblk: string, mdstat: string, used: UsedDisks): Storage {
  let parsed: unknown;
  try {
    parsed = JSON.parse(lsblk);
  } catch (thrown) {
    throw new RsError('E_SYSTEM', 'The output of lsblk is not JSON: run lsblk --json to see it', {}, thrown);
  }
  const roots = listIn(parsed, 'blockdevices').map(blockOf);
  const disks = roots.filter(({ type, sizeBytes, name }) => type === 'disk' && sizeBytes > 0 && !/^(?:zram|fd|ram|nbd)/.test(name));
  const arrays = arraysOf(mdstat, roots.flatMap(withParts));
  const uses = usesOf(disks, arrays, used);
  const media = disks
    .filter((disk) => uses.get(disk)?.kind === 'content')
    .flatMap(withParts)
    .filter(({ fstype }) => /^(?:vfat|exfat|ext[234]|xfs|iso9660)$/.test(fstype));
  return {
    disks: disks.map((block) => {
      const { name, sizeBytes, model, serial } = block;
      return { name, sizeBytes, model, serial, use: uses.get(block)! };
    }),
    arrays,
    media: media.map(({ name }) => name),
  };
}

/** A disk that is reached on several ways has several names, and one WWN. If one of its names is in use, all are. */
function usesOf(disks: readonly Block[], arrays: readonly DiskArray[], used: UsedDisks): ReadonlyMap<Block, DiskUse> {
  const uses = new Map(disks.map((disk) => [disk, useOf(disk, arrays, used)]));
  for (const [disk, { kind }] of uses) {
    const same = disks.find((other) => other.wwn !== '' && other.wwn === disk.wwn && uses.get(other)?.kind !== 'content');
    if (kind === 'content' && same !== undefined) uses.set(disk, { kind: 'mounted', what: `the same disk as ${same.name}` });
  }
  return uses;
}

function useOf(disk: Block, arrays: readonly DiskArray[], { served, own }: UsedDisks): DiskUse {
  const all = withParts(disk);
  const isPart = (disk: string): boolean => all.some(({ name }) => name === disk);
  const array = arrays.find(({ isRunning, members }) => isRunning && members.some((member) => isPart(member.disk)));
  const isAppliance = all.some(({ partlabel }) => partlabel.startsWith(APPLIANCE_PARTITIONS));
  // Without the ids, no disk with such names may be overwritten.
  if (all.some(({ partuuid }) => own.has(partuuid)) || (isAppliance && own.size === 0)) return { kind: 'system' };
  if (array !== undefined) return { kind: 'array', what: `array ${array.name}` };
  if (all.some(({ name }) => served.has(name))) return { kind: 'mounted', what: 'a volume in rssrvcfg' };
  const mounted = all.find(({ mounts }) => mounts.length > 0);
  if (mounted !== undefined) return { kind: 'mounted', what: `mounted at ${mounted.mounts[0]}` };
  if (disk.isReadOnly) return { kind: 'mounted', what: 'read-only' };
  const { fstype } = disk;
  if (fstype === 'linux_raid_member') return { kind: 'content', what: `part of array ${arrayName(disk.label)}` };
  if (fstype !== '') return { kind: 'content', what: `file system ${fstype}` };
  if (isAppliance) return { kind: 'content', what: ANOTHER_APPLIANCE };
  return { kind: 'content', what: disk.children.length > 0 ? plural(disk.children.length, 'partition') : UNKNOWN_CONTENT };
}

/** The label of a member is `HOST:NAME` or `NAME`. */
function arrayName(label: string): string {
  return label.replace(/^[^:]*:/, '') || '-';
}

function arraysOf(mdstat: string, blocks: readonly Block[]): DiskArray[] {
  return mdstat.split(/\n(?=\S)/).flatMap((paragraph) => {
    const head = /^(md\w+) : (active|inactive)(?: \([\w-]+\))*( raid\d+| linear)? (.*)/.exec(paragraph);
    if (head === null) return [];
    const [, device = '', state, level = '', list = ''] = head;
    const members = [...list.matchAll(/([\w!-]+)\[\d+\]((?:\(\w\))*)/g)].map(([, disk = '', marks = '']) => ({
      disk,
      isFaulty: marks.includes('(F)'),
    }));
    const [, wanted = members.length, working = 0] = /\[(\d+)\/(\d+)\] \[[U_]+\]/.exec(paragraph) ?? [];
    const label = blocks.find(({ name }) => members.some(({ disk }) => disk === name))?.label ?? '';
    const block = blocks.find(({ name }) => name === device);
    return [
      {
        device,
        name: arrayName(label),
        level: level.trim(),
        isRunning: state === 'active',
        members,
        sizeBytes: block?.sizeBytes ?? 0,
        fileSystem: (block?.fstype === 'xfs' && block.uuid) || null,
        wanted: Number(wanted),
        working: Number(working),
        activity: activityOf(paragraph),
      },
    ];
  });
}

function activityOf(paragraph: string): string | null {
  const running = /(resync|recovery|check|reshape) *= *([\d.]+%)/.exec(paragraph);
  if (running !== null) return `${running[1]} ${running[2]}`;
  return /(?:resync|recovery)=(?:PENDING|DELAYED)/.exec(paragraph) === null ? null : 'waits for its resync';
}

export const LEVELS = { raid1: 2, raid5: 3, raid6: 4, raid10: 4 } as const;
export type Level = keyof typeof LEVELS;

/** Such as `sdb, WDC WD40EFRX, serial WD-123, 3.6T`. */
export function diskText({ name, model, serial, sizeBytes }: Disk): string {
  return `${name}, ${model || 'unknown model'}, serial ${serial || 'unknown'}, ${shownSize(sizeBytes)}`;
}

/** Returns the disk if it may be overwritten. `typed`: names that the administrator has typed as consent. Throws E_IN_USE or E_USAGE. */
export function usableDisk({ disks }: Storage, name: string, typed: readonly string[]): Disk {
  const disk = disks.find((one) => one.name === name);
  if (disk === undefined)
    throw new RsError('E_USAGE', `No disk ${JSON.stringify(name)}: the disks are ${disks.map((one) => one.name).join(', ')}`);
  const { use } = disk;
  if (use.kind === 'system') throw new RsError('E_IN_USE', `${diskText(disk)} is the disk of the appliance itself: choose another disk`);
  if (use.kind !== 'content') throw new RsError('E_IN_USE', `${diskText(disk)} is in use (${use.what}): choose another disk`);
  if (typed.includes(name)) return disk;
  throw new RsError('E_IN_USE', `All data on ${diskText(disk)} would be lost (${use.what}): type its name to overwrite it`);
}

/** The names of the disks that have another appliance, which the machine might boot. */
export function otherAppliances({ disks }: Storage): readonly string[] {
  return disks.filter(({ use }) => use.what === ANOTHER_APPLIANCE).map(({ name }) => name);
}

/** The question before disks are overwritten. Those with known content come first, because a small screen does not show many disks. */
export function overwriteText(given: readonly Disk[]): string {
  const disks = given.toSorted((a, b) => Number(a.use.what === UNKNOWN_CONTENT) - Number(b.use.what === UNKNOWN_CONTENT));
  return `These disks are overwritten:\n${disks.map((disk) => `  ${diskText(disk)}${disk.use.what === undefined ? '' : ` - ${disk.use.what}`}`).join('\n')}`;
}

/** Throws E_CHANGED if the names belong to other disks than those in the question `shown`, or if a disk is used in another way now. */
export function assertShown(disks: readonly Disk[], shown: string): void {
  if (overwriteText(disks) !== shown)
    throw new RsError('E_CHANGED', `The disks have changed since the question, and nothing was overwritten: look at them, and try again`);
}

export interface NewArray {
  readonly name: string;
  readonly level: Level;
  readonly disks: readonly string[];
  readonly typed: readonly string[];
}

/** Returns the disks of a new array. Throws E_USAGE, E_EXISTS or E_IN_USE. */
export function arrayDisks(storage: Storage, { name, level, disks, typed }: NewArray): Disk[] {
  if (!isPoolName(name)) throw new RsError('E_USAGE', `Wrong name ${JSON.stringify(name)}: at most 32 letters, digits, _, . and -`);
  if (storage.arrays.some((array) => array.name === name))
    throw new RsError('E_EXISTS', `There already is an array ${name}: choose another name`);
  if (new Set(disks).size < disks.length) throw new RsError('E_USAGE', 'A disk is named twice: name each disk once');
  const least = LEVELS[level];
  if (disks.length < least) throw new RsError('E_USAGE', `${level} needs at least ${least} disks, not ${disks.length}: name more disks`);
  return disks.map((one) => usableDisk(storage, one, typed));
}

/** Arrays of different machines may have the same name. */
export function arrayIn({ arrays }: Storage, device: string): DiskArray {
  const found = arrays.find((one) => one.device === device);
  if (found !== undefined) return found;
  throw new RsError('E_USAGE', `No array ${device}: the arrays are ${arrays.map((one) => one.device).join(', ') || '-'}`);
}

export interface Replacement {
  /** Name of the kernel. */
  readonly array: string;
  /** The disk that is replaced; null: a disk that is missing or has failed. A disk that works stays until its content is on the new one. */
  readonly old: string | null;
  readonly by: string;
  /** Names that the administrator has typed as consent. */
  readonly typed: readonly string[];
}

/** Returns the array and the new disk. Throws E_USAGE or E_IN_USE. */
export function replacementIn(storage: Storage, { array, old, by, typed }: Replacement): { readonly into: DiskArray; readonly disk: Disk } {
  const into = arrayIn(storage, array);
  if (old !== null && !into.members.some((member) => member.disk === old))
    throw new RsError('E_USAGE', `${old} is not in array ${into.name}: F4 lists its disks`);
  return { into, disk: usableDisk(storage, by, typed) };
}

/** Returns why an array needs attention; null if it is well. */
export function arrayTrouble({ isRunning, members, wanted, working }: DiskArray): string | null {
  const faulty = members.filter((one) => one.isFaulty).map((one) => one.disk);
  if (!isRunning) return 'it does not run: too many of its disks are missing';
  if (faulty.length > 0 && working >= wanted) return `${faulty.join(', ')} is out of the array`;
  if (working >= wanted) return null;
  return `${working} of ${wanted} disks work${faulty.length === 0 ? '' : `; failed: ${faulty.join(', ')}`}`;
}
