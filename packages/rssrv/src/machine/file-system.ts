// Determines which kind of file system a directory is on; volume-storage.ts and storage-warnings.ts act on the result. Memory file systems
// lose their files at a boot. The directory /dev is usually on a memory file system, where a misspelt device name would create an ordinary
// file.

import { realpath, stat, statfs } from 'node:fs/promises';

/** The value `devices` stands for the file system of /dev. */
export type FileSystem = 'devices' | 'ramfs' | 'tmpfs' | 'other';
export type FileSystemOf = (directory: string) => Promise<FileSystem>;

const RAMFS = 0x858458f6;
const TMPFS = 0x01021994;

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
