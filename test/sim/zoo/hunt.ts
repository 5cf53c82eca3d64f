// One mutant against the simulator's seeds, in a process of its own: `hunt.js NAME FIRST-LAST...`. It reports to its parent the first
// failed seed and the oracle's message. zoo.ts judges, and ends a hunt that takes too long. Invariant: an error of the mutant's own code is
// no breach.

import { runSeed } from '../runner/run-seed.ts';
import { MUTANTS } from './mutants.ts';
import { type Hunted, UNBROKEN } from './zoo.ts';

const [name, ...runs] = process.argv.slice(2);
const mutant = MUTANTS.find((candidate) => candidate.name === name);
if (mutant === undefined && name !== UNBROKEN) throw new Error(`There is no mutant ${name}`);
mutant?.apply();

let rejection: string | null = null;
process.on('unhandledRejection', (reason) => {
  rejection ??= `A rejection without a handler: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`;
});

async function hunt(): Promise<Hunted> {
  for (const run of runs) {
    const [first, last] = run.split('-').map(Number);
    for (let seed = first!; seed <= last!; seed++) {
      const { breaches } = await runSeed(seed, { isHunt: true });
      const breach = breaches[0] ?? rejection;
      if (breach === null) continue;
      // The mutant's own code failed, probably on a member that the code no longer has: that breaks no rule.
      if (/TypeError: .*\n\s+at .*zoo.mutants/.test(breach))
        return { seed: null, breach: `Seed ${seed}: the mutant is outdated: ${breach}` };
      return { seed, breach };
    }
  }
  return { seed: null, breach: '' };
}

const hunted = await hunt();
process.send?.(hunted, () => process.exit(0));
