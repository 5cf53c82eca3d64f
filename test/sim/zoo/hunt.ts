// One mutant against the simulator's seeds, or against those of an explorer, in a process of its own: `hunt.js NAME FIRST-LAST...`. It reports to its parent the first
// failed seed and the oracle's message. zoo.ts judges, and ends a hunt that takes too long. Invariant: an error of the mutant's own code is
// no breach. The unbroken code passes the world of an explorer in which a mutant was found.

import { runSeed } from '../runner/run-seed.ts';
import { explore } from './explorers/explorers.ts';
import { MUTANTS } from './mutants.ts';
import { type Hunted, UNBROKEN } from './zoo.ts';

const [name, ...runs] = process.argv.slice(2);
const mutant = MUTANTS.find((candidate) => candidate.name === name);
if (mutant === undefined && name !== UNBROKEN) throw new Error(`There is no mutant ${name}`);
const undo = mutant?.apply() ?? ((): void => undefined);

let rejection: string | null = null;
process.on('unhandledRejection', (reason) => {
  rejection ??= `A rejection without a handler: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`;
});

async function broken(seed: number): Promise<string | null> {
  if (mutant?.explorer !== undefined) return explore(mutant.explorer, mutant.walk ?? {}, seed);
  return (await runSeed(seed, { isHunt: true })).breaches[0] ?? null;
}

async function hunt(): Promise<Hunted> {
  for (const run of runs) {
    const [first, last] = run.split('-').map(Number);
    for (let seed = first!; seed <= last!; seed++) {
      const breach = (await broken(seed)) ?? rejection;
      if (breach === null) continue;
      // The mutant's own code failed, probably on a member that the code no longer has: that breaks no rule.
      if (/TypeError: .*\n\s+at .*zoo.mutants/.test(breach))
        return { seed: null, breach: `Seed ${seed}: the mutant is outdated: ${breach}` };
      undo();
      const unbroken = mutant?.explorer === undefined ? null : await broken(seed);
      if (unbroken !== null) return { seed: null, breach: `Seed ${seed} fails without the mutant: ${unbroken}` };
      return { seed, breach };
    }
  }
  return { seed: null, breach: '' };
}

const hunted = await hunt();
process.send?.(hunted, () => process.exit(0));
