// One mutant against the simulator's seeds, in a process of its own: `hunt.js NAME FIRST-LAST...`. It reports to its parent the first
// failed seed and the oracle's message. zoo.ts judges, and ends a hunt that takes too long.

import { runSeed } from '../runner/run-seed.ts';
import { MUTANTS } from './mutants.ts';
import { type Hunted, UNBROKEN } from './zoo.ts';

const [name, ...runs] = process.argv.slice(2);
const mutant = MUTANTS.find((candidate) => candidate.name === name);
if (mutant === undefined && name !== UNBROKEN) throw new Error(`There is no mutant ${name}`);
mutant?.apply();

let rejection: string | null = null;
process.on('unhandledRejection', (reason) => {
  rejection ??= `A rejection nobody handles: ${String(reason)}`;
});

async function hunt(): Promise<Hunted> {
  for (const run of runs) {
    const [first, last] = run.split('-').map(Number);
    for (let seed = first!; seed <= last!; seed++) {
      const { breaches } = await runSeed(seed, { isHunt: true });
      const breach = breaches[0] ?? rejection;
      if (breach !== null) return { seed, breach };
    }
  }
  return { seed: null, breach: '' };
}

const hunted = await hunt();
process.send?.(hunted, () => process.exit(0));
