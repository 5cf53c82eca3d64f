// Takes and checks the lock of a pool, which is a file lock on its pool.json. Invariant: a pool is written to only while this process
// holds the lock, and while the path of the pool leads to the locked file.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoName, errnoRemedy, RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { FILE_CALL_WAIT_MS } from '../../machine/limits.ts';
import type { takeLocks } from '../../storage/locks/file-locks.ts';
import { poolPaths } from './pool-paths.ts';

/** Locks pool.json. The lock is held until the returned handle is closed or the process exits. */
export async function takePoolLock(path: string, take: typeof takeLocks): Promise<FileHandle> {
  const file = poolPaths.identity(path);
  let handle: FileHandle;
  try {
    handle = await open(file, 'r+');
  } catch (thrown) {
    const errno = errnoName(thrown);
    throw new RsError(
      'E_POOL',
      `${file} cannot be opened for writing (${errno ?? '?'}): ${errnoRemedy(errno) ?? 'let rssrv write to the pool'}`,
      { file, errno },
      thrown,
    );
  }
  const [outcome] = await take([{ descriptor: handle.fd, shared: false }]);
  if (outcome === 'held') return handle;
  await handle.close();
  if (outcome === 'taken')
    throw new RsError(
      'E_POOL',
      `${file} is locked, because another rssrv or another section [pool] uses the pool: stop that rssrv, or remove that section`,
      { file },
    );
  if (outcome === 'silent') {
    const limit = printDuration(FILE_CALL_WAIT_MS);
    throw new RsError('E_POOL', `${file} was not locked within ${limit}: check its file system, then reload`, { file });
  }
  throw new RsError('E_POOL', `${file} cannot be locked: use a file system that has locks`, {
    file,
  });
}

/**
 * Throws E_POOL if the path of an open pool no longer leads to the locked pool.json, for example because the file system was unmounted. The
 * server must then not write to this path.
 */
export async function checkLocked(path: string, lock: FileHandle | null): Promise<void> {
  const file = poolPaths.identity(path);
  const [locked, named] = await Promise.all([lock?.stat(), stat(file).catch(() => null)]);
  if (named !== null && locked?.ino === named.ino && locked.dev === named.dev) return;
  throw new RsError('E_POOL', `${file} is not the file that was opened: mount the file system of the pool, or restart rssrv`, { file });
}
