// Removes a test's folder to which an unfinished write of the test may still add a file. If a write adds a file during a plain rmSync,
// rmSync fails with ENOTEMPTY, even with retries, because rmSync does not look for new files. Invariant: after FOLDER_TRIES tries, the
// folder is gone or an error is thrown.

import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoName } from '../lib/errors.ts';

const FOLDER_TRIES = 100;
const FOLDER_WAIT_MS = 20;

/** Removes the folder with everything in it. A missing folder is not an error. Throws the last error of `rm`. */
export async function removeFolder(folder: string): Promise<void> {
  for (let left = FOLDER_TRIES; ; left--) {
    try {
      return await rm(folder, { recursive: true, force: true });
    } catch (thrown) {
      if (errnoName(thrown) !== 'ENOTEMPTY' || left <= 1) throw thrown;
      await sleep(FOLDER_WAIT_MS);
    }
  }
}
