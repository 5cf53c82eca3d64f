// What is measured: kinds of load, rounds and windows, and the order in which blocks are asked for. Both servers get exactly the same.
// Invariant: every block of a workload lies whole in the file, and the same seed gives the same order.

export interface Workload {
  readonly title: string;
  readonly direction: 'read' | 'write';
  readonly order: 'random' | 'sequential';
  readonly blockBytes: number;
  /** Requests out at any time, on one connection. */
  readonly depth: number;
}

export interface Plan {
  readonly rounds: number;
  /** Load before the window, for caches and compilers on both sides, ms. */
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly workloads: readonly Workload[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Each block of the file begins with its number. */
export const MARKED_BLOCK_BYTES = 8 * KIB;
export const FILE_BYTES = 512 * MIB;

const RANDOM_READS: Workload = {
  title: '8 KiB random reads',
  direction: 'read',
  order: 'random',
  blockBytes: MARKED_BLOCK_BYTES,
  depth: 128,
};

export const QUICK_PLAN: Plan = { rounds: 5, warmUpMs: 500, windowMs: 2_000, workloads: [RANDOM_READS] };

export const FULL_PLAN: Plan = {
  rounds: 5,
  warmUpMs: 1_000,
  windowMs: 5_000,
  workloads: [
    RANDOM_READS,
    { ...RANDOM_READS, title: '64 KiB sequential reads', order: 'sequential', blockBytes: 64 * KIB },
    // A session's window (limits.ts) holds 32 of them.
    { ...RANDOM_READS, title: '1 MiB sequential reads', order: 'sequential', blockBytes: MIB, depth: 16 },
    { ...RANDOM_READS, title: '8 KiB random writes', direction: 'write' },
  ],
};

/** Every marked block once, in order: shows that a server gives the file's own data. */
export const CHECK: Workload = { ...RANDOM_READS, title: 'check', order: 'sequential' };

/** Gives the next block's number, 0 to `blocks` - 1; `seed` is any 32-bit number but 0. */
export function blockOrder(order: Workload['order'], blocks: number, seed: number): () => number {
  if (order === 'sequential') {
    let next = -1;
    return () => {
      next = next + 1 < blocks ? next + 1 : 0;
      return next;
    };
  }
  // xorshift32
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % blocks;
  };
}
