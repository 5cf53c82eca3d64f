// Decides what uses the block devices of a volume, from the tables of the kernel: mount points in all mount namespaces, file systems
// without a mount point, swap space, stacked devices and loop devices, on the device itself and on all devices above it. Pure except for the
// facts. Invariants: a partition alone uses nothing; each function looks at the same devices, so that what counts as a user is also written
// back, and swap space on it is reported.

import { deviceAt, type DeviceFacts, mountHolding, mountsOn, stackOn } from '@rsio/base/daemon/block-stack';
import type { MountEntry } from '@rsio/base/daemon/mount-table';

/** A mount in the mount namespace of a process. */
export interface SeenMount extends MountEntry {
  /** Ends the name of the mount: empty in the mount namespace of rsiod, otherwise such as ` of process 71 (sh)`. */
  readonly whose: string;
  /** The folder through which this process reaches the namespace; empty for its own namespace. */
  readonly root: string;
}

export interface KernelTables {
  readonly mounts: readonly SeenMount[];
  /** Devices and files with swap space. */
  readonly swaps: readonly string[];
  readonly facts: DeviceFacts;
}

/** Returns the users of the devices with these numbers as readable texts. `own`: the devices whose existence alone is no use. */
export function usesOf(devices: readonly string[], own: ReadonlySet<string>, tables: KernelTables): string[] {
  return [...new Set(devices.flatMap((device) => usesOfOne(device, own, tables)))];
}

function usesOfOne(device: string, own: ReadonlySet<string>, { mounts, swaps, facts }: KernelTables): string[] {
  const { numbers, isComplete } = stackOn(device, facts);
  const mounted = mountsOn(numbers, mounts, facts);
  const swapped = swaps.filter((swap) => numbers.has(deviceAt(swap, facts) ?? ''));
  const isShown = (number: string): boolean => mountsOn(new Set(facts.members(number)), mounted, facts).length > 0;
  const hidden = [...numbers].flatMap((number) => {
    const type = facts.fileSystemOn(number);
    return type === null || isShown(number) ? [] : [`file system ${type} on ${facts.nameOf(number)}, whose mount no process sees`];
  });
  const stacked = [...numbers].filter((number) => !own.has(number) && !facts.isPartition(number));
  // A mount namespace begins with a copy of all mounts, and its processes are no users of those that rsiod sees as well.
  const seen = new Set(mounted.flatMap((one) => (one.whose === '' ? `${one.device} ${one.mountPoint}` : [])));
  const told = mounted.filter((one) => one.whose === '' || !seen.has(`${one.device} ${one.mountPoint}`));
  return [
    ...told.map(({ mountPoint, whose }) => `mount point ${mountPoint}${whose}`),
    ...hidden,
    ...swapped.map((swap) => (deviceAt(swap, facts) === device ? 'swap' : `swap ${swap}`)),
    ...stacked.map((number) => stackedText(facts.nameOf(number))),
    ...(isComplete ? [] : ['more devices than rsiod looks at']),
  ];
}

function stackedText(name: string): string {
  return name.startsWith('loop') ? `loop device /dev/${name}` : `device ${name}`;
}

/** Paths of the devices of a stack, such as `/dev/loop3p1`, whose open files are uses of the device. */
export function devicePathsOn(device: string, facts: DeviceFacts): string[] {
  return [...stackOn(device, facts).numbers].map((number) => `/dev/${facts.nameOf(number)}`);
}

/** What a forced removal must write back: one mount of each file system, and then the devices, the uppermost first. */
export function unwrittenOn(device: string, { mounts, facts }: KernelTables): { folders: string[]; devices: string[] } {
  const { numbers } = stackOn(device, facts);
  const folders = new Map<string, string>();
  // A file system that was mounted later may be stored in a file on one that was mounted earlier.
  for (const { device: own, root, mountPoint } of mountsOn(numbers, mounts, facts).toReversed())
    if (!folders.has(own) || root === '') folders.set(own, root + mountPoint);
  return { folders: [...folders.values()], devices: devicePathsOn(device, facts).toReversed() };
}

/** Returns the swap spaces on a device: on the device itself, on a device above it, or in a file of a file system on it. */
export function swapsOn(device: string, { mounts, swaps, facts }: KernelTables): string[] {
  const { numbers } = stackOn(device, facts);
  return swaps.filter((swap) => {
    const number = deviceAt(swap, facts);
    if (number !== null) return numbers.has(number);
    const mount = mountHolding(swap, mounts);
    return mount !== undefined && mountsOn(numbers, [mount], facts).length > 0;
  });
}
