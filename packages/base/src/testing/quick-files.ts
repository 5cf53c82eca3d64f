// Makes the files of a test quick: they are in memory, and calls of node:fs/promises need no thread, because waking a thread costs ten
// times as much as the work itself. Tests that stop a change at each of its steps make hundreds of thousands of calls. Invariants: as with
// Node, a call takes effect in a later event-loop turn, calls take effect one after another, and errors are the same. Tests with FIFOs
// cannot use quick files, because a synchronous open() of a FIFO blocks the process.

import fs, { type PathLike } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { setImmediate as turn } from 'node:timers';

const MEMORY = '/dev/shm';
/** Free space that MEMORY must have, because tests make large files. */
const MEMORY_MIN_BYTES = 1024 ** 3;

/** Functions of node:fs/promises that are replaced by the synchronous function of the same name. */
const CALLS = [
  ...([
    'access',
    'appendFile',
    'chmod',
    'chown',
    'copyFile',
    'link',
    'lstat',
    'mkdir',
    'mkdtemp',
    'readFile',
    'readdir',
    'readlink',
  ] as const),
  ...(['realpath', 'rename', 'rm', 'rmdir', 'stat', 'statfs', 'symlink', 'truncate', 'unlink', 'utimes', 'writeFile'] as const),
];

type Work = (...args: never[]) => unknown;

function inLaterTurn<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    turn(() => {
      try {
        resolve(work());
      } catch (thrown) {
        reject(thrown as Error);
      }
    });
  });
}

/** Replaces FileHandle, which only a thread can open. */
class QuickHandle {
  fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  close = (): Promise<void> =>
    inLaterTurn(() => {
      const { fd } = this;
      this.fd = -1;
      fs.closeSync(fd);
    });
  sync = (): Promise<void> => inLaterTurn(() => void fs.fstatSync(this.fd));
  datasync = this.sync;
  stat = (options?: fs.StatSyncOptions): Promise<unknown> => inLaterTurn(() => fs.fstatSync(this.fd, options as { bigint: true }));
  truncate = (bytes?: number): Promise<void> => inLaterTurn(() => fs.ftruncateSync(this.fd, bytes));
  chmod = (mode: number): Promise<void> => inLaterTurn(() => fs.fchmodSync(this.fd, mode));
  chown = (uid: number, gid: number): Promise<void> => inLaterTurn(() => fs.fchownSync(this.fd, uid, gid));
  utimes = (atime: Date, mtime: Date): Promise<void> => inLaterTurn(() => fs.futimesSync(this.fd, atime, mtime));
  readFile = (options?: BufferEncoding): Promise<unknown> => inLaterTurn(() => fs.readFileSync(this.fd, options));
  writeFile = (data: string | Uint8Array): Promise<void> => inLaterTurn(() => fs.writeFileSync(this.fd, data));
  appendFile = this.writeFile;
  read = (buffer: Buffer, offset: number, length: number, position: number | null): Promise<unknown> =>
    inLaterTurn(() => ({ bytesRead: fs.readSync(this.fd, buffer, offset, length, position), buffer }));
  write = (buffer: Buffer, offset?: number, length?: number, position?: number | null): Promise<unknown> =>
    inLaterTurn(() => ({ bytesWritten: fs.writeSync(this.fd, buffer, offset, length, position), buffer }));
}

/** Makes files quick until the returned function is called. */
export function makeFilesQuick(): () => void {
  const before = { ...promises };
  const quick: Record<string, Work> = {
    open: (path: PathLike, flags?: string | number, mode?: number) =>
      inLaterTurn(() => new QuickHandle(fs.openSync(path, flags ?? 'r', mode))),
  };
  for (const name of CALLS) quick[name] = (...args) => inLaterTurn(() => (fs[`${name}Sync`] as Work)(...args));
  Object.assign(promises, quick);
  syncBuiltinESMExports();
  const folder = process.env['TMPDIR'];
  if (hasMemory()) process.env['TMPDIR'] = MEMORY;
  return () => {
    Object.assign(promises, before);
    syncBuiltinESMExports();
    if (folder === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = folder;
  };
}

function hasMemory(): boolean {
  try {
    const { bavail, bsize } = fs.statfsSync(MEMORY);
    return bavail * bsize >= MEMORY_MIN_BYTES && tmpdir() !== MEMORY;
  } catch {
    return false;
  }
}
