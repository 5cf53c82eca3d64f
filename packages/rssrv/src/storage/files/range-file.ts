// Punches holes, zeroes ranges and finds extents of one open file, and marks the file while it is open for writing. Each call occupies one
// thread until the storage answers; the caller holds a thread of the volume's share for it (storage/io/thread-shares.ts). Invariants: the
// mark is there before the first write, because the file is opened for its backend only after `open` has resolved. The mark belongs to the
// open file description, so it goes when the last process that has the description open has closed it or ended. A process that was killed
// ends only after its last call on storage has ended. A write therefore never reaches a file without its mark.

import type { Clock } from '@rsio/base/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import type { FileCalls } from '../../machine/file-calls.ts';

/**
 * `found`: a list of pairs (length in bytes; 0 for data or 1 for a hole). The first pair begins at the requested position. The list may
 * cover less than the requested range.
 */
export type RangeExtents = (errno: string | null, found: readonly number[]) => void;

export interface OpenRange {
  readonly descriptor: number;
  readonly isRegular: boolean;
  readonly sizeBytes: number;
  readonly isWritable: boolean;
  /** For a block device, whether holes can be punched; `probe` if a call must find out. */
  readonly canPunch: boolean | 'probe';
}

const [DATA, HOLE] = [0, 1];
const PROBE_BYTES = 4096;
/**
 * Positions at which a probe punches a hole, the first that lies beyond the end of the file and that the file system accepts. No volume has
 * data there, even if another process makes the volume longer at the same time: the later positions are near the maximum sizes of files on
 * ext4 with blocks of 4, 2 and 1 KiB.
 */
const PROBE_POSITIONS: readonly number[] = [2 ** 62, 2 ** 44 - 2 ** 16, 2 ** 43 - 2 ** 16, 2 ** 42 - 2 ** 16];

/** A file of a backend. Positions and lengths are in bytes. All callbacks are called asynchronously. */
export class RangeFile {
  readonly canPunch: boolean;
  readonly canExtents: boolean;
  private readonly calls: FileCalls;
  private readonly clock: Clock;
  private readonly descriptor: number;

  private constructor(calls: FileCalls, clock: Clock, descriptor: number, canPunch: boolean, canExtents: boolean) {
    this.calls = calls;
    this.clock = clock;
    this.descriptor = descriptor;
    this.canPunch = canPunch;
    this.canExtents = canExtents;
  }

  /** Marks the file if it is writable, and finds out what its file system can do. The caller keeps the descriptor open. Never throws. */
  static async open(calls: FileCalls, clock: Clock, { descriptor, isRegular, sizeBytes, ...file }: OpenRange): Promise<RangeFile> {
    if (file.isWritable) await new Promise<string | null>((resolve) => calls.mark(descriptor, resolve));
    const canPunch =
      file.isWritable && (file.canPunch === 'probe' ? isRegular && (await probe(calls, descriptor, sizeBytes)) : file.canPunch);
    const errno = isRegular ? await new Promise<string | null>((resolve) => calls.seek(descriptor, 0, 'data', resolve)) : 'ENOTSUP';
    return new RangeFile(calls, clock, descriptor, canPunch, errno === null || errno === 'ENXIO');
  }

  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  punch(positionBytes: number, lengthBytes: number, end: (errno: string | null) => void): void {
    this.calls.punch(this.descriptor, positionBytes, lengthBytes, end);
  }

  zero(positionBytes: number, lengthBytes: number, end: (errno: string | null) => void): void {
    this.calls.zero(this.descriptor, positionBytes, lengthBytes, end);
  }

  extents(positionBytes: number, lengthBytes: number, done: RangeExtents): void {
    const { calls, descriptor } = this;
    const found: number[] = [];
    let endBytes = positionBytes + lengthBytes;
    const reached = (fromBytes: number, toBytes: number, state: number): number => {
      const nextBytes = Math.min(toBytes, endBytes);
      if (nextBytes > fromBytes) found.push(nextBytes - fromBytes, state);
      return nextBytes;
    };
    const next = (atBytes: number): void => {
      if (atBytes >= endBytes || found.length >= 2 * EXTENTS_PER_ANSWER_MAX) done(null, found);
      else
        calls.seek(descriptor, atBytes, 'data', (errno, dataBytes) => {
          if (errno !== null && errno !== 'ENXIO') done(errno, []);
          else beforeData(reached(atBytes, errno === null ? dataBytes : endBytes, HOLE));
        });
    };
    const beforeData = (atBytes: number): void => {
      if (atBytes >= endBytes || found.length >= 2 * EXTENTS_PER_ANSWER_MAX) done(null, found);
      else
        calls.seek(descriptor, atBytes, 'hole', (errno, holeBytes) => {
          if (errno === null) next(reached(atBytes, holeBytes, DATA));
          else done(errno, []);
        });
    };
    calls.seek(descriptor, 0, 'end', (errno, sizeBytes) => {
      endBytes = Math.min(endBytes, sizeBytes);
      if (errno === null) next(positionBytes);
      else done(errno, []);
    });
  }
}

async function probe(calls: FileCalls, descriptor: number, sizeBytes: number): Promise<boolean> {
  for (const positionBytes of PROBE_POSITIONS.filter((one) => one > sizeBytes)) {
    const errno = await new Promise<string | null>((resolve) => calls.punch(descriptor, positionBytes, PROBE_BYTES, resolve));
    if (errno !== 'EFBIG') return errno === null;
  }
  return false;
}
