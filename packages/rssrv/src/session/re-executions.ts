// Tracks finished requests that are executed again because a late copy has arrived (docs/PROTOCOL.md S1). For each tag (slot and seq), at
// most one execution runs, and its answer goes to all waiting paths. A request that is executed again does not count against the window, so
// this module limits these requests separately. Invariant: every admitted copy is answered exactly once, unless the copy's path is removed
// first.

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

  /** Removes an ended execution, and returns the paths that wait for the answer. The paths are in the order in which the copies arrived. */
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
