// DISCARD, ZERO and extents of one descriptor: through the range helper where it can, else what can be done without it
// (zeros are written, a discard does nothing, everything is data). Long ranges go in steps of bounded time, all off the loop.
// Invariant: a range is only left to the fallback when the helper's call for it has ended.

import { EXTENT } from '@rsio/protocol/wire/messages';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { ZERO_WRITE_BYTES } from '../common/limits.ts';
import { extentPairs } from '../common/extent-pairs.ts';
import { type IoEnd, writeWhole } from '../common/positioned-io.ts';
import { LOST, type RangeFile } from './range-helper.ts';
import { StepSize } from './step-size.ts';

/** Answers of a store that cannot do a thing at all: it is not asked for it again. */
const NEVER: readonly string[] = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENODEV', 'ENOTTY'];
/** Failures that leave the range as it was, so that a discard, which is only a hint, has done its duty. */
const NOT_DONE: readonly string[] = [...NEVER, LOST, 'EINVAL', 'ENOSPC', 'EDQUOT', 'EPERM', 'ETXTBSY', 'EBUSY', 'EINTR'];

const ZEROS = { buffer: null as Buffer | null };

function zeros(): Buffer {
  ZEROS.buffer ??= Buffer.alloc(ZERO_WRITE_BYTES);
  return ZEROS.buffer;
}

type Step = (positionBytes: number, lengthBytes: number, end: IoEnd) => void;

/** As `inSteps`, in pieces whose length follows the time they take. */
function inMeasuredSteps(
  positionBytes: number,
  lengthBytes: number,
  size: StepSize,
  range: RangeFile | null,
  step: Step,
  end: IoEnd,
): void {
  const pieceBytes = Math.min(lengthBytes, size.bytes);
  const beganMs = range?.nowMs ?? 0;
  step(positionBytes, pieceBytes, (errno) => {
    if (range !== null) size.took(pieceBytes, range.nowMs - beganMs);
    if (errno !== null || pieceBytes === lengthBytes) end(errno);
    else inMeasuredSteps(positionBytes + pieceBytes, lengthBytes - pieceBytes, size, range, step, end);
  });
}

/** Does `step` piece after piece until one fails; `end` is never called before this returns if that holds for `step`. */
function inSteps(positionBytes: number, lengthBytes: number, stepBytes: number, step: Step, end: IoEnd): void {
  const pieceBytes = Math.min(lengthBytes, stepBytes);
  step(positionBytes, pieceBytes, (errno) => {
    if (errno !== null || pieceBytes === lengthBytes) end(errno);
    else inSteps(positionBytes + pieceBytes, lengthBytes - pieceBytes, stepBytes, step, end);
  });
}

export class RangeOperations {
  private readonly descriptor: number;
  private readonly range: RangeFile | null;
  private readonly punching = new StepSize();
  private readonly zeroing = new StepSize();
  private mayPunch: boolean;
  private mayZero: boolean;

  constructor(descriptor: number, range: RangeFile | null) {
    this.descriptor = descriptor;
    this.range = range;
    this.mayPunch = range?.canPunch === true;
    // Asking costs nothing but cannot be tried out before: past the end of a file it would take up space.
    this.mayZero = this.mayPunch;
  }

  discard(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    const { range } = this;
    if (range === null || !this.mayPunch) {
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
    if (range === null || !range.canExtents) {
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
    if (range === null || !may) {
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
