// Lets the listener wait for calls on files whose storage may hang. Such a call occupies a thread until the storage answers, so few calls run
// at the same time, and fewer on one file system. Invariants: a call that has not ended in time goes on, and keeps its turn; each call has a
// copy of the descriptor, so that it never meets another file that got the number of a descriptor that its caller has closed.

import fs from 'node:fs';
import type { Clock } from '@rsio/base/lib/clock';
import { systemClock } from '@rsio/base/lib/clock';
import { within } from '@rsio/base/lib/waiting';
import { DeviceTurns } from './device-turns.ts';
import { type FileCalls, fileCalls } from './file-calls.ts';
import { mountOf } from './file-system.ts';
import { FILE_CALLS_MAX, FILE_CALLS_PER_DEVICE_MAX, FILE_CALLS_WAITING_MAX, FILE_CALL_WAIT_MS } from './limits.ts';

export class BoundedCalls {
  private readonly clock: Clock;
  private readonly given: FileCalls | null;
  private readonly turns: DeviceTurns;

  /** `calls`: the calls of a test; null: those of this machine. */
  constructor(clock: Clock, calls: FileCalls | null = null) {
    this.clock = clock;
    this.given = calls;
    this.turns = new DeviceTurns(clock, {
      total: FILE_CALLS_MAX,
      perDevice: FILE_CALLS_PER_DEVICE_MAX,
      waiting: FILE_CALLS_WAITING_MAX,
      waitMs: FILE_CALL_WAIT_MS,
    });
  }

  /**
   * Calls `work` with a copy of the descriptor, which is closed when `work` has settled. Resolves with null if the storage has not answered
   * after `limitMs`, or if too many calls do not end; `isLate` then returns true, and `work` should begin no further call. Throws like
   * `work`, and with the errno in `code` if this process has no free descriptor.
   */
  async run<T>(
    descriptor: number,
    limitMs: number,
    work: (calls: FileCalls, copy: number, isLate: () => boolean) => Promise<T>,
  ): Promise<T | null> {
    const device = mountOf(descriptor);
    if (!(await this.turns.begin(device))) return null;
    let isLate = false;
    return within(
      this.clock,
      limitMs,
      this.turn(device, descriptor, (calls, copy) => work(calls, copy, () => isLate)),
      () => {
        isLate = true;
        return null;
      },
    );
  }

  private async turn<T>(device: string, descriptor: number, work: (calls: FileCalls, copy: number) => Promise<T>): Promise<T> {
    try {
      const calls = this.given ?? fileCalls();
      const copy = calls.copyOf(descriptor);
      try {
        return await work(calls, copy);
      } finally {
        // A close may wait for storage, so it runs in a thread, and belongs to the turn.
        await new Promise<void>((resolve) => fs.close(copy, () => resolve()));
      }
    } finally {
      this.turns.ended(device);
    }
  }
}

/** The calls of this process. All callers share the threads. */
export const boundedCalls = new BoundedCalls(systemClock);
