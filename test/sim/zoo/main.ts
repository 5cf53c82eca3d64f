// `npm run zoo -- [--quick] [--from SEED] [NAME...]`: prints a table of the named mutants (without a name: of all mutants), each with the
// first seed that found the mutant and the oracle's message. zoo.ts defines quick. Invariant: the exit code is 0 if and only if every
// mutant was found and the unbroken code passed the same seeds.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { FOUND_AT } from './found-at.ts';
import { MUTANTS } from './mutants.ts';
import { runZoo, type Verdict, ZOO_SEEDS } from './zoo.ts';

const USAGE = `usage: npm run zoo -- [--quick] [--from SEED] [NAME...]
  NAME         hunt only these mutants: the names in test/sim/zoo/mutants (default: all)
  --quick      start each hunt at the seed in found-at.ts
  --from SEED  start at this seed (default 1)
  --help       print this help and exit`;
const OPTIONS = {
  quick: { type: 'boolean', default: false },
  from: { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
} as const;
const JOBS_MAX = 2;
const BREACH_MAX_CHARS = 90;

function line({ name, rule, found, seed, breach, elapsedMs }: Verdict): string {
  const said = breach.replaceAll(/\s+/g, ' ').slice(0, BREACH_MAX_CHARS);
  const where = found ? `seed ${seed}` : 'SURVIVED';
  return `${name.padEnd(22)}${rule.padEnd(5)}${where.padEnd(10)}${`${(elapsedMs / 1000).toFixed(1)} s`.padStart(7)}  ${said}`;
}

const startMs = performance.now();
const jobs = Math.min(JOBS_MAX, availableParallelism());
const { values, positionals: names } = parseArgs({ options: OPTIONS, allowPositionals: true });
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const unknown = names.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
if (unknown.length > 0) {
  console.error(`zoo: no mutant ${unknown.join(', ')}: test/sim/zoo/mutants has their names`);
  process.exit(2);
}
const isQuick = values.quick;
const from = Number(values.from);
const report = await runZoo(jobs, { names, isQuick, from }, (verdict) => console.log(line(verdict)));
const { unbroken, unbrokenSeeds, verdicts, survivors } = report;
const passes = unbroken.seed === null && unbroken.breach === '';
const which = isQuick ? `${unbrokenSeeds} seeds that found one` : `seeds ${from} to ${from + unbrokenSeeds - 1}`;
console.log(`unbroken code: ${which} ${passes ? 'pass' : `FAIL: seed ${unbroken.seed ?? '?'}: ${unbroken.breach}`}`);
const late = verdicts.filter(({ name, seed }) => isQuick && seed !== null && seed !== (FOUND_AT.get(name) ?? from));
for (const { name, seed } of late)
  console.log(`${name} is not found at seed ${FOUND_AT.get(name) ?? from} any more, but at ${seed}: see found-at.ts`);
for (const { name, breaks } of verdicts.filter(({ found }) => !found)) console.log(`${name} survived ${ZOO_SEEDS} seeds: ${breaks}`);
console.log(`${verdicts.length - survivors} of ${verdicts.length} found in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
process.exitCode = survivors === 0 && passes && verdicts.length > 0 ? 0 : 1;
