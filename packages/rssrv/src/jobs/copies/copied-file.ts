// Opens the file of a snapshot for the program that copies the snapshot, and limits the time of steps on file systems that may hang.
// Invariants: no user may write to the file of a snapshot; a process of another user can read the file only through a descriptor, because
// other users cannot enter the folders of a pool.

import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import { partSizes } from '../../pools/disk/manifest.ts';
import { filesOf } from '../../pools/snapshots/snapshot-record.ts';
import { VolumeContent } from '../moves/volume-content.ts';
import type { CopySource } from './copy-source.ts';
import { FILE_STEP_MS } from '../limits.ts';
import type { ProgramUser } from './program.ts';

const MODE = 0o400;
const GROUP_MODE = 0o440;

/**
 * Executes the work with two arguments: the open file of a snapshot, and the number of bytes that the file occupies. Throws E_VOLUME if the
 * file has lost content when the work ends, because the program then copied less.
 */
export async function withSnapshotFile<T>(
  source: CopySource,
  user: ProgramUser | null,
  work: (source: FileHandle, bytes: number) => Promise<T>,
): Promise<T> {
  const { files, record } = source;
  const [file = ''] = files;
  const handle = await open(file, 'r');
  try {
    const { size, blocks, uid } = await handle.stat();
    // The program opens the file again through /dev/fd, so the user of the program needs the right to read the file.
    if (user !== null) {
      await handle.chown(uid, user.gid);
      await handle.chmod(GROUP_MODE);
    }
    try {
      const result = await work(handle, Math.min(size, blocks * 512));
      await new VolumeContent([handle]).checkLength(partSizes(filesOf(record))[0] ?? 0);
      return result;
    } finally {
      if (user !== null) {
        await handle.chmod(MODE);
        await handle.chown(uid, process.getegid?.() ?? uid);
      }
    }
  } finally {
    await handle.close();
  }
}

/** Resolves with the result of `work`. Throws E_SYSTEM after `limitMs`; the work then continues, and its result is ignored. */
export function within<T>(clock: Clock, what: string, work: Promise<T>, limitMs = FILE_STEP_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () =>
      reject(new RsError('E_SYSTEM', `${what} has not answered for ${printDuration(limitMs)}: check its file system`)),
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
