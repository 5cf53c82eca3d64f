// Tracks finished requests that are executed again because a late copy has arrived (docs/PROTOCOL.md S1). For each request, at most one
// execution runs, and its answer goes to all waiting paths. A request that is executed again does not count against the window, so this
// module limits these requests separately. Invariants: every admitted copy is answered exactly once, unless the copy's path is removed
// first. Only copies of the same request join an execution. The tag (slot and seq) does not identify the request, because tags repeat when
// seq wraps. Therefore, once a new request has arrived in a slot, no copy joins an execution of an earlier request in that slot.

import { counted } from '@rsio/base/lib/assert';
import type { Header } from '@rsio/protocol/wire/header';

export interface Run {
  readonly seq: number;
  readonly owed: number[];
  readonly bytes: number;
}

export interface CopyPath {
  readonly number: number;
  /** Called for a second copy on a path that already waits for the answer. */
  duplicated(header: Header): void;
}

export class ReExecutions {
  private readonly countMax: number;
  private readonly bytesMax: number;
  private readonly runs = new Set<Run>();
  /** Maps each slot to the execution that further copies may join. */
  private readonly open = new Map<number, Run>();
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

  /**
   * Returns the execution if the caller must execute the request. Returns null if an execution in progress will also answer the path, or if
   * `full` was called, because the limit for re-executions is reached.
   */
  begin(header: Header, path: CopyPath, bytes: number, full: () => void): Run | null {
    const { slot, seq } = header;
    const open = this.open.get(slot);
    if (open?.seq === seq) {
      if (open.owed.includes(path.number)) path.duplicated(header);
      else open.owed.push(path.number);
      return null;
    }
    if (this.runs.size >= this.countMax || this.bytesNow + bytes > this.bytesMax) {
      full();
      return null;
    }
    const run: Run = { seq, owed: [path.number], bytes };
    this.runs.add(run);
    this.open.set(slot, run);
    this.bytesNow += bytes;
    return run;
  }

  /** Must be called when a new request has arrived in the slot. No further copy joins an execution of an earlier request. */
  superseded(slot: number): void {
    if (this.open.size > 0) this.open.delete(slot);
  }

  /** Removes an ended execution, and returns the paths that wait for the answer. The paths are in the order in which the copies arrived. */
  end(slot: number, run: Run): readonly number[] {
    if (!this.runs.delete(run)) return [];
    if (this.open.get(slot) === run) this.open.delete(slot);
    this.bytesNow = counted(this.bytesNow - run.bytes, 'bytes that are read again');
    return run.owed;
  }

  /** Removes a closed path from all executions, so that no more answers are sent to it. */
  forget(path: number): void {
    for (const { owed } of this.runs) {
      const at = owed.indexOf(path);
      if (at >= 0) owed.splice(at, 1);
    }
  }
}
