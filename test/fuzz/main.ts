// `npm run fuzz`: runs all fuzz targets one after another on all cores (`--minutes M`), or only some targets (`--target T`). The program
// can also repeat one seed or one input of a target, or run the hostile peers (`--peers`). The exit code is 1 after a finding, and 2 for
// invalid arguments.

import { parseArgs } from 'node:util';
import { toRsError } from '@rsio/base/lib/errors';
import { runCampaign } from './runner/campaign.ts';
import type { FuzzTarget } from './fixtures/fuzz-target.ts';
import { findingOf, findingText, inputOf, tried } from './runner/hunt.ts';
import { reportPeers } from './peers/peers-report.ts';
import { TARGETS } from './targets/target-table.ts';

const USAGE = `usage: npm run fuzz -- [--minutes M] [--target T] [--from S] | --target T --seed S | --target T --input HEX | --peers
  --minutes M   run the targets in turn for M minutes (default 1), starting with seed S (default 1)
  --target T    run only this target: ${TARGETS.map(({ name }) => name).join(', ')}
  --seed S      run only this seed, and reduce a failing input
  --input HEX   run only this input
  --peers       open up to 1000 hostile connections per second to a server, and measure the effect on a normal client
  --help        print this help and exit`;

const OPTIONS = {
  minutes: { type: 'string' },
  target: { type: 'string' },
  seed: { type: 'string' },
  from: { type: 'string' },
  input: { type: 'string' },
  peers: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

async function runSeed(target: FuzzTarget, seed: number): Promise<boolean> {
  const { thrown, isDeep } = await tried(target, inputOf(target, seed));
  console.log(
    thrown === null
      ? `${target.name} seed ${seed}: nothing found${isDeep ? ', deep' : ''}`
      : findingText(await findingOf(target, seed, thrown)),
  );
  return thrown === null;
}

async function runInput(target: FuzzTarget, input: Buffer): Promise<boolean> {
  const { thrown, isDeep } = await tried(target, input);
  console.log(thrown ?? `${target.name}, ${input.length} bytes: nothing found${isDeep ? ', deep' : ''}`);
  return thrown === null;
}

/** Returns whether there was no finding; null if the arguments are invalid. */
async function main(words: readonly string[]): Promise<boolean | null> {
  const { values } = parseArgs({ args: words.filter((word) => word !== '--'), options: OPTIONS });
  if (values.help === true) {
    console.log(USAGE);
    return true;
  }
  const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
  const [target] = targets;
  const [minutes, from, seed] = [values.minutes ?? '1', values.from ?? '1', values.seed ?? '1'].map(Number) as [number, number, number];
  const isSense = target !== undefined && minutes > 0 && Number.isSafeInteger(from) && Number.isSafeInteger(seed);
  const isSingle = values.seed !== undefined || values.input !== undefined;
  if (!isSense || (isSingle && values.target === undefined)) return null;
  if (values.peers === true) return reportPeers(console.log);
  if (values.input !== undefined) return runInput(target, Buffer.from(values.input, 'hex'));
  if (values.seed !== undefined) return runSeed(target, seed);
  return runCampaign(targets, minutes, from, console.log);
}

try {
  const isFine = await main(process.argv.slice(2));
  if (isFine === null) console.error(USAGE);
  process.exitCode = isFine === null ? 2 : isFine ? 0 : 1;
} catch (error) {
  console.error(`${toRsError(error).message}\n${USAGE}`);
  process.exitCode = 2;
}
// Shared resources of targets, such as a control socket, would keep the process alive.
process.exit();
