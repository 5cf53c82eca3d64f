// Takes advisory locks (flock) on descriptors of this process, so that no two rssrv processes serve the same file. Also looks for marks
// (storage/files/range-file.ts), which show that a worker has a file open. A flock belongs to the open file description, not to the process
// or the descriptor that took it. The listener opens these files for itself: Node.js opens them with close-on-exec, and workers get
// descriptions of their own. Invariant: the lock therefore stays until the listener closes its descriptor or ends, however it ends. A lock
// file beside the image would not protect the image under a second name, and would remain after a crash.

import os from 'node:os';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { type BoundedCalls, boundedCalls } from '../../machine/bounded-calls.ts';
import { fileCalls, type FlockOperation } from '../../machine/file-calls.ts';
import { LocalFiles } from '../../machine/file-system.ts';
import { FILE_CALL_WAIT_MS, LOCKABLE_FILES_AT_ONCE, LOOKS_PER_TURN } from '../../machine/limits.ts';

/**
 * `marked`: a worker has the file open for writing. The worker may have outlived its listener. `taken`: another process holds the lock.
 * `unavailable`: the file system does not support locks. `silent`: the file system did not answer in time.
 */
export type LockOutcome = 'held' | 'marked' | 'taken' | 'unavailable' | 'silent';

export interface LockRequest {
  readonly descriptor: number;
  readonly shared: boolean;
  /** Looks for a mark without taking a lock. The outcome is `held` if there is no mark. */
  readonly isLook?: true;
  /** The device number of the file, as stat returns it. With it, a look at one of LocalFiles needs no thread. */
  readonly device?: bigint | undefined;
}

const { EAGAIN } = os.constants.errno;

/**
 * Takes the locks, and looks for marks. Returns one outcome for each request, in the order of the requests. After a file that did not
 * answer, the files behind it are `silent`, too: they are on the same storage, or the caller asks for them separately.
 */
export async function takeLocks(requests: readonly LockRequest[], calls: BoundedCalls = boundedCalls): Promise<LockOutcome[]> {
  const localFiles = new LocalFiles();
  let looks = 0;
  return inOrder(requests, async ({ descriptor, shared, isLook, device }) => {
    if (isLook === true && (await localFiles.has(descriptor, device))) {
      if (++looks % LOOKS_PER_TURN === 0) await setImmediate();
      return fileCalls().isMarkedNow(descriptor) ? 'marked' : 'held';
    }
    const operation = shared ? 'shared' : 'exclusive';
    return outcomeOf(descriptor, isLook === true ? 'look' : operation, calls);
  });
}

/**
 * Returns true for each file that supports locks, even if the file is currently locked. A file that cannot be opened counts as lockable,
 * because the failed open is reported elsewhere. The test is an unlock, because a test lock could make another rssrv fail to start.
 */
export async function areLockable(files: readonly string[], calls: BoundedCalls = boundedCalls): Promise<boolean[]> {
  const lockable: boolean[] = [];
  for (let start = 0; start < files.length; start += LOCKABLE_FILES_AT_ONCE) {
    const some = files.slice(start, start + LOCKABLE_FILES_AT_ONCE);
    const handles = await Promise.all(some.map((file) => open(file, constants.O_RDONLY).catch(() => null)));
    const opened = handles.filter((handle) => handle !== null);
    const outcomes = await inOrder(opened, ({ fd }) => outcomeOf(fd, 'unlock', calls));
    lockable.push(...handles.map((handle) => handle === null || outcomes[opened.indexOf(handle)] !== 'unavailable'));
    for (const handle of opened) await handle.close();
  }
  return lockable;
}

async function inOrder<T>(things: readonly T[], outcome: (thing: T) => Promise<LockOutcome>): Promise<LockOutcome[]> {
  const outcomes: LockOutcome[] = [];
  for (const thing of things) outcomes.push(outcomes.at(-1) === 'silent' ? 'silent' : await outcome(thing));
  return outcomes;
}

async function outcomeOf(descriptor: number, what: FlockOperation | 'look', calls: BoundedCalls): Promise<LockOutcome> {
  try {
    const outcome = await calls.run(descriptor, FILE_CALL_WAIT_MS, async ({ isMarked, flock }, copy, isLate): Promise<LockOutcome> => {
      // The look comes first, because some file systems would find our own flock.
      if (what !== 'unlock' && (await isMarked(copy))) return 'marked';
      if (what === 'look') return 'held';
      if (isLate()) return 'silent';
      const errno = await flock(copy, what);
      return errno === 0 ? 'held' : errno === EAGAIN ? 'taken' : 'unavailable';
    });
    return outcome ?? 'silent';
  } catch {
    // This process has no descriptor left for the call.
    return 'unavailable';
  }
}
