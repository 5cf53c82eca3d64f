// Requests that are run again for late copies of done ones (docs/PROTOCOL.md S1): one run per tag, and which paths are owed its answer.
// They are outside of the slot table, which stays *done*, and outside of the window: so they have bounds of their own.
// Invariant: whoever was let in by `begin` is in the list of exactly one run, until that ends or the path is forgotten.

import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import type { Header } from '@rsio/protocol/wire/header';

interface Run {
  readonly owed: number[];
  readonly bytes: number;
}

/** `begun`: run it; `joined`: a run is under way and answers this path too; `full`: not now; `twice`: that path is owed the answer already. */
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

  /** Bytes of all runs under way. */
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

  /** A run has ended: gives the paths that are owed its answer, in order of arrival. */
  end({ slot, seq }: Header): readonly number[] {
    const tag = tagOf(slot, seq);
    const run = this.runs.get(tag);
    if (run === undefined) return [];
    this.runs.delete(tag);
    this.bytesNow -= run.bytes;
    return run.owed;
  }

  /** A path is closed: nobody is owed an answer on it any more. */
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
