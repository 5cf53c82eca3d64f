// Does work while two paths are reset alternately, one of them every half second. The work is repeated until both paths have been reset
// during the work, because a fast machine could otherwise finish before the faults.

import type { PathCutter } from './path-cutter.ts';

const CUT_EVERY_MS = 500;
const ROUNDS_MAX_MS = 90_000;

export interface CutCount {
  readonly cuts: number;
  /** Number of times that the work was done. */
  readonly rounds: number;
}

/** Rejects with the error of `work`, or if fewer than `cutsMin` connections were reset in time. */
export async function whileCutting(cutter: PathCutter, cutsMin: number, work: (round: number) => Promise<unknown>): Promise<CutCount> {
  const endMs = performance.now() + ROUNDS_MAX_MS;
  let cuts = 0;
  let turn = 0;
  let cutting = Promise.resolve();
  const timer = setInterval(() => {
    cutting = cutting.then(async () => {
      cuts += await cutter.cut(turn++ % cutter.serverAddresses.length);
    });
  }, CUT_EVERY_MS);
  let rounds = 0;
  try {
    while (cuts < cutsMin) {
      if (performance.now() > endMs) throw new Error(`Only ${cuts} of ${cutsMin} connections were reset (${cutter.means})`);
      await work(rounds++);
    }
  } finally {
    clearInterval(timer);
    await cutting;
  }
  return { cuts, rounds };
}
