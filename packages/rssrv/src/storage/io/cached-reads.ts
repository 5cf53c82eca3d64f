// Reads on the event loop that do not wait for the storage (nowait-read.ts). Answers only reads that get all their data at once. A read
// that would wait, returns less or fails must be repeated in the thread pool, which also reports errors. Even a call with RWF_NOWAIT can
// wait, for example for a place in the queue of a disk. Calls with RWF_NOWAIT are therefore timed (inline-policy.ts), and not made while
// calls in the pool hang, or while many calls of the volume use the pool or wait for it.

import os from 'node:os';
import { STATUS } from '@rsio/protocol/wire/status';
import { WOULD_WAIT } from './backend.ts';
import type { InlinePolicy } from './inline-policy.ts';
import { CALLS_BEHIND_TRIES_MAX } from '../limits.ts';
import type { NowaitRead } from './nowait-read.ts';

/** Result: the file system or the kernel does not support reads without waiting. The result is final for an open file. */
export const NOT_SUPPORTED = -2;

export type CachedReadEnd = typeof STATUS.OK | typeof WOULD_WAIT | typeof NOT_SUPPORTED;

const { ENOSYS, EOPNOTSUPP, EPERM } = os.constants.errno;

export class CachedReads {
  private readonly call: NowaitRead;
  private readonly policy: InlinePolicy;
  private readonly callsInPool: () => number;

  /**
   * `policy` times only reads without waiting. `callsInPool` returns the number of calls of the volume that use the thread pool or
   * wait for it.
   */
  constructor(call: NowaitRead, policy: InlinePolicy, callsInPool: () => number) {
    this.call = call;
    this.policy = policy;
    this.callsInPool = callsInPool;
  }

  /** Must be called whenever a call goes to the thread pool, for any reason. */
  poolBegan(): void {
    this.policy.poolBegan();
  }

  poolEnded(): void {
    this.policy.poolEnded();
  }

  /** Tries to read without waiting. After WOULD_WAIT, a part of the target may have been overwritten. */
  tryRead(fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number): CachedReadEnd {
    if (this.callsInPool() >= CALLS_BEHIND_TRIES_MAX || !this.policy.mayRunInline()) return WOULD_WAIT;
    const moved = this.call(fd, target, offset, lengthBytes, positionBytes);
    this.policy.inlineEnded(lengthBytes);
    if (moved === lengthBytes) return STATUS.OK;
    return moved === -EOPNOTSUPP || moved === -ENOSYS || moved === -EPERM ? NOT_SUPPORTED : WOULD_WAIT;
  }

  /** Like `tryRead`, for several pieces of memory that get successive ranges of the file. */
  tryReadPieces(fd: number, pieces: readonly Buffer[], positionBytes: number): CachedReadEnd {
    let position = positionBytes;
    for (const piece of pieces) {
      const end = this.tryRead(fd, piece, 0, piece.length, position);
      if (end !== STATUS.OK) return end;
      position += piece.length;
    }
    return STATUS.OK;
  }
}
