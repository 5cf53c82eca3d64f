// The order of a campaign to one of its processes, and the result. seed-runner.ts does the work. Invariant: results are plain data, which
// the channel between the processes carries unchanged.

import type { FuzzFinding } from './hunt.ts';

export interface Slice {
  readonly target: string;
  readonly from: number;
  readonly stride: number;
  /** Time from the start of the process on; the process runs at least one seed. */
  readonly forMs: number;
}

export interface SliceResult {
  readonly cases: number;
  readonly deep: number;
  readonly nextSeed: number;
  readonly finding: FuzzFinding | null;
}

/** A seed as it is noted in a file. */
export function seedBytes(seed: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(seed);
  return bytes;
}
