// The order that a campaign gives to one of its processes, and the result of the process. seed-runner.ts does the work. Invariant: results
// are plain data, so that they pass unchanged through the channel between the processes.

import type { FuzzFinding } from './hunt.ts';

export interface Slice {
  readonly target: string;
  readonly from: number;
  readonly stride: number;
  /** The process begins no seed after this time, counted from its start. The process runs at least one seed. */
  readonly forMs: number;
}

export interface SliceResult {
  readonly cases: number;
  readonly deep: number;
  readonly nextSeed: number;
  readonly finding: FuzzFinding | null;
}

/** Returns the form in which a seed is noted in a file. */
export function seedBytes(seed: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(seed);
  return bytes;
}
