// Determines which kind of file system a directory is on. Memory file systems are empty after a boot. The device nodes in /dev are usually
// on a memory file system, where a misspelt device name would create an ordinary file. This module only reads; volume-storage.ts and
// storage-warnings.ts act on the result.

import { realpath, stat, statfs } from 'node:fs/promises';

/** `devices` is the file system that contains /dev. */
export type FileSystem = 'devices' | 'ramfs' | 'tmpfs' | 'other';
export type FileSystemOf = (directory: string) => Promise<FileSystem>;

const RAMFS = 0x858458f6;
const TMPFS = 0x01021994;

/**
 * Returns the kind of file system that an existing directory is on, or `other` if the directory cannot be inspected. The parameter
 * `devices` is the directory that contains the device nodes.
 */
export async function fileSystemOf(directory: string, devices = '/dev'): Promise<FileSystem> {
  try {
    const [real, location, root] = await Promise.all([realpath(directory), realpath(devices), realpath('/')]);
    if (real === location || real.startsWith(`${location}/`)) return 'devices';
    const [at, there, top] = await Promise.all([real, location, root].map((one) => stat(one)));
    // Compare device numbers, because the file system of the device nodes may also be mounted at another path, for example in a chroot. If
    // /dev is an ordinary directory on the root file system, this comparison proves nothing.
    if (at?.dev === there?.dev && there?.dev !== top?.dev) return 'devices';
    const { type } = await statfs(real);
    return type === RAMFS ? 'ramfs' : type === TMPFS ? 'tmpfs' : 'other';
  } catch {
    return 'other';
  }
}
