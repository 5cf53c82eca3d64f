// The kind of file system of a directory, as far as stored data depends on it: memory file systems are empty after a boot, and one of them has the
// devices, where a misspelt device name would become a file. Read only. volume-storage.ts and storage-warnings.ts act on it.

import { realpath, stat, statfs } from 'node:fs/promises';

/** `devices`: below /dev. */
export type FileSystem = 'devices' | 'ramfs' | 'tmpfs' | 'other';
export type FileSystemOf = (directory: string) => Promise<FileSystem>;

const RAMFS = 0x858458f6;
const TMPFS = 0x01021994;

/** Kind of an existing directory; `other` if it cannot be inspected. `devices`: the directory of devices. */
export async function fileSystemOf(directory: string, devices = '/dev'): Promise<FileSystem> {
  try {
    const [real, location, root] = await Promise.all([realpath(directory), realpath(devices), realpath('/')]);
    if (real === location || real.startsWith(`${location}/`)) return 'devices';
    const [at, there, top] = await Promise.all([real, location, root].map((one) => stat(one)));
    // The same file system at another path, as in a chroot; /dev may also be an ordinary directory.
    if (at?.dev === there?.dev && there?.dev !== top?.dev) return 'devices';
    const { type } = await statfs(real);
    return type === RAMFS ? 'ramfs' : type === TMPFS ? 'tmpfs' : 'other';
  } catch {
    return 'other';
  }
}
