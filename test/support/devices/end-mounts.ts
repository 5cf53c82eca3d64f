// Ends what killed servers have left in the kernel: mounts below the roots of their hosts, and loop devices over files there. Invariant:
// nothing outside of these roots is touched.

import { spawnSync } from 'node:child_process';
import { mountTable } from '@rsio/common/daemon/mount-table';

/** Unmounts everything below `roots`, and ends the loop devices over files there. No process may use them any more. */
export async function endMounts(roots: readonly string[]): Promise<void> {
  const isOurs = (file: string): boolean => roots.some((root) => file.startsWith(`${root}/`));
  // A loop device loses the name of its file when the file system of the file is unmounted.
  const loops = spawnSync('losetup', ['-n', '-O', 'NAME,BACK-FILE'], { encoding: 'utf8' }).stdout.trim().split('\n');
  for (const { mountPoint } of (await mountTable()).toReversed()) if (isOurs(mountPoint)) spawnSync('umount', ['-l', mountPoint]);
  for (const [loop = '', file = ''] of loops.map((line) => line.trim().split(/\s+/))) if (isOurs(file)) spawnSync('losetup', ['-d', loop]);
}
