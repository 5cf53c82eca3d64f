// Mounts and unmounts the file system of a shared pool. Invariants: a file system counts as mounted only if this process has mounted it; an
// unmount has ended only when no write of the file system can follow (never a lazy unmount).

import { execFile } from 'node:child_process';
import { mkdir, open, realpath, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { mountTable } from '@rsio/base/daemon/mount-table';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { MOUNT_MS, OUTPUT_MAX_CHARS, UNMOUNT_RETRY_MS, UNMOUNT_TRIES_MAX } from './limits.ts';
import { deviceUsers } from './device-users.ts';
import { withRights } from './rights.ts';

/**
 * `nouuid`: on one machine, two servers of a farm may mount the same pool one after the other, before the kernel has forgotten its id; the
 * record says who may mount. `discard`: blocks that a volume no longer needs go back to the shared storage.
 */
const OPTIONS = 'nouuid,noatime,discard,nosuid,nodev,noexec';

/** A file that each pool has. */
const POOL_FILE = 'pool.json';

export interface PoolMount {
  /** Mounts the file system on `device` at the path of the pool. Throws E_POOL. */
  mount(device: string): Promise<void>;
  /**
   * Unmounts every file system that is mounted at the path, including one that an earlier process has left mounted. Throws E_BUSY if a
   * program uses it.
   */
  unmount(): Promise<void>;
  /** Throws E_BUSY if another mount namespace keeps a copy of the mount, so that the file system would go on after an unmount. */
  refuseCopies(): Promise<void>;
  /** Makes the mounted file system as large as its device. Throws E_POOL. */
  grow(): Promise<void>;
  /** Throws E_POOL if the file system is not mounted, or has failed. `isWriting`: also makes it write to its device. */
  probe(isWriting: boolean): Promise<void>;
}

export function poolMount(path: string, clock: Clock): PoolMount {
  return {
    mount: async (device) => {
      await mkdir(path, { recursive: true, mode: 0o755 });
      // The mount table has real paths, and `unmount` must find the mount there.
      const real = await realpath(path);
      if (real !== path)
        throw new RsError('E_POOL', `${path}, where the pool is mounted, is ${real} in fact: give that path in rssrvcfg`, { path });
      await run('mount', ['-t', 'xfs', '-o', OPTIONS, device, path], `The file system of ${path} cannot be mounted`);
    },
    unmount: async () => {
      for (let tries = 1; (await mountTable()).some(({ mountPoint }) => mountPoint === path); tries++)
        try {
          await run('umount', [path], `${path} cannot be unmounted`);
        } catch (thrown) {
          // After a process has ended, the kernel closes its last files a little later.
          if (tries >= UNMOUNT_TRIES_MAX)
            throw new RsError('E_BUSY', `${toRsError(thrown).message}${await deviceUsers(null, path)}`, { path }, thrown);
          await new Promise((resolve) => void clock.after(UNMOUNT_RETRY_MS, () => resolve(null)));
        }
    },
    refuseCopies: async () => {
      for (let tries = 1; ; tries++) {
        const copies = await deviceUsers((await mountTable()).find(({ mountPoint }) => mountPoint === path)?.device ?? null, null);
        if (copies === '') return;
        // A program that starts in its own mount namespace has copies of all mounts until it removes these copies.
        if (tries >= UNMOUNT_TRIES_MAX)
          throw new RsError('E_BUSY', `${path} cannot be given up${copies}: end the process, or unmount it there`, { path });
        await new Promise((resolve) => void clock.after(UNMOUNT_RETRY_MS, () => resolve(null)));
      }
    },
    grow: () => run('xfs_growfs', [path], `The file system of ${path} cannot be grown`),
    probe: async (isWriting) => {
      if (!(await mountTable()).some(({ mountPoint }) => mountPoint === path))
        throw new RsError('E_POOL', `${path} is not mounted any more`, { path });
      try {
        const file = await open(join(path, POOL_FILE), 'r');
        try {
          const now = new Date();
          if (isWriting) await utimes(path, now, now);
          // A file system that has shut down refuses a sync, even if the file has nothing to write.
          await file.sync();
        } finally {
          await file.close();
        }
      } catch (thrown) {
        throw new RsError('E_POOL', `the file system of ${path} has failed (${errnoName(thrown) ?? String(thrown)})`, { path }, thrown);
      }
    },
  };
}

/** Makes an empty XFS on the device. Throws E_POOL if the device has other content, unless `isOverwritten`. */
export function makeFileSystem(device: string, isOverwritten: boolean): Promise<void> {
  const args = ['-m', 'reflink=1', ...(isOverwritten ? ['-f'] : []), device];
  return run('mkfs.xfs', args, `${device} cannot get a file system`);
}

/** Runs a program. If the program fails, throws an error with the text `what`, followed by the output of the program. */
export function run(program: string, args: readonly string[], what: string, code: 'E_POOL' | 'E_FENCE' = 'E_POOL'): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: MOUNT_MS, killSignal: 'SIGKILL', encoding: 'utf8', maxBuffer: OUTPUT_MAX_CHARS, env: { ...process.env, LC_ALL: 'C' } },
      (error, out, err) => {
        if (error === null) return resolve();
        const isMissing = errnoName(error) === 'ENOENT';
        const said = escapeControls(`${err}${out}`.trim().replaceAll('\n', '; ').slice(0, OUTPUT_MAX_CHARS));
        const why = isMissing
          ? `there is no program ${program}: install it`
          : withRights(said === '' ? error.message : said, 'CAP_SYS_ADMIN and the system calls for mounts');
        reject(new RsError(code, `${what}: ${why}`, { program }, error));
      },
    );
  });
}
