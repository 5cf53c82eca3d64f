// Computes a name and a stamp of the file or device on which a volume is stored. While the file or device exists, every path to it gives
// the same name. With the name, volume-change.ts detects that two volumes have the same storage, and opened-file.ts detects a replaced
// file. The stamp usually survives reboots, so volume-failures.ts can detect that storage was replaced while rssrv was not running. Device
// numbers are not part of a stamp, because each boot may change them. Neither the name nor the stamp changes when content is overwritten in
// place or a disk is restored to an earlier state. An extended attribute would prove nothing more than a stamp, and some file systems have
// none. Rules: H5.

import type { BigIntStats } from 'node:fs';
import { STORAGE_STAMP_MAX_CHARS } from '@rsio/common/config/schema/limits';
import { deviceName } from './block-device.ts';

import fs from 'node:fs';
import path from 'node:path';

/** Types (as statfs returns them) of file systems whose inode numbers may change at the next mount: FAT, exFAT, SMB, 9p and FUSE. */
const PASSING_INODES = new Set([0x4d44, 0x2011bab0, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x65735546]);
/** Files in a disk's /sys directory that contain an identifier of the physical or virtual disk. */
const DISK_NAMES = ['dm/uuid', 'md/uuid', 'wwid', 'device/wwid', 'serial', 'device/serial'] as const;

/**
 * Returns the stamp of a file or device, or null if nothing distinguishes it from other files or devices. `location`: any path on the file
 * system that contains the file.
 */
export function storageStamp(stats: BigIntStats, location: string, devicesDirectory = '/sys/dev/block'): string | null {
  if (stats.isBlockDevice()) return deviceStamp(path.join(devicesDirectory, deviceName(stats.rdev)));
  const inode = areInodesLasting(location) ? `i${stats.ino}` : null;
  const birth = stats.birthtimeNs > 0n ? `b${stats.birthtimeNs}` : null;
  return [inode, birth].filter((part) => part !== null).join('.') || null;
}

/**
 * Returns true if two stamps may belong to the same file or device. If only one of the stamps contains a birth time, the birth time is
 * ignored.
 */
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

/** Returns the name of a file or device. */
export function storageName(stats: BigIntStats): string {
  return stats.isBlockDevice() ? `device ${deviceName(stats.rdev)}` : `file ${stats.dev}:${stats.ino}`;
}
