// Reduces an input with a finding as far as possible within a time limit: first it drops pieces, then it drops bytes, and then it sets
// bytes to zero. `stillFinds` of the caller tells whether a smaller input still gives the finding. Invariant: the result also gives the
// finding.

import type { Clock } from '@rsio/base/lib/clock';

export type StillFinds = (input: Buffer) => Promise<boolean>;

/**
 * Returns the smallest input that it finds. `split`: splits an input into pieces that belong together; undefined: the target has no pieces.
 */
export async function minimised(
  input: Buffer,
  split: ((input: Buffer) => Buffer[]) | undefined,
  stillFinds: StillFinds,
  clock: Clock,
  withinMs: number,
): Promise<Buffer> {
  const endMs = clock.monotonicMs() + withinMs;
  const isOver = (): boolean => clock.monotonicMs() > endMs;
  let best = input;
  if (split !== undefined) best = Buffer.concat(await fewer(split(best), stillFinds, isOver));
  if (!(await stillFinds(best))) best = input;
  best = Buffer.concat(await fewer(bytesOf(best), stillFinds, isOver));
  for (let at = 0; at < best.length && !isOver(); at++) {
    if (best[at] === 0) continue;
    const zeroed = Buffer.from(best);
    zeroed[at] = 0;
    if (await stillFinds(zeroed)) best = zeroed;
  }
  return best;
}

function bytesOf(input: Buffer): Buffer[] {
  return Array.from(input, (_, index) => input.subarray(index, index + 1));
}

/** Leaves out runs of pieces while the finding remains. It tries to leave out long runs first. */
async function fewer(pieces: Buffer[], stillFinds: StillFinds, isOver: () => boolean): Promise<Buffer[]> {
  let left = pieces;
  for (let run = Math.ceil(left.length / 2); run >= 1 && !isOver(); run = run === 1 ? 0 : Math.ceil(run / 2)) {
    for (let at = 0; at < left.length && !isOver(); ) {
      const without = [...left.slice(0, at), ...left.slice(at + run)];
      if (await stillFinds(Buffer.concat(without))) left = without;
      else at += run;
    }
  }
  return left;
}
