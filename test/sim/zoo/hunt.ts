// A process of the zoo: hunts one mutant after the other in the simulator's seeds, or in the seeds of an explorer, as its parent orders.
// The process reports the first failed seed and the oracle's message. zoo.ts judges, and hunt-process.ts ends a hunt that takes too long.
// Invariants: an error of the mutant's own code is not a breach. The unbroken code passes the world of an explorer in which a mutant was
// found. After each hunt, the unbroken code gives the same digest as before the first hunt, so that no mutant is found because a part of an
// earlier one is left.

import { runSeed } from '../runner/run-seed.ts';
import { explore } from './explorers/explorers.ts';
import type { HuntAnswer, HuntOrder } from './hunt-process.ts';
import { MUTANTS } from './mutants.ts';
import type { Mutant } from './mutants/mutant.ts';
import { type Hunted, UNBROKEN } from './zoo.ts';

/** Seed of a world with sessions, faults and thousands of I/Os that takes only milliseconds. */
const PROBE_SEED = 47;

let rejection: string | null = null;
process.on('unhandledRejection', (reason) => {
  rejection ??= `A rejection without a handler: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`;
});
process.once('disconnect', () => process.exit());

async function broken(mutant: Mutant | undefined, seed: number): Promise<string | null> {
  if (mutant?.explorer !== undefined) return explore(mutant.explorer, mutant.walk ?? {}, seed);
  return (await runSeed(seed, { isHunt: true })).breaches[0] ?? null;
}

async function search(mutant: Mutant | undefined, runs: HuntOrder['runs']): Promise<Hunted> {
  for (const [first, last] of runs) {
    for (let seed = first; seed <= last; seed++) {
      const breach = (await broken(mutant, seed)) ?? rejection;
      if (breach === null) continue;
      // The code of the mutant itself failed, probably because a member of the production code was renamed. A failure of the mutant's own
      // code is an error of the zoo, and does not count as a breach.
      if (/TypeError: .*\n\s+at .*zoo.mutants/.test(breach))
        return { seed: null, breach: `Seed ${seed}: the mutant is outdated: ${breach}` };
      return { seed, breach };
    }
  }
  return { seed: null, breach: '' };
}

/** For each world: what the unbroken code breaks there; null: nothing. Many mutants are found in the same world. */
const unbrokenBreaches = new Map<string, string | null>();

async function unbrokenBreach(mutant: Mutant, seed: number): Promise<string | null> {
  const world = JSON.stringify([mutant.explorer, mutant.walk, seed]);
  const known = unbrokenBreaches.get(world);
  if (known !== undefined) return known;
  const breach = await broken(mutant, seed);
  unbrokenBreaches.set(world, breach);
  return breach;
}

async function hunt({ name, runs }: HuntOrder): Promise<Hunted> {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (mutant === undefined && name !== UNBROKEN) throw new Error(`There is no mutant ${name}`);
  const undo = mutant?.apply() ?? ((): void => undefined);
  const hunted = await search(mutant, runs);
  undo();
  if (hunted.seed === null || mutant?.explorer === undefined) return hunted;
  const unbroken = await unbrokenBreach(mutant, hunted.seed);
  return unbroken === null ? hunted : { seed: null, breach: `Seed ${hunted.seed} fails without the mutant: ${unbroken}` };
}

/** Digest of the unbroken code in a small world. */
async function probe(): Promise<string> {
  const { digest, breaches } = await runSeed(PROBE_SEED);
  return [digest, ...breaches].join(' ');
}

const before = await probe();

process.on('message', (order: HuntOrder) => {
  void (async (): Promise<void> => {
    const hunted = await hunt(order);
    // Waits for one turn of the event loop, because Node reports unhandled rejections during this turn.
    await new Promise((resolve) => setImmediate(resolve));
    rejection = null;
    const after = await probe();
    const isClean = after === before;
    const left: Hunted = { seed: null, breach: `After the hunt, seed ${PROBE_SEED} gives ${after} and not ${before}` };
    process.send?.({ hunted: isClean ? hunted : left, isClean } satisfies HuntAnswer);
  })();
});
