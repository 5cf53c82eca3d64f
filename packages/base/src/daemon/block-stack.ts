// Finds everything that stands on a block device, as the kernel knows it: partitions, stacked devices (LVM, md), loop devices on the
// device, and file systems, also those that span several devices or have a device number of their own (btrfs). Whatever asks for the users
// of a volume asks here. Invariant: only folders of /sys and links below /dev are read, which the kernel has in memory, so that no
// question waits for a volume.

import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import type { MountEntry } from './mount-table.ts';
import { DEVICE_LINKS_MAX, STACKED_DEVICES_MAX } from './limits.ts';

const DEVICES = '/dev/';

/** Facts about block devices. A device number is a text such as `7:3`. */
export interface DeviceFacts {
  /** Returns the number of the block device with this path; null if there is none. */
  numberOf(path: string): string | null;
  /** Returns the kernel's name of a device, such as `loop3p1`; the number if the device is gone. */
  nameOf(number: string): string;
  /** Returns the numbers of a device's partitions, of the devices stacked on it, and of the loop devices whose backing file it is. */
  above(number: string): readonly string[];
  isPartition(number: string): boolean;
  /** Returns the numbers of the devices below a stacked device; an empty list for a partition. */
  below(number: string): readonly string[];
  /** Returns the numbers of all devices of the file system that has this device, which are several for btrfs; always with the device. */
  members(number: string): readonly string[];
  /** Returns the type of the file system that has the device now, even if no mount table shows it; null if the kernel shows none. */
  fileSystemOn(number: string): string | null;
}

/** The devices on which a volume is used: its own device, and all devices above. */
export interface DeviceStack {
  readonly numbers: ReadonlySet<string>;
  /** False if there are more than STACKED_DEVICES_MAX devices. */
  readonly isComplete: boolean;
}

export function stackOn(device: string, facts: Pick<DeviceFacts, 'above'>): DeviceStack {
  const numbers = new Set([device]);
  for (const number of numbers) {
    for (const above of facts.above(number)) numbers.add(above);
    if (numbers.size > STACKED_DEVICES_MAX) return { numbers, isComplete: false };
  }
  return { numbers, isComplete: true };
}

/**
 * Returns the number of the device on which a file system is mounted. In the mount table, a file system such as btrfs has a device number
 * of its own, so the number of its source device is used.
 */
export function deviceOfMount({ device, source }: Pick<MountEntry, 'device' | 'source'>, facts: Pick<DeviceFacts, 'numberOf'>): string {
  return device.startsWith('0:') ? (deviceAt(source, facts) ?? device) : device;
}

/**
 * Returns the number of the block device with a path that the kernel names. Another path than one below /dev may lie on a volume, so it is
 * not looked at.
 */
export function deviceAt(place: string, facts: Pick<DeviceFacts, 'numberOf'>): string | null {
  return place.startsWith(DEVICES) ? facts.numberOf(place) : null;
}

/** Returns the mounts of file systems that have at least one of the devices. */
export function mountsOn<M extends Pick<MountEntry, 'device' | 'source'>>(
  numbers: ReadonlySet<string>,
  mounts: readonly M[],
  facts: Pick<DeviceFacts, 'numberOf' | 'members'>,
): M[] {
  return mounts.filter((mount) => facts.members(deviceOfMount(mount, facts)).some((member) => numbers.has(member)));
}

/** Returns the mount that contains a file or folder. */
export function mountHolding(file: string, mounts: readonly MountEntry[]): MountEntry | undefined {
  const within = mounts.filter(({ mountPoint }) => file === mountPoint || file.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`));
  return within.reduce<MountEntry | undefined>(
    (best, mount) => (best === undefined || mount.mountPoint.length >= best.mountPoint.length ? mount : best),
    undefined,
  );
}

/** The devices of this machine. Lists are read once, so an instance serves one question. `root` is above /sys. */
export class MachineDevices implements DeviceFacts {
  private readonly sys: string;
  private loops: ReadonlyMap<string, readonly string[]> | null = null;
  private groups: readonly (readonly string[])[] | null = null;
  private types: readonly string[] | null = null;

  constructor(root = '/') {
    this.sys = path.join(root, 'sys');
  }

  numberOf(file: string): string | null {
    let place = file;
    for (let links = 0; links <= DEVICE_LINKS_MAX; links++) {
      // In the kernel's names, a slash is an exclamation mark.
      const name = place.startsWith(DEVICES) ? place.slice(DEVICES.length).replaceAll('/', '!') : '';
      const number = name === '' ? '' : textOf(path.join(this.sys, 'class/block', name, 'dev'));
      if (number !== '') return number;
      const target = orElse(() => readlinkSync(place), '');
      if (target === '') break;
      place = path.resolve(path.dirname(place), target);
    }
    // Without udev, the name of a device-mapper device is no link.
    return this.mapped(file);
  }

  nameOf(number: string): string {
    return path.basename(this.folder(number)) || number;
  }

  above(number: string): string[] {
    const folder = this.folder(number);
    if (folder === '') return [];
    const partitions = namesIn(folder).filter((name) => existsSync(path.join(folder, name, 'partition')));
    const own = partitions.flatMap((name) => numberIn(path.join(folder, name)));
    return [...own, ...this.listed(number, 'holders'), ...(this.loopsOn().get(number) ?? [])];
  }

  isPartition(number: string): boolean {
    const folder = this.folder(number);
    return folder !== '' && existsSync(path.join(folder, 'partition'));
  }

  below(number: string): string[] {
    return this.listed(number, 'slaves');
  }

  members(number: string): readonly string[] {
    return this.multiple().find((group) => group.includes(number)) ?? [number];
  }

  fileSystemOn(number: string): string | null {
    if (this.multiple().some((group) => group.includes(number))) return 'btrfs';
    const folder = path.join(this.sys, 'fs');
    this.types ??= namesIn(folder);
    const name = this.nameOf(number);
    return this.types.find((type) => existsSync(path.join(folder, type, name))) ?? null;
  }

  private folder(number: string): string {
    return orElse(() => realpathSync(path.join(this.sys, 'dev/block', number)), '');
  }

  private listed(number: string, list: 'holders' | 'slaves'): string[] {
    const folder = path.join(this.folder(number), list);
    return namesIn(folder).flatMap((name) => numberIn(path.join(folder, name)));
  }

  private mapped(file: string): string | null {
    if (!file.startsWith('/dev/mapper/')) return null;
    const folder = path.join(this.sys, 'block');
    const name = namesIn(folder).find((one) => textOf(path.join(folder, one, 'dm/name')) === path.basename(file));
    return name === undefined ? null : (numberIn(path.join(folder, name))[0] ?? null);
  }

  /** Key: number of a block device. Value: numbers of the loop devices whose backing file it is. */
  private loopsOn(): ReadonlyMap<string, readonly string[]> {
    if (this.loops !== null) return this.loops;
    const found = new Map<string, string[]>();
    const folder = path.join(this.sys, 'block');
    for (const name of namesIn(folder).filter((one) => one.startsWith('loop'))) {
      const file = textOf(path.join(folder, name, 'loop/backing_file'));
      const below = deviceAt(file.replace(/ \(deleted\)$/, ''), this);
      if (below !== null) found.set(below, [...(found.get(below) ?? []), ...numberIn(path.join(folder, name))]);
    }
    return (this.loops = found);
  }

  /** The devices of each btrfs file system. */
  private multiple(): readonly (readonly string[])[] {
    const folder = path.join(this.sys, 'fs/btrfs');
    this.groups ??= namesIn(folder).map((id) => {
      const devices = path.join(folder, id, 'devices');
      return namesIn(devices).flatMap((name) => numberIn(path.join(this.sys, 'class/block', name)));
    });
    return this.groups;
  }
}

function numberIn(folder: string): string[] {
  const text = textOf(path.join(folder, 'dev'));
  return text === '' ? [] : [text];
}

function namesIn(folder: string): string[] {
  return orElse(() => readdirSync(folder), []);
}

function textOf(file: string): string {
  return orElse(() => readFileSync(file, 'utf8').replace(/\n$/, ''), '');
}

function orElse<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch {
    return otherwise;
  }
}
