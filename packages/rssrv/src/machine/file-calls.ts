// Calls on open files that Node.js does not offer: fallocate(2), lseek(2) to data and holes, flock(2), and locks of an open file
// description (F_OFD_SETLK of fcntl(2)). Invariants: each call that can wait for storage runs in a thread; the caller keeps the descriptor
// open until the call has ended; no call waits for another process's lock. No call uses locks of a process (F_SETLK), because the kernel
// drops these locks whenever the process closes any descriptor of the file.

import util from 'node:util';
import { callFailure, throughLibc } from './libc.ts';

/** `errno`: null, or the name of the errno. Never called before the call that got it returns. */
export type CallEnd = (errno: string | null) => void;
export type SeekTo = 'data' | 'hole' | 'end';
/** The operations of flock(2). None of them waits. */
export type FlockOperation = 'shared' | 'exclusive' | 'unlock';

export interface FileCalls {
  /** Allocates space for a range. Content and size of the file stay. */
  readonly allocate: (descriptor: number, positionBytes: number, lengthBytes: number, end: CallEnd) => void;
  /** Punches a hole, which frees the space of the range. Reads of the hole return zeros. The size of the file stays. */
  readonly punch: (descriptor: number, positionBytes: number, lengthBytes: number, end: CallEnd) => void;
  /** Zeroes a range, and keeps it allocated. The size of the file stays. */
  readonly zero: (descriptor: number, positionBytes: number, lengthBytes: number, end: CallEnd) => void;
  /** Passes the position of the next data, the next hole or the end of the file to `end`; null with the errno if there is none. */
  readonly seek: (
    descriptor: number,
    positionBytes: number,
    to: SeekTo,
    end: (errno: string | null, positionBytes: number) => void,
  ) => void;
  /**
   * Marks a file that is open for writing: a shared lock of one byte far behind every volume. The mark belongs to the open file description,
   * so it stays until no process has this description open. On a file system without such locks, there is no mark.
   */
  readonly mark: (descriptor: number, end: CallEnd) => void;
  /** Resolves with true if another open file description has a mark. A file system without such locks has no marks. */
  readonly isMarked: (descriptor: number) => Promise<boolean>;
  /** As `isMarked`, in this thread. Only for a file that is one of LocalFiles (file-system.ts), so that the call never waits. */
  readonly isMarkedNow: (descriptor: number) => boolean;
  /** Resolves with 0 or the errno. The lock belongs to the open file description. */
  readonly flock: (descriptor: number, operation: FlockOperation) => Promise<number>;
  /** Returns another descriptor of the same open file description, closed on exec. Throws an error with the errno in `code`. */
  readonly copyOf: (descriptor: number) => number;
}

const [KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE] = [1, 2, 16];
const WHENCE: Readonly<Record<SeekTo, number>> = { end: 2, data: 3, hole: 4 };
const DO_NOT_WAIT = 4;
const OPERATIONS: Readonly<Record<FlockOperation, number>> = { shared: 1 | DO_NOT_WAIT, exclusive: 2 | DO_NOT_WAIT, unlock: 8 };
const [F_OFD_GETLK, F_OFD_SETLK, F_DUPFD_CLOEXEC] = [36, 37, 1030];
const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2];
/** A struct flock: type (16 bits), whence (16 bits), and after 4 bytes the start, the length and the pid. */
const [LOCK_BYTES, TYPE_AT, START_AT, LENGTH_AT] = [32, 0, 8, 16];
const MARKED_BYTE = 1n << 62n;
/** Copies get numbers from 3 on, after the standard streams. */
const LOWEST_COPY = 3;

/** Throws E_SYSTEM if the machine is not supported. */
export const fileCalls = throughLibc((libc): FileCalls => {
  const [fallocate, lseek, fcntl, flock, copy] = [libc.fallocate(), libc.lseek(), libc.fileLock(), libc.flock(), libc.descriptorCopy()];
  const { start, inThread, resultInThread } = libc;
  const change =
    (mode: number): FileCalls['punch'] =>
    (descriptor, positionBytes, lengthBytes, end) =>
      start(fallocate, [descriptor, mode, positionBytes, lengthBytes], (result) => end(nameOf(result)));
  return {
    allocate: change(KEEP_SIZE),
    punch: change(KEEP_SIZE | PUNCH_HOLE),
    zero: change(KEEP_SIZE | ZERO_RANGE),
    seek: (descriptor, positionBytes, to, end) =>
      start(lseek, [descriptor, positionBytes, WHENCE[to]], (result) => end(nameOf(result), Number(result))),
    mark: (descriptor, end) => start(fcntl, [descriptor, F_OFD_SETLK, markOf(F_RDLCK)], (result) => end(nameOf(result))),
    isMarked: async (descriptor) => {
      const lock = markOf(F_WRLCK);
      return isFound(await resultInThread(fcntl, descriptor, F_OFD_GETLK, lock), lock);
    },
    isMarkedNow: (descriptor) => {
      const lock = markOf(F_WRLCK);
      return isFound(Number(fcntl(descriptor, F_OFD_GETLK, lock)), lock);
    },
    flock: (descriptor, operation) => inThread(flock, descriptor, OPERATIONS[operation]),
    copyOf: (descriptor) => {
      const made = Number(copy(descriptor, F_DUPFD_CLOEXEC, LOWEST_COPY));
      if (made < 0) throw callFailure('fcntl(F_DUPFD_CLOEXEC)', libc.errno());
      return made;
    },
  };
});

function nameOf(result: number): string | null {
  return result < 0 ? util.getSystemErrorName(result) : null;
}

/** `result`: that of F_OFD_GETLK with `lock`. */
function isFound(result: number, lock: Buffer): boolean {
  return result >= 0 && lock.readInt16LE(TYPE_AT) !== F_UNLCK;
}

function markOf(type: number): Buffer {
  const lock = Buffer.alloc(LOCK_BYTES);
  lock.writeInt16LE(type, TYPE_AT);
  lock.writeBigInt64LE(MARKED_BYTE, START_AT);
  lock.writeBigInt64LE(1n, LENGTH_AT);
  return lock;
}
