// Opens the file of a snapshot for the program that copies the snapshot, and limits the time of steps on file systems that may hang.
// Invariants: no user may write to the file of a snapshot; a process of another user can read the file only through a descriptor, because
// other users cannot enter the folders of a pool.

import { within } from '@rsio/base/lib/waiting';
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { FILE_STEP_MS } from '../limits.ts';
import type { CopySource } from './copy-source.ts';
import type { ProgramUser } from './program.ts';

const MODE = 0o400;
const GROUP_MODE = 0o440;

/**
 * Executes the work with two arguments: the open file of a snapshot, and the number of bytes that the file occupies. Throws E_STORAGE if the
 * file is shorter than its snapshot, before or after the work, because what it lacks would be copied as zeros.
 */
export async function withSnapshotFile<T>(
  { files: [file = ''], record }: Pick<CopySource, 'files' | 'record'>,
  user: ProgramUser | null,
  work: (source: FileHandle, bytes: number) => Promise<T>,
): Promise<T> {
  const source = await open(file, 'r');
  try {
    const { size, blocks, uid } = await source.stat();
    checkLength(file, size, record.sizeBytes);
    // The program opens the file again through /dev/fd, so the user of the program needs the right to read the file.
    if (user !== null) {
      await source.chown(uid, user.gid);
      await source.chmod(GROUP_MODE);
    }
    try {
      const result = await work(source, Math.min(size, blocks * 512));
      checkLength(file, (await source.stat()).size, record.sizeBytes);
      return result;
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

export function checkLength(file: string, bytes: number, neededBytes: number): void {
  if (bytes >= neededBytes) return;
  throw new RsError(
    'E_STORAGE',
    `${file} was cut: it has ${bytes} of ${neededBytes} bytes; bring the former file back, or copy another snapshot`,
    {
      file,
    },
  );
}

/** Resolves with the result of `work`. Throws E_SYSTEM after `limitMs`; the work then continues, and its result is ignored. */
export function answered<T>(clock: Clock, what: string, work: Promise<T>, limitMs = FILE_STEP_MS): Promise<T> {
  return within(clock, limitMs, work, () => {
    throw new RsError('E_SYSTEM', `${what} has not answered for ${printDuration(limitMs)}: check its file system`);
  });
}
