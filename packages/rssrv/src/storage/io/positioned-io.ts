// Reads and writes complete ranges of a file, on the calling thread or in the thread pool. After a short transfer, further calls transfer
// the rest of the range. A read past the end of the file fails with SHORT_READ. A range can also be spread over several pieces of memory,
// which one system call transfers.

import fs from 'node:fs';
import { errnoName } from '@rsio/base/lib/errors';
import { STATUS, type Status, statusOfErrno } from '@rsio/protocol/wire/status';

/** Called with null after success, or with the errno name after a failure. */
export type IoEnd = (errno: string | null) => void;

/** Pseudo errno of a read that extends past the end of a truncated file. */
export const SHORT_READ = 'SHORT_READ';
/** Converts the errno name of a failed operation to a status. */
export function statusOf(errno: string): Status {
  return errno === SHORT_READ ? STATUS.VOLUME_UNAVAILABLE : statusOfErrno(errno);
}

/** The errno for a write that transfers nothing and reports no error. A retry might never end. */
const NOTHING_WRITTEN = 'EIO';

/** Returns the errno name of a system error. Rethrows an error without an errno, because such an error is a bug. */
function systemErrno(thrown: unknown): string {
  const errno = errnoName(thrown);
  if (errno === undefined) throw thrown;
  return errno;
}

/**
 * Reads `lengthBytes` bytes of the file at `positionBytes` into `target` at `offset`. Returns null on success, or the errno name on
 * failure.
 */
export function readWholeSync(fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number): string | null {
  try {
    let moved = fs.readSync(fd, target, offset, lengthBytes, positionBytes);
    while (moved < lengthBytes) {
      const more = fs.readSync(fd, target, offset + moved, lengthBytes - moved, positionBytes + moved);
      if (more === 0) return SHORT_READ;
      moved += more;
    }
    return null;
  } catch (thrown) {
    return systemErrno(thrown);
  }
}

/**
 * Writes `lengthBytes` bytes of `source`, beginning at `offset`, to the file at `positionBytes`. Returns null on success, or the errno name
 * on failure. After a failure, part of the range may have been written.
 */
export function writeWholeSync(fd: number, source: Buffer, offset: number, lengthBytes: number, positionBytes: number): string | null {
  try {
    let moved = fs.writeSync(fd, source, offset, lengthBytes, positionBytes);
    while (moved < lengthBytes) {
      const more = fs.writeSync(fd, source, offset + moved, lengthBytes - moved, positionBytes + moved);
      if (more === 0) return NOTHING_WRITTEN;
      moved += more;
    }
    return null;
  } catch (thrown) {
    return systemErrno(thrown);
  }
}

/** Like `readWholeSync`, but runs in the thread pool. `target` stays in use until `end` is called. */
export function readWhole(fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number, end: IoEnd): void {
  fs.read(fd, target, offset, lengthBytes, positionBytes, (error, moved) => {
    if (error !== null) end(systemErrno(error));
    else if (moved === lengthBytes) end(null);
    else if (moved === 0) end(SHORT_READ);
    else readWhole(fd, target, offset + moved, lengthBytes - moved, positionBytes + moved, end);
  });
}

/** Like `writeWholeSync`, but runs in the thread pool. `source` stays in use until `end` is called. */
export function writeWhole(fd: number, source: Buffer, offset: number, lengthBytes: number, positionBytes: number, end: IoEnd): void {
  fs.write(fd, source, offset, lengthBytes, positionBytes, (error, moved) => {
    if (error !== null) end(systemErrno(error));
    else if (moved === lengthBytes) end(null);
    else if (moved === 0) end(NOTHING_WRITTEN);
    else writeWhole(fd, source, offset + moved, lengthBytes - moved, positionBytes + moved, end);
  });
}

/**
 * Reads the file at `positionBytes` into the pieces of memory, one after the other, until they are full. Returns null on success, or the
 * errno name on failure.
 */
export function readPiecesSync(fd: number, pieces: readonly Buffer[], lengthBytes: number, positionBytes: number): string | null {
  return movePiecesSync(fs.readvSync, SHORT_READ, fd, pieces, lengthBytes, positionBytes);
}

/** Writes the pieces of memory, one after the other, to the file at `positionBytes`. The result is like that of `writeWholeSync`. */
export function writePiecesSync(fd: number, pieces: readonly Buffer[], lengthBytes: number, positionBytes: number): string | null {
  return movePiecesSync(fs.writevSync, NOTHING_WRITTEN, fd, pieces, lengthBytes, positionBytes);
}

/** Like `readPiecesSync`, but runs in the thread pool. The pieces stay in use until `end` is called. */
export function readPieces(fd: number, pieces: readonly Buffer[], lengthBytes: number, positionBytes: number, end: IoEnd): void {
  movePieces(fs.readv, SHORT_READ, fd, pieces, lengthBytes, positionBytes, end);
}

/** Like `writePiecesSync`, but runs in the thread pool. The pieces stay in use until `end` is called. */
export function writePieces(fd: number, pieces: readonly Buffer[], lengthBytes: number, positionBytes: number, end: IoEnd): void {
  movePieces(fs.writev, NOTHING_WRITTEN, fd, pieces, lengthBytes, positionBytes, end);
}

function movePiecesSync(
  move: (fd: number, pieces: readonly Buffer[], positionBytes: number) => number,
  stopped: string,
  fd: number,
  pieces: readonly Buffer[],
  lengthBytes: number,
  positionBytes: number,
): string | null {
  try {
    let [rest, moved] = [pieces, 0];
    for (;;) {
      const more = move(fd, rest, positionBytes + moved);
      moved += more;
      if (moved === lengthBytes) return null;
      if (more === 0) return stopped;
      rest = piecesAfter(rest, more);
    }
  } catch (thrown) {
    return systemErrno(thrown);
  }
}

function movePieces(
  move: (fd: number, pieces: readonly Buffer[], positionBytes: number, done: (error: Error | null, moved: number) => void) => void,
  stopped: string,
  fd: number,
  pieces: readonly Buffer[],
  lengthBytes: number,
  positionBytes: number,
  end: IoEnd,
): void {
  move(fd, pieces, positionBytes, (error, moved) => {
    if (error !== null) end(systemErrno(error));
    else if (moved === lengthBytes) end(null);
    else if (moved === 0) end(stopped);
    else movePieces(move, stopped, fd, piecesAfter(pieces, moved), lengthBytes - moved, positionBytes + moved, end);
  });
}

/** Returns the pieces that remain after the first `moved` bytes. */
export function piecesAfter(pieces: readonly Buffer[], moved: number): Buffer[] {
  const rest: Buffer[] = [];
  let skipped = 0;
  for (const piece of pieces) {
    const skip = Math.min(piece.length, moved - skipped);
    skipped += skip;
    if (skip < piece.length) rest.push(skip === 0 ? piece : piece.subarray(skip));
  }
  return rest;
}
