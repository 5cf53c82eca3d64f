// Removes what killed servers have left in the kernel: mounts below the roots of their hosts, and loop devices over files below these
// roots. Invariant: everything outside of these roots stays untouched.

import { spawnSync } from 'node:child_process';
import { mountTable } from '@rsio/base/daemon/mount-table';

/** Unmounts everything below `roots`, and detaches the loop devices over files below them. No process may still use them. */
export async function endMounts(roots: readonly string[]): Promise<void> {
  const isOurs = (file: string): boolean => roots.some((root) => file.startsWith(`${root}/`));
  // The devices are listed before the unmount, because a loop device loses the name of its file when the file's file system is unmounted.
  const loops = spawnSync('losetup', ['-n', '-O', 'NAME,BACK-FILE'], { encoding: 'utf8' }).stdout.trim().split('\n');
  for (const { mountPoint } of (await mountTable()).toReversed()) if (isOurs(mountPoint)) spawnSync('umount', ['-l', mountPoint]);
  for (const [loop = '', file = ''] of loops.map((line) => line.trim().split(/\s+/))) if (isOurs(file)) spawnSync('losetup', ['-d', loop]);
}
