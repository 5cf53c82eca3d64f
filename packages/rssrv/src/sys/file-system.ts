// What kind of file system a directory is on, as far as it matters to who keeps data there: some are memory and gone at the next boot, and one
// of these is where the devices are, so that a misspelt device would become a file in it. Looks only.
// Leaves what follows from it to volume-storage.ts and storage-warnings.ts.

import { realpath, stat, statfs } from 'node:fs/promises';

/** `devices`: below /dev. */
export type FileSystem = 'devices' | 'ramfs' | 'tmpfs' | 'other';
export type FileSystemOf = (directory: string) => Promise<FileSystem>;

const RAMFS = 0x858458f6;
const TMPFS = 0x01021994;

/** Of a directory that is there; one that cannot be looked at is `other`. `devices`: where the devices are. */
export async function fileSystemOf(directory: string, devices = '/dev'): Promise<FileSystem> {
  try {
    const [real, location, root] = await Promise.all([realpath(directory), realpath(devices), realpath('/')]);
    if (real === location || real.startsWith(`${location}/`)) return 'devices';
    const [at, there, top] = await Promise.all([real, location, root].map((one) => stat(one)));
    // The same file system in another place, as in a chroot; /dev may also be a folder like any other.
    if (at?.dev === there?.dev && there?.dev !== top?.dev) return 'devices';
    const { type } = await statfs(real);
    return type === RAMFS ? 'ramfs' : type === TMPFS ? 'tmpfs' : 'other';
  } catch {
    return 'other';
  }
}
