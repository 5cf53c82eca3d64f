// Identifies a file or device. The name is the same for every path to it while it exists: volume-change.ts does not serve one twice, opened-file.ts
// serves no other in its place. The stamp lasts over boots and restarts, as far as the machine tells: volume-failures.ts detects a replaced storage
// by it. Device numbers change with each boot and do not count. Neither shows content that was overwritten in place, or a file system or disk that
// was restored to an earlier state.

import type { BigIntStats } from 'node:fs';
import { STORAGE_STAMP_MAX_CHARS } from '@rsio/common/config/schema/limits';
import { deviceName } from './block-device.ts';

import fs from 'node:fs';
import path from 'node:path';

/** File systems (statfs) whose inode numbers last no longer than the mount: FAT, exFAT, SMB, 9p and FUSE. */
const PASSING_INODES = new Set([0x4d44, 0x2011bab0, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x65735546]);
/** Names by which a disk, or a virtual one, identifies itself; files below its directory in /sys. */
const DISK_NAMES = ['dm/uuid', 'md/uuid', 'wwid', 'device/wwid', 'serial', 'device/serial'] as const;

/** Null: it cannot be told from others. `location`: a path on its file system. */
export function storageStamp(stats: BigIntStats, location: string, devicesDirectory = '/sys/dev/block'): string | null {
  if (stats.isBlockDevice()) return deviceStamp(path.join(devicesDirectory, deviceName(stats.rdev)));
  const inode = areInodesLasting(location) ? `i${stats.ino}` : null;
  const birth = stats.birthtimeNs > 0n ? `b${stats.birthtimeNs}` : null;
  return [inode, birth].filter((part) => part !== null).join('.') || null;
}

/** Whether two stamps may be of one file or device: a part that only one of them has is ignored. */
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

/** The same for every path of a file or device of this machine, while it exists. */
export function storageName(stats: BigIntStats): string {
  return stats.isBlockDevice() ? `device ${deviceName(stats.rdev)}` : `file ${stats.dev}:${stats.ino}`;
}
