// What the program that copies is given, and time for steps on file systems that may hang: the file of a snapshot, readable for the user of the
// program. Invariant: nobody may write to the file of a snapshot, and only who has its descriptor may read it, because the folders of a pool
// are closed.

import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import { FILE_STEP_MS } from './limits.ts';
import type { ProgramUser } from './program.ts';

const MODE = 0o400;
const GROUP_MODE = 0o440;

/** Executes the work with the open file of a snapshot, and the bytes that it uses. */
export async function withSnapshotFile<T>(
  file: string,
  user: ProgramUser | null,
  work: (source: FileHandle, bytes: number) => Promise<T>,
): Promise<T> {
  const source = await open(file, 'r');
  try {
    const { size, blocks, uid } = await source.stat();
    // The program opens its descriptor again, so that it needs the right to read.
    if (user !== null) {
      await source.chown(uid, user.gid);
      await source.chmod(GROUP_MODE);
    }
    try {
      return await work(source, Math.min(size, blocks * 512));
    } finally {
      if (user !== null) {
        await source.chmod(MODE);
        await source.chown(uid, process.getegid?.() ?? uid);
      }
    }
  } finally {
    await source.close();
  }
}

/** Returns what the work returns. Throws E_SYSTEM if it takes longer; it then goes on, and nobody waits for it. */
export function within<T>(clock: Clock, what: string, work: Promise<T>, limitMs = FILE_STEP_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () =>
      reject(new RsError('E_SYSTEM', `${what} has not answered for ${printDuration(limitMs)}: check its file system`)),
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
