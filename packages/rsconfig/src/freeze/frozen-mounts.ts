// Finds the file systems on the devices of volumes, even on partitions, LVM and md devices above them. Pure except for the ports.
// Invariants: a file system that also uses other devices is refused, because its snapshot would not be of one moment. A file system with
// files of rsiod or rssrv is refused, because these programs would wait for themselves.

import { type DeviceFacts, deviceOfMount, mountHolding, mountsOn, stackOn } from '@rsio/base/daemon/block-stack';
import { STACKED_DEVICES_MAX } from '@rsio/base/daemon/limits';
import type { MountEntry } from '@rsio/base/daemon/mount-table';
import { RsError } from '@rsio/base/lib/errors';
import { FROZEN_MAX } from '../limits.ts';

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
 * Returns one mount for each file system on the volumes. `ours`: folders to which rsiod and rssrv write. Throws E_USAGE if a volume has no
 * mounted file system, and E_IN_USE if a file system cannot be frozen.
 */
export function mountsToFreeze(
  volumes: readonly FrozenVolume[],
  mounts: readonly MountEntry[],
  ours: readonly string[],
  facts: DeviceFacts,
): readonly FrozenMount[] {
  const stacks = volumes.map((volume) => ({ volume, numbers: stackOf(volume, facts) }));
  const all = new Set(stacks.flatMap(({ numbers }) => [...numbers]));
  const found = new Map<string, FrozenMount>();
  for (const { volume, numbers } of stacks) {
    const own = mountsOn(numbers, mounts, facts);
    if (own.length === 0)
      throw new RsError(
        'E_USAGE',
        `Nothing was frozen, because no file system of ${volume.label} (${volume.device}) is mounted here: mount it, or leave --freeze out`,
      );
    for (const { mountPoint, type, source, device } of own) {
      const number = fileSystemOf({ source, device }, facts);
      if (!found.has(number)) found.set(number, { mountPoint, type, source });
    }
  }
  for (const [number, mount] of found) {
    const strange = facts
      .members(number)
      .flatMap((member) => [member, ...facts.below(member)])
      .find((other) => !all.has(other));
    if (strange !== undefined)
      throw new RsError(
        'E_IN_USE',
        `Nothing was frozen, because ${mount.mountPoint} (${mount.source}) is also on device ${strange}, which is none of these volumes: name all volumes of it`,
      );
    const own = ours.find((folder) => {
      const holding = mountHolding(folder, mounts);
      return holding !== undefined && fileSystemOf(holding, facts) === number;
    });
    if (own !== undefined)
      throw new RsError(
        'E_IN_USE',
        `Nothing was frozen, because ${own} is on ${mount.mountPoint}, and RSIO would wait for itself: move it to another file system`,
      );
  }
  if (found.size > FROZEN_MAX) throw new RsError('E_LIMIT', `${found.size} file systems would be frozen, and ${FROZEN_MAX} are allowed`);
  // The file system that was mounted last is frozen first, because it may be stored in a file on one that was mounted earlier.
  return [...found.values()].toSorted((a, b) => lastIndexOf(mounts, b) - lastIndexOf(mounts, a));
}

/** Returns the numbers of a volume's device and of all devices above it. */
function stackOf({ label, device }: FrozenVolume, facts: DeviceFacts): ReadonlySet<string> {
  const first = facts.numberOf(device);
  if (first === null)
    throw new RsError(
      'E_USAGE',
      `Nothing was frozen, because ${label} has no block device here (${device}): attach it with a block device (device in rscltcfg), or leave --freeze out`,
    );
  const { numbers, isComplete } = stackOn(first, facts);
  if (!isComplete)
    throw new RsError('E_LIMIT', `More than ${STACKED_DEVICES_MAX} devices stand on ${label}: freeze its file systems with fsfreeze(8)`);
  return numbers;
}

/** Returns the first device of a mounted file system. It is the same for all mounts of the file system, also those of its subvolumes. */
function fileSystemOf(mount: Pick<MountEntry, 'device' | 'source'>, facts: DeviceFacts): string {
  const device = deviceOfMount(mount, facts);
  return facts.members(device)[0] ?? device;
}

function lastIndexOf(mounts: readonly MountEntry[], { mountPoint }: FrozenMount): number {
  return mounts.findLastIndex((mount) => mount.mountPoint === mountPoint);
}
