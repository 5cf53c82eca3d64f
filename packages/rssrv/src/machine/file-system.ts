// Determines which kind of file system a directory is on; volume-storage.ts and storage-warnings.ts act on the result. Memory file systems
// lose their files at a boot. The directory /dev is usually on a memory file system, where a misspelt device name would create an ordinary
// file. Also finds the mount of an open file, and whether calls about the file may wait. Invariant: the latter makes no call in the main
// thread that may wait for a file system.

import { readFileSync } from 'node:fs';
import { readFile, realpath, stat, statfs } from 'node:fs/promises';
import { systemClock } from '@rsio/base/lib/clock';
import { within } from '@rsio/base/lib/waiting';
import { FILE_CALL_WAIT_MS } from './limits.ts';

/** The value `devices` stands for the file system of /dev. */
export type FileSystem = 'devices' | 'ramfs' | 'tmpfs' | 'other';
export type FileSystemOf = (directory: string) => Promise<FileSystem>;

const RAMFS = 0x858458f6;
const TMPFS = 0x01021994;
/**
 * File systems of one machine. The attributes of an open file are in the memory of the kernel, and so are its locks. A call about them never
 * waits for storage.
 */
const LOCAL: readonly string[] = ['btrfs', 'ext4', 'tmpfs', 'xfs'];

/**
 * Returns the kind of file system that a directory is on, or `other` if the directory cannot be inspected. `devices` is the path of the
 * directory of the device nodes.
 */
export async function fileSystemOf(directory: string, devices = '/dev'): Promise<FileSystem> {
  try {
    const [real, location, root] = await Promise.all([realpath(directory), realpath(devices), realpath('/')]);
    if (real === location || real.startsWith(`${location}/`)) return 'devices';
    const [at, there, top] = await Promise.all([real, location, root].map((one) => stat(one)));
    // Compare device numbers, because the file system of /dev may also be mounted elsewhere, for example in a chroot. The device numbers
    // prove nothing if /dev is an ordinary directory on the root file system.
    if (at?.dev === there?.dev && there?.dev !== top?.dev) return 'devices';
    const { type } = await statfs(real);
    return type === RAMFS ? 'ramfs' : type === TMPFS ? 'tmpfs' : 'other';
  } catch {
    return 'other';
  }
}

/** Returns the id of the mount below which an open file is, without asking its file system. */
export function mountOf(descriptor: number): string {
  try {
    return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1] ?? '';
  } catch {
    return '';
  }
}

/**
 * Knows of open files whether calls about their attributes and locks never wait for storage. Finds it out once for each device number. Only
 * for a short time, because another file system can get the number.
 */
export class LocalFiles {
  private readonly known = new Map<bigint, Promise<boolean>>();

  /** `device`: the device number of the open file; undefined if it is not known. Resolves with false in case of doubt. */
  has(descriptor: number, device: bigint | undefined): Promise<boolean> {
    if (device === undefined) return Promise.resolve(false);
    const known = this.known.get(device);
    if (known !== undefined) return known;
    const found = mountedType(mountOf(descriptor)).then((type) => LOCAL.includes(type));
    this.known.set(device, found);
    return found;
  }
}

/**
 * Resolves with the type of the file system with this mount id, such as `xfs`; '' if it is not known. The kernel asks each btrfs of the
 * machine for the names of its subvolumes, so that the list of mounts may wait for a disk.
 */
async function mountedType(mount: string): Promise<string> {
  const mounts = await within(systemClock, FILE_CALL_WAIT_MS, readFile('/proc/self/mountinfo', 'latin1'), () => '').catch(() => '');
  const line = mounts.split('\n').find((one) => one.startsWith(`${mount} `));
  return / - (\S+) /.exec(line ?? '')?.[1] ?? '';
}
