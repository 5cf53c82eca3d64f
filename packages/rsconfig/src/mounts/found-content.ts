// Decides from the output of blkid and partx what a device or image has, which partition is meant, and with which options it is mounted.
// Pure. Invariants: a mount is always read-only, without setuid programs and devices; a journal is left out only if the caller says so,
// because a file system without its journal shows older data.

import { RsError } from '@rsio/base/lib/errors';
import { printRoundedSize } from '@rsio/base/lib/units';
import type { ProgramResult } from '@rsio/common/triggers/run-program';
import { usageError } from '../cli/context.ts';
import { PARTITIONS_MAX } from '../limits.ts';

/** What blkid finds. `text`: for people, such as `swap`. */
export type Content =
  | { readonly kind: 'files'; readonly type: string; readonly text: string }
  | { readonly kind: 'table' | 'other'; readonly text: string; readonly remedy: string };

const NOTHING: Content = { kind: 'other', text: 'nothing that blkid knows', remedy: 'nothing there can be mounted' };

/** What can be done with content that no mount can show, by its type. */
const REMEDIES: Readonly<Record<string, string>> = {
  crypto_LUKS: 'attach it with rsconfig -a, and open it with cryptsetup open --readonly',
  LVM2_member: 'attach it with rsconfig -a, and activate it with lvm(8)',
  linux_raid_member: 'attach it with rsconfig -a, and assemble it with mdadm --readonly',
  swap: 'swap space has no files',
};

/** Throws E_SYSTEM if blkid could not read the place. */
export function contentOf(place: string, { failure, output }: ProgramResult): Content {
  if (/ambivalent/.test(output))
    return {
      kind: 'other',
      text: 'several signatures that contradict each other',
      remedy: 'attach it with rsconfig -a, and see wipefs(8)',
    };
  // blkid ends with an error and prints nothing if it finds nothing.
  if (failure !== null && output.trim() === '' && failure.startsWith('its exit code')) return NOTHING;
  if (failure !== null) throw new RsError('E_SYSTEM', `blkid cannot read ${place}: ${output.trim() || failure}`);
  const [type, usage, table] = ['TYPE', 'USAGE', 'PTTYPE'].map((key) => new RegExp(`^${key}=(.*)$`, 'm').exec(output)?.[1]);
  if (type !== undefined && usage === 'filesystem') return { kind: 'files', type, text: type };
  if (type !== undefined)
    return { kind: 'other', text: type, remedy: REMEDIES[type] ?? 'attach it with rsconfig -a, and use its own tools' };
  return table === undefined ? NOTHING : { kind: 'table', text: `a partition table (${table})`, remedy: 'name a partition' };
}

/** A part of a device or image. */
export interface Partition {
  readonly number: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** partx and the kernel count in sectors of this size, whatever the device has. */
const SECTOR_BYTES = 512;
/** MBR types of extended partitions, which only contain others. */
const EXTENDED: readonly string[] = ['0x5', '0xf', '0x85'];

/** Parses `partx --pairs`. Throws E_LIMIT. */
export function partitionsIn(output: string): readonly Partition[] {
  const found = output.split('\n').flatMap((line): Partition[] => {
    const {
      NR,
      START,
      SECTORS,
      TYPE = '',
    } = Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
    const [number, start, sectors] = [NR, START, SECTORS].map((one) => (/^\d+$/.test(one ?? '') ? Number(one) : 0));
    if (!number || !start || !sectors || EXTENDED.includes(TYPE)) return [];
    return [{ number, offsetBytes: start * SECTOR_BYTES, sizeBytes: sectors * SECTOR_BYTES }];
  });
  if (found.length > PARTITIONS_MAX)
    throw new RsError('E_LIMIT', `There are ${found.length} partitions, and ${PARTITIONS_MAX} are allowed`);
  return found;
}

export interface FoundPartition extends Partition {
  readonly content: Content;
}

/** `wanted`: the number of --partition; null: the only one with a file system. Throws E_USAGE with a list of all partitions. */
export function choosePartition(
  place: string,
  found: readonly FoundPartition[],
  wanted: number | null,
): { readonly partition: FoundPartition; readonly type: string } {
  const shown = found.map(({ number, sizeBytes, content }) => `${number}: ${content.text}, ${printRoundedSize(sizeBytes)}`);
  const list = found.length === 0 ? 'it has no partition' : `its partitions are ${shown.join('; ')}`;
  const meant = wanted === null ? found.filter(({ content }) => content.kind === 'files') : found.filter(({ number }) => number === wanted);
  const [partition] = meant;
  if (partition === undefined && wanted === null) throw new RsError('E_USAGE', `No partition of ${place} has a file system: ${list}`);
  if (partition === undefined) throw usageError(`${place} has no partition ${wanted}: ${list}`);
  if (meant.length > 1) throw usageError(`Several partitions of ${place} have file systems: give --partition N; ${list}`);
  return { partition, type: typeOf(`Partition ${partition.number} of ${place}`, partition.content) };
}

/** Returns the type of the file system. Throws E_USAGE if there is none. */
export function typeOf(place: string, content: Content): string {
  if (content.kind === 'files') return content.type;
  throw new RsError('E_USAGE', `${place} has no file system, but ${content.text}: ${content.remedy}`);
}

/** `always`: options of each mount; `skipping`: mounts without the journal. */
const SYSTEMS: Readonly<Record<string, { readonly always?: string; readonly skipping: string }>> = {
  // A snapshot has the UUID of its volume, which may be mounted here.
  xfs: { always: 'nouuid', skipping: 'norecovery' },
  ext3: { skipping: 'noload' },
  ext4: { skipping: 'noload' },
  btrfs: { skipping: 'rescue=nologreplay' },
};

/** How the file system is opened. `replays`: its journal is replayed, on an image that keeps writes for itself. */
export type Opening = 'plain' | 'replays' | 'skips';

export function canSkip(type: string): boolean {
  return Object.hasOwn(SYSTEMS, type);
}

/** `isImage`: the place is a file, and no device. */
export function mountOptions(type: string, opening: Opening, partition: Partition | null, isImage: boolean): string {
  const { always, skipping } = (canSkip(type) ? SYSTEMS[type] : undefined) ?? {};
  const isLoop = isImage || partition !== null;
  return [
    // A journal is replayed only on a loop device that can be written. The mount becomes read-only afterwards.
    opening === 'replays' ? 'rw' : 'ro',
    // systemd unmounts a file system with _netdev before it stops rsiod.
    ...['nosuid', 'nodev', '_netdev'],
    ...(always === undefined ? [] : [always]),
    ...(opening === 'skips' && skipping !== undefined ? [skipping] : []),
    ...(isLoop ? ['loop'] : []),
    ...(partition === null ? [] : [`offset=${partition.offsetBytes}`, `sizelimit=${partition.sizeBytes}`]),
  ].join(',');
}
