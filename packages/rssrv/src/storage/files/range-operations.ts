// Executes DISCARD, ZERO and extents queries on one file. On storage without holes, ZERO writes zeros, DISCARD does nothing, and an extents
// query reports the whole range as data. A long range is processed in steps, outside the event loop. Slow storage gets short steps, and fast
// storage gets long steps. Invariants: the fallback for a range starts only after the kernel's call for that range has ended. A sector
// counts as a hole only if all of its bytes are in holes.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import type { ExtentState } from '../io/backend.ts';
import { STEP_FAST_MS, STEP_MAX_BYTES, STEP_MIN_BYTES, STEP_SLOW_MS, ZERO_STEP_BYTES, ZERO_WRITE_BYTES } from '../limits.ts';
import { type IoEnd, writeWhole } from '../io/positioned-io.ts';
import type { RangeFile } from './range-file.ts';

/** Errors from storage that does not support the operation. After an error in the list NEVER, the operation is not tried again. */
const NEVER: readonly string[] = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENODEV', 'ENOTTY'];
/**
 * Failures that leave the range unchanged. A DISCARD is only a hint, and therefore succeeds even if the storage returns an error in the
 * list NOT_DONE.
 */
const NOT_DONE: readonly string[] = [...NEVER, 'EINVAL', 'ENOSPC', 'EDQUOT', 'EPERM', 'ETXTBSY', 'EBUSY', 'EINTR'];

const ZEROS = { buffer: null as Buffer | null };

function zeros(): Buffer {
  ZEROS.buffer ??= Buffer.alloc(ZERO_WRITE_BYTES);
  return ZEROS.buffer;
}

type Step = (positionBytes: number, lengthBytes: number, end: IoEnd) => void;

/** Like `inSteps`, but adapts the step length to the duration of each completed step. */
function inMeasuredSteps(positionBytes: number, lengthBytes: number, size: StepSize, range: RangeFile, step: Step, end: IoEnd): void {
  const pieceBytes = Math.min(lengthBytes, size.bytes);
  const beganMs = range.nowMs;
  step(positionBytes, pieceBytes, (errno) => {
    size.took(pieceBytes, range.nowMs - beganMs);
    if (errno !== null || pieceBytes === lengthBytes) end(errno);
    else inMeasuredSteps(positionBytes + pieceBytes, lengthBytes - pieceBytes, size, range, step, end);
  });
}

/**
 * Calls `step` for one piece after another, until the range is complete or a step fails. If `step` always calls back asynchronously,
 * `inSteps` also calls `end` asynchronously.
 */
function inSteps(positionBytes: number, lengthBytes: number, stepBytes: number, step: Step, end: IoEnd): void {
  const pieceBytes = Math.min(lengthBytes, stepBytes);
  step(positionBytes, pieceBytes, (errno) => {
    if (errno !== null || pieceBytes === lengthBytes) end(errno);
    else inSteps(positionBytes + pieceBytes, lengthBytes - pieceBytes, stepBytes, step, end);
  });
}

export class RangeOperations {
  private readonly descriptor: number;
  private readonly range: RangeFile;
  private readonly punching = new StepSize();
  private readonly zeroing = new StepSize();
  private mayPunch: boolean;
  private mayZero: boolean;

  constructor(descriptor: number, range: RangeFile) {
    this.descriptor = descriptor;
    this.range = range;
    this.mayPunch = range.canPunch;
    // Do not probe zeroing, because a probe would zero past the end of the file and allocate space there. The first ZERO shows whether the
    // storage supports zeroing.
    this.mayZero = this.mayPunch;
  }

  discard(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    const { range } = this;
    if (!this.mayPunch) {
      setImmediate(end, null);
      return;
    }
    const step: Step = (position, length, next) => {
      range.punch(position, length, (errno) => {
        if (errno !== null && NEVER.includes(errno)) this.mayPunch = false;
        next(errno !== null && NOT_DONE.includes(errno) ? null : errno);
      });
    };
    inMeasuredSteps(positionBytes, lengthBytes, this.punching, range, step, end);
  }

  zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, end: IoEnd): void {
    const step: Step = (position, length, next) => this.zeroStep(position, length, keepAllocated, next);
    inMeasuredSteps(positionBytes, lengthBytes, keepAllocated ? this.zeroing : this.punching, this.range, step, end);
  }

  extents(positionBytes: number, lengthBytes: number, done: (errno: string | null, pairs: number[]) => void): void {
    const everything = [lengthBytes / SECTOR_BYTES, EXTENT.DATA];
    const { range } = this;
    if (!range.canExtents) {
      setImmediate(done, null, everything);
      return;
    }
    range.extents(positionBytes, lengthBytes, (errno, found) => {
      if (errno === null) done(null, extentPairs(positionBytes, lengthBytes, found));
      else done(NOT_DONE.includes(errno) ? null : errno, everything);
    });
  }

  private zeroStep(positionBytes: number, lengthBytes: number, keepAllocated: boolean, end: IoEnd): void {
    const { range } = this;
    const may = keepAllocated ? this.mayZero : this.mayPunch;
    if (!may) {
      this.writeZeros(positionBytes, lengthBytes, end);
      return;
    }
    const answered: IoEnd = (errno) => {
      if (errno === null || !NOT_DONE.includes(errno)) {
        end(errno);
        return;
      }
      if (NEVER.includes(errno) && keepAllocated) this.mayZero = false;
      if (NEVER.includes(errno) && !keepAllocated) this.mayPunch = false;
      this.writeZeros(positionBytes, lengthBytes, end);
    };
    if (keepAllocated) range.zero(positionBytes, lengthBytes, answered);
    else range.punch(positionBytes, lengthBytes, answered);
  }

  private writeZeros(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    const step: Step = (position, length, next) => writeWhole(this.descriptor, zeros(), 0, length, position, next);
    inSteps(positionBytes, lengthBytes, ZERO_WRITE_BYTES, step, end);
  }
}

/** Appends an extent. If the last extent has the same state, lengthens the last extent instead. */
export function appendExtent(pairs: number[], sectors: number, state: ExtentState): void {
  if (sectors <= 0) return;
  const last = pairs.length - 1;
  if (last > 0 && pairs[last] === state) pairs[last - 1] = (pairs[last - 1] ?? 0) + sectors;
  else pairs.push(sectors, state);
}

/**
 * Converts byte extents into sector extents. `found`: a list of pairs (length in bytes; 0 for data or 1 for a hole). The first pair of
 * `found` begins at `positionBytes`. `found` may cover less or more than `lengthBytes`. Returns a list of pairs (number of sectors, EXTENT
 * state). The result begins at `positionBytes`, covers at most `lengthBytes`, and ends with the last sector that `found` covers completely.
 * The result has no gaps and no empty pairs, and successive pairs have different states. If `found` covers no whole sector, the result is
 * one DATA extent for the range. `positionBytes` and `lengthBytes` must be multiples of the sector size.
 */
export function extentPairs(positionBytes: number, lengthBytes: number, found: readonly number[]): number[] {
  const pairs: number[] = [];
  const endBytes = positionBytes + lengthBytes;
  let reachedSector = positionBytes / SECTOR_BYTES;
  let atBytes = positionBytes;
  for (let index = 0; index + 1 < found.length; index += 2) {
    const nextBytes = Math.min(endBytes, atBytes + (found[index] ?? 0));
    if (found[index + 1] === EXTENT.HOLE) {
      const holeStart = Math.max(reachedSector, Math.ceil(atBytes / SECTOR_BYTES));
      const holeEnd = Math.floor(nextBytes / SECTOR_BYTES);
      if (holeEnd > holeStart) {
        appendExtent(pairs, holeStart - reachedSector, EXTENT.DATA);
        appendExtent(pairs, holeEnd - holeStart, EXTENT.HOLE);
        reachedSector = holeEnd;
      }
    }
    atBytes = nextBytes;
  }
  appendExtent(pairs, Math.floor(atBytes / SECTOR_BYTES) - reachedSector, EXTENT.DATA);
  if (pairs.length === 0) pairs.push(lengthBytes / SECTOR_BYTES, EXTENT.DATA);
  return pairs;
}

export class StepSize {
  private sizeBytes = ZERO_STEP_BYTES;

  get bytes(): number {
    return this.sizeBytes;
  }

  /** Adapts the step size after a step of `lengthBytes` has taken `ms` milliseconds. */
  took(lengthBytes: number, ms: number): void {
    if (ms > STEP_SLOW_MS) this.sizeBytes = Math.max(STEP_MIN_BYTES, this.sizeBytes / 2);
    // A fast step that was shorter than the step size, such as the last step of a range, does not increase the step size.
    else if (ms < STEP_FAST_MS && lengthBytes >= this.sizeBytes) this.sizeBytes = Math.min(STEP_MAX_BYTES, this.sizeBytes * 2);
  }
}
