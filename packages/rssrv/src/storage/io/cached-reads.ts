// Reads on the event loop that never wait for the storage (nowait-read.ts). Only a read that got all its data at once has an answer here. A
// read that would wait, was cut short or failed is left to the thread pool, which reads again, continues, and reports errors. Even such a
// call can wait in a few places, such as for a place in the queue of a disk. So calls are timed as others are (inline-policy.ts), and none
// is made while calls in the pool hang or while many calls of the volume already use it or wait for it.

import os from 'node:os';
import { STATUS } from '@rsio/protocol/wire/status';
import { WOULD_WAIT } from './backend.ts';
import type { InlinePolicy } from './inline-policy.ts';
import { CALLS_BEHIND_TRIES_MAX } from './limits.ts';
import type { NowaitRead } from './nowait-read.ts';

/** The file system or the kernel cannot read without waiting. This does not change while the file is open. */
export const NOT_SUPPORTED = -2;

export type CachedReadEnd = typeof STATUS.OK | typeof WOULD_WAIT | typeof NOT_SUPPORTED;

const { ENOSYS, EOPNOTSUPP, EPERM } = os.constants.errno;

export class CachedReads {
  private readonly call: NowaitRead;
  private readonly policy: InlinePolicy;
  private readonly callsInPool: () => number;

  /** `policy`: of these reads alone. `callsInPool`: calls of the volume that use the thread pool or wait for a place in it. */
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

  /** After WOULD_WAIT, a part of the target may have been overwritten. */
  tryRead(fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number): CachedReadEnd {
    if (this.callsInPool() >= CALLS_BEHIND_TRIES_MAX || !this.policy.mayRunInline()) return WOULD_WAIT;
    const moved = this.call(fd, target, offset, lengthBytes, positionBytes);
    this.policy.inlineEnded(lengthBytes);
    if (moved === lengthBytes) return STATUS.OK;
    return moved === -EOPNOTSUPP || moved === -ENOSYS || moved === -EPERM ? NOT_SUPPORTED : WOULD_WAIT;
  }

  /** Like `tryRead`, for pieces of memory that are one after the other in the file. */
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
