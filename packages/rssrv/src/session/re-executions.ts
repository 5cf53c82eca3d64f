// Tracks finished requests that are executed again because a late copy has arrived (docs/PROTOCOL.md S1). Each tag (slot and seq) has at
// most one such execution, with a list of the paths that wait for its answer. A request that is executed again stays *done* in the slot
// table and does not count against the window. This module therefore limits these requests separately. Invariant: a copy that `begin`
// admits is on the list of exactly one execution until that execution ends or the copy's path is removed.

import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import type { Header } from '@rsio/protocol/wire/header';

interface Run {
  readonly owed: number[];
  readonly bytes: number;
}

/**
 * `begun`: the caller must execute the request. `joined`: an execution in progress will also answer this path. `full`: the limit for
 * re-executions is reached. `twice`: this path is already waiting for the answer.
 */
export type ReExecutionKind = 'begun' | 'joined' | 'full' | 'twice';

export class ReExecutions {
  private readonly countMax: number;
  private readonly bytesMax: number;
  private readonly runs = new Map<number, Run>();
  private bytesNow = 0;

  constructor(countMax: number, bytesMax: number) {
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.runs.size;
  }

  /** Total bytes of all executions in progress. */
  get bytes(): number {
    return this.bytesNow;
  }

  begin({ slot, seq }: Header, path: number, bytes: number): ReExecutionKind {
    const run = this.runs.get(tagOf(slot, seq));
    if (run !== undefined) {
      if (run.owed.includes(path)) return 'twice';
      run.owed.push(path);
      return 'joined';
    }
    if (this.runs.size >= this.countMax || this.bytesNow + bytes > this.bytesMax) return 'full';
    this.runs.set(tagOf(slot, seq), { owed: [path], bytes });
    this.bytesNow += bytes;
    return 'begun';
  }

  /**
   * Removes an execution that has ended, and returns the paths that are waiting for its answer. The paths are in the order in which their
   * copies arrived.
   */
  end({ slot, seq }: Header): readonly number[] {
    const tag = tagOf(slot, seq);
    const run = this.runs.get(tag);
    if (run === undefined) return [];
    this.runs.delete(tag);
    this.bytesNow -= run.bytes;
    return run.owed;
  }

  /** Removes a closed path from all executions, so that no more answers are sent to it. */
  forget(path: number): void {
    for (const { owed } of this.runs.values()) {
      const at = owed.indexOf(path);
      if (at >= 0) owed.splice(at, 1);
    }
  }
}

function tagOf(slot: number, seq: number): number {
  return slot * SEQ_MODULUS + seq;
}
