// What tells a file or device from every other one, over boots and restarts, as far as the machine says: by it one that took the place of
// another is known. Numbers of devices are given anew at each boot, so they do not count. Leaves what follows to held-facts.ts.
// It cannot see that content was written over in place, or that a whole file system or disk was put back to an earlier state.

import type { BigIntStats } from 'node:fs';
import fs from 'node:fs';
import path from 'node:path';
import { STORAGE_STAMP_MAX_CHARS } from '@rsio/common/config/schema/limits';
import { deviceName } from './block-device.ts';

/** File systems (statfs) whose inode numbers last no longer than the mount: FAT, exFAT, SMB, 9p and what runs by FUSE. */
const PASSING_INODES = new Set([0x4d44, 0x2011bab0, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x65735546]);
/** What a disk, or what stands for one, is called by itself; below its folder in /sys. */
const DISK_NAMES = ['dm/uuid', 'md/uuid', 'wwid', 'device/wwid', 'serial', 'device/serial'] as const;

/** null: nothing tells it from others. `place`: a path of it, on its file system. */
export function storageStamp(stats: BigIntStats, location: string, devicesDirectory = '/sys/dev/block'): string | null {
  if (stats.isBlockDevice()) return deviceStamp(path.join(devicesDirectory, deviceName(stats.rdev)));
  const inode = areInodesLasting(location) ? `i${stats.ino}` : null;
  const birth = stats.birthtimeNs > 0n ? `b${stats.birthtimeNs}` : null;
  return [inode, birth].filter((part) => part !== null).join('.') || null;
}

/** Whether two stamps may be of one file or device: what only one of them knows says nothing. */
export function isSameStamp(one: string | null, other: string | null): boolean {
  if (one === null || other === null || one === other) return true;
  const [shorter, longer] = one.length < other.length ? [one, other] : [other, one];
  return /^i\d+$/.test(shorter) && longer.startsWith(`${shorter}.b`);
}

function areInodesLasting(location: string): boolean {
  try {
    return !PASSING_INODES.has(fs.statfsSync(location).type);
  } catch {
    return false;
  }
}

function deviceStamp(link: string): string | null {
  let folder: string;
  try {
    folder = fs.realpathSync(link);
  } catch {
    return null;
  }
  const partition = textOf(folder, 'partition');
  const disk = diskStamp(partition === null ? folder : path.dirname(folder));
  if (disk === null) return null;
  return partition === null ? disk : `${disk}:p${partition}@${textOf(folder, 'start') ?? ''}`;
}

function diskStamp(folder: string): string | null {
  const backing = textOf(folder, 'loop/backing_file');
  if (backing !== null) return loopStamp(backing);
  for (const name of DISK_NAMES) {
    const text = textOf(folder, name);
    if (text !== null) return `${name}:${text}`.replaceAll(/[^\w.:@/+-]+/g, '_').slice(0, STORAGE_STAMP_MAX_CHARS);
  }
  return null;
}

function loopStamp(backing: string): string | null {
  try {
    const stamp = storageStamp(fs.statSync(backing, { bigint: true }), backing);
    return stamp === null ? null : `loop:${stamp}`;
  } catch {
    return null;
  }
}

function textOf(folder: string, name: string): string | null {
  try {
    return fs.readFileSync(path.join(folder, name), 'utf8').trim() || null;
  } catch {
    return null;
  }
}
