// `npm run sim`: runs seeds of the simulator: one (`--seed S [--trace]`), some (`--seeds A-B`), or as many as fit into a time (`--minutes
// N`), with a process for each core. If a seed shows a violation, the program names the seed and exits with code 1.

import { runFarmCampaign, runOneFarm } from './runner/farm-campaign.ts';
import { runCampaign } from './runner/campaign.ts';
import { runSeed } from './runner/run-seed.ts';
import { resultLine } from './runner/sums.ts';

const USAGE = `usage: npm run sim -- --seed S [--trace] | --seeds A-B | --minutes N [--from S] [--mirrors | --farm]
  --seed S      run one seed; --trace prints the events. The last line is the same in every run
  --seeds A-B   run these seeds
  --minutes N   run consecutive seeds for N minutes, starting with seed S (default 1)
  --mirrors     of these seeds, only the worlds with mirrors, and count the I/Os of mirrors
  --farm        run worlds of farms: several servers over one shared disk. Worlds after seed 10,000 are dense`;

interface Arguments {
  readonly seed: number | null;
  readonly trace: boolean;
  readonly from: number;
  readonly to: number;
  readonly minutes: number | null;
  readonly onlyMirrors: boolean;
  readonly isFarm: boolean;
}

/** null: the arguments are invalid. */
function parse(words: readonly string[]): Arguments | null {
  let [seed, minutes, from, to]: [number | null, number | null, number, number] = [null, null, 1, 0];
  let [trace, onlyMirrors, isFarm] = [false, false, false];
  for (let at = 0; at < words.length; at++) {
    const value = words[at + 1] ?? '';
    const range = /^(\d+)-(\d+)$/.exec(value);
    if (words[at] === '--trace') trace = true;
    else if (words[at] === '--mirrors') onlyMirrors = true;
    else if (words[at] === '--farm') isFarm = true;
    else if (words[at] === '--seed' && /^\d+$/.test(value)) seed = Number(words[++at]);
    else if (words[at] === '--from' && /^\d+$/.test(value)) from = Number(words[++at]);
    else if (words[at] === '--minutes' && Number(value) > 0) minutes = Number(words[++at]);
    else if (words[at] === '--seeds' && range !== null) [from, to, at] = [Number(range[1]), Number(range[2]), at + 1];
    else if (words[at] !== '--') return null;
  }
  const modes = [seed !== null, minutes !== null, to > 0].filter(Boolean).length;
  return modes === 1 ? { seed, trace, from, to, minutes, onlyMirrors, isFarm } : null;
}

async function runOne({ trace, isFarm }: Arguments, seed: number): Promise<boolean> {
  if (isFarm) return runOneFarm(seed, trace, console.log);
  const result = await runSeed(seed, trace ? { trace: (line) => console.log(line) } : {});
  for (const breach of result.breaches) console.log(`seed ${seed}: ${breach}`);
  console.log(resultLine(result));
  return result.breaches.length === 0;
}

const given = parse(process.argv.slice(2));
if (given === null) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const run = given.isFarm ? runFarmCampaign : runCampaign;
  const isFine = given.seed === null ? await run(given, console.log) : await runOne(given, given.seed);
  process.exitCode = isFine ? 0 : 1;
}
