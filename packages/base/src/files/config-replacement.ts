// Replaces a configuration file either completely or not at all. The file belongs to a person, so the new file gets the owner and mode of
// the old file. If the file is a symbolic link, the target of the link is replaced. The temporary file is also a lock: only the process
// that created the temporary file may save the configuration file. The rename publishes the new text and releases the lock. The caller must
// check the text. Invariant: if an error occurs before the rename, the old file stays unchanged and the temporary file is removed.

import * as nodeFs from 'node:fs';
import path from 'node:path';
import { CONFIG_SAVE_MAX_MS } from './limits.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errnoName, RsError } from '../lib/errors.ts';
import { targetOf } from './symlink-target.ts';

/** A test can replace the functions of node:fs, for example to simulate a full disk. */
export type FileSystem = Pick<
  typeof nodeFs,
  | 'closeSync'
  | 'fchmodSync'
  | 'fchownSync'
  | 'fstatSync'
  | 'fsyncSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readlinkSync'
  | 'renameSync'
  | 'statSync'
  | 'unlinkSync'
  | 'writeSync'
>;

export interface ReplacementPorts {
  readonly fs: FileSystem;
  readonly clock: Clock;
}

const SYSTEM_PORTS: ReplacementPorts = { fs: nodeFs, clock: systemClock };
const NEW_FILE_MODE = 0o600;
const MODE_BITS = 0o7777;

/**
 * Writes `text` to `file`. Creates the file (mode 0600) and its folder if they are missing. Immediately before the rename, calls
 * `checkUnchanged`, which throws if another program has changed the file. Throws E_RIGHTS, E_SYSTEM or the error from `checkUnchanged`.
 * Throws E_CHANGED if another program is saving the file.
 */
export function replacePersonsFile(file: string, text: string, checkUnchanged: () => void, ports: ReplacementPorts = SYSTEM_PORTS): void {
  const { fs } = ports;
  try {
    const target = targetOf(file, fs);
    const folder = path.dirname(target);
    fs.mkdirSync(folder, { recursive: true });
    const temporary = `${target}.new`;
    const descriptor = claim(temporary, file, ports);
    let inode: number | null = null;
    try {
      inode = fs.fstatSync(descriptor).ino;
      writeWhole(descriptor, text, fs);
      keepOwnerAndMode(descriptor, target, file, fs);
      fs.fsyncSync(descriptor);
      checkUnchanged();
      if (!isOurs(temporary, inode, fs)) throw beingSaved(file);
      fs.renameSync(temporary, target);
    } catch (thrown) {
      if (isOurs(temporary, inode, fs)) fs.unlinkSync(temporary);
      throw thrown;
    } finally {
      fs.closeSync(descriptor);
    }
    syncFolder(folder, fs);
  } catch (thrown) {
    throw explained(file, thrown);
  }
}

/** Creates the temporary file exclusively. First removes an old temporary file that a crash has left behind. */
function claim(temporary: string, file: string, { fs, clock }: ReplacementPorts): number {
  const flags = nodeFs.constants.O_WRONLY | nodeFs.constants.O_CREAT | nodeFs.constants.O_EXCL;
  try {
    return fs.openSync(temporary, flags, NEW_FILE_MODE);
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
    const found = fs.lstatSync(temporary, { throwIfNoEntry: false });
    if (found !== undefined && Math.abs(clock.wallMs() - found.mtimeMs) < CONFIG_SAVE_MAX_MS) throw beingSaved(file);
    if (found !== undefined && isOurs(temporary, found.ino, fs)) fs.unlinkSync(temporary);
    return fs.openSync(temporary, flags, NEW_FILE_MODE);
  }
}

function isOurs(temporary: string, inode: number | null, fs: FileSystem): boolean {
  return inode !== null && fs.lstatSync(temporary, { throwIfNoEntry: false })?.ino === inode;
}

function writeWhole(descriptor: number, text: string, fs: FileSystem): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += fs.writeSync(descriptor, bytes, written);
}

function keepOwnerAndMode(descriptor: number, target: string, file: string, fs: FileSystem): void {
  const old = fs.statSync(target, { throwIfNoEntry: false });
  if (old === undefined) return;
  const own = fs.fstatSync(descriptor);
  try {
    if (old.uid !== own.uid || old.gid !== own.gid) fs.fchownSync(descriptor, old.uid, old.gid);
  } catch (thrown) {
    const owner = `user ${old.uid}, group ${old.gid}`;
    throw new RsError('E_RIGHTS', `No permission to write ${file} and keep its owner (${owner}): run as root or as that user`, {}, thrown);
  }
  fs.fchmodSync(descriptor, old.mode & MODE_BITS);
}

function syncFolder(folder: string, fs: FileSystem): void {
  const descriptor = fs.openSync(folder, nodeFs.constants.O_RDONLY | nodeFs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function beingSaved(file: string): RsError {
  return new RsError('E_CHANGED', `Another program is saving ${file}: check the file and try again`, { file });
}

function explained(file: string, thrown: unknown): unknown {
  const errno = errnoName(thrown);
  if (thrown instanceof RsError || errno === undefined) return thrown;
  const context = { file, errno };
  switch (errno) {
    case 'EACCES':
    case 'EPERM':
      return new RsError(
        'E_RIGHTS',
        `No permission to write ${file}: run as root, or as a user who may write in its folder`,
        context,
        thrown,
      );
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new RsError(
        'E_SYSTEM',
        `No space to write ${file}, which is unchanged: free space on its disk and try again`,
        context,
        thrown,
      );
    case 'EROFS':
      return new RsError('E_SYSTEM', `Cannot write ${file}, because its file system is read-only: mount it for writing`, context, thrown);
    case 'EBUSY':
      return new RsError('E_SYSTEM', `Cannot replace ${file}, because it is a mount point: mount its folder instead`, context, thrown);
    default:
      return new RsError('E_SYSTEM', `Cannot write ${file} (${errno}): check the file and its disk`, context, thrown);
  }
}
