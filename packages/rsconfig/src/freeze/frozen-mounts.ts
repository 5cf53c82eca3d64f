// Finds the mounts of file systems on the devices of volumes, also through partitions, LVM and md. Pure but for the ports. Invariants: a
// file system that is also on other devices than those of the given volumes is refused, because its snapshot would not be of one moment;
// one that has files of our programs is refused, because they would wait for themselves.

import type { MountEntry } from '@rsio/common/daemon/mount-table';
import { RsError } from '@rsio/common/lib/errors';
import { FROZEN_MAX, STACKED_DEVICES_MAX } from './limits.ts';

/** What the kernel says of block devices. Numbers are such as `7:3`. */
export interface DeviceFacts {
  /** Number of a block device node; null if the path is none. */
  numberOf(path: string): string | null;
  /** Numbers of the partitions of a device and of the devices that stand on it. */
  above(number: string): readonly string[];
  /** Numbers of the devices that a device stands on, without those of partitions. */
  below(number: string): readonly string[];
}

/** An attached volume, and its block device. */
export interface FrozenVolume {
  readonly label: string;
  readonly device: string;
}

export interface FrozenMount {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/**
 * Returns one mount for each file system on the volumes. `ours`: folders of files that our programs write to. Throws E_USAGE if a volume has
 * no mounted file system, and E_IN_USE if one cannot be frozen.
 */
export function mountsToFreeze(
  volumes: readonly FrozenVolume[],
  mounts: readonly MountEntry[],
  ours: readonly string[],
  facts: DeviceFacts,
): readonly FrozenMount[] {
  const stacks = volumes.map((volume) => ({ volume, numbers: stackOf(volume, facts) }));
  const all = new Set(stacks.flatMap(({ numbers }) => [...numbers]));
  const found = new Map<string, FrozenMount & { readonly device: string }>();
  for (const { volume, numbers } of stacks) {
    const own = mounts.filter((mount) => numbers.has(numberOf(mount, facts)));
    if (own.length === 0)
      throw new RsError(
        'E_USAGE',
        `Nothing was frozen, because no file system of ${volume.label} (${volume.device}) is mounted here: mount it, or leave --freeze out`,
      );
    for (const { mountPoint, type, source, device } of own) {
      const number = numberOf({ source, device }, facts);
      if (!found.has(number)) found.set(number, { mountPoint, type, source, device });
    }
  }
  for (const [number, mount] of found) {
    const strange = facts.below(number).find((below) => !all.has(below));
    if (strange !== undefined)
      throw new RsError(
        'E_IN_USE',
        `Nothing was frozen, because ${mount.mountPoint} (${mount.source}) is also on device ${strange}, which is none of these volumes: name all volumes of it`,
      );
    const own = ours.find((folder) => mountOf(folder, mounts)?.device === mount.device);
    if (own !== undefined)
      throw new RsError(
        'E_IN_USE',
        `Nothing was frozen, because ${own} is on ${mount.mountPoint}, and RSIO would wait for itself: move it to another file system`,
      );
  }
  if (found.size > FROZEN_MAX) throw new RsError('E_LIMIT', `${found.size} file systems would be frozen, and ${FROZEN_MAX} are allowed`);
  // What is mounted last is frozen first: a file system may lie in a file of another one.
  return [...found.values()].toSorted((a, b) => lastIndexOf(mounts, b) - lastIndexOf(mounts, a));
}

/** The device of a volume and all that stand on it. */
function stackOf({ label, device }: FrozenVolume, facts: DeviceFacts): ReadonlySet<string> {
  const first = facts.numberOf(device);
  if (first === null)
    throw new RsError(
      'E_USAGE',
      `Nothing was frozen, because ${label} has no block device here (${device}): attach it with a block device (device in rscltcfg), or leave --freeze out`,
    );
  const numbers = new Set([first]);
  for (const number of numbers) {
    for (const above of facts.above(number)) numbers.add(above);
    if (numbers.size > STACKED_DEVICES_MAX)
      throw new RsError('E_LIMIT', `More than ${STACKED_DEVICES_MAX} devices stand on ${label}: freeze its file systems with fsfreeze(8)`);
  }
  return numbers;
}

/** File systems such as btrfs have a device number of their own, but their source is a device. */
function numberOf({ device, source }: Pick<MountEntry, 'device' | 'source'>, facts: DeviceFacts): string {
  return device.startsWith('0:') && source.startsWith('/') ? (facts.numberOf(source) ?? device) : device;
}

/** The mount that a folder is in. */
function mountOf(folder: string, mounts: readonly MountEntry[]): MountEntry | undefined {
  const within = mounts.filter(({ mountPoint }) => folder === mountPoint || folder.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`));
  return within.reduce<MountEntry | undefined>(
    (best, mount) => (best === undefined || mount.mountPoint.length >= best.mountPoint.length ? mount : best),
    undefined,
  );
}

function lastIndexOf(mounts: readonly MountEntry[], { mountPoint }: FrozenMount): number {
  return mounts.findLastIndex((mount) => mount.mountPoint === mountPoint);
}
