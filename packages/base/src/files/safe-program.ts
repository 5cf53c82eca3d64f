// Checks that a program may be started with the rights of a daemon: only root, or the user of this process, can have written it. Invariant:
// a program that another user could replace is refused, even if only one folder of its path is writable.

import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { toRsError } from '../lib/errors.ts';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
const EXECUTABLE = 0o111;

/** Returns the reason why the program must not be started, with a remedy; null if it may be started. */
export function unsafeProgram(file: string): string | null {
  try {
    const real = realpathSync(file);
    const stat = statSync(real);
    if (!stat.isFile()) return 'is no file: give the path of a program';
    if ((stat.mode & EXECUTABLE) === 0) return 'is not executable: run chmod 755 on it';
    if (!isTrusted(stat.uid)) return 'does not belong to root: run chown root on it';
    if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) return 'can be written by other users: run chmod go-w on it';
    for (let folder = path.dirname(real); ; folder = path.dirname(folder)) {
      const { uid, mode } = statSync(folder);
      // A folder with the sticky bit, such as /tmp, is allowed, because another user cannot replace a file in it.
      const isOpen = (mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0;
      if (!isTrusted(uid) || isOpen) return `is in ${folder}, which other users can write: move it, or run chown root and chmod go-w`;
      if (folder === path.dirname(folder)) return null;
    }
  } catch (thrown) {
    return `cannot be used: ${toRsError(thrown).message}`;
  }
}

function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}
