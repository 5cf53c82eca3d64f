// `npm run drill -- data-centre`: three servers in two namespaces and three clients on this machine. The program compares all output with the
// expected text, character by character. Then the program makes 50 changes, which a seed chooses, under fio with verification. With --stay,
// everything keeps running afterwards. The steps are in outputs.ts and turmoil.ts. Invariant: before the program ends, it stops the daemons
// and removes the roots, unless SIGKILL ends it.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { toRsError } from '@rsio/base/lib/errors';
import { launcher } from '../support/programs/programs.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { DataCentre } from './data-centre.ts';
import { OUTPUT_STEPS } from './outputs.ts';
import { turmoilUnderLoad } from './under-load.ts';

const HELP = `usage: npm run drill -- data-centre [--seed S] [--changes N] [--stay]

Starts three servers in two namespaces and three clients, with two interfaces each. Compares every output, then makes
changes under I/O. The changes need fio with its nbd engine: install fio and libnbd0.

  --seed S          repeat the changes of an earlier run (a number; default: a new one each time)
  --changes N       number of changes (default 50; 0: none, without fio)
  --stay            keep everything running at the end, until Ctrl-C
  --help            print this help and exit
`;

const OPTIONS = {
  seed: { type: 'string' },
  changes: { type: 'string', default: '50' },
  stay: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;
const SEED_MAX = 2 ** 31;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Resolves when a signal asks the program to end. */
function asked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
}

function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`${what} must be a whole number, not ${text}`);
  return Number(text);
}

async function runSteps(centre: DataCentre, seed: number, changes: number): Promise<void> {
  for (const { name, run } of OUTPUT_STEPS) {
    await run(centre);
    say(`ok    ${name}`);
  }
  if (changes === 0) return;
  say(`The changes of seed ${seed} under fio`);
  const { seconds, verifyReads, longestGapMs } = await turmoilUnderLoad(centre, seed, changes, (line) => say(`      ${line}`));
  say(
    `ok    ${changes} changes in ${seconds.toFixed(0)} s: no I/O error, ${verifyReads} blocks verified, longest gap ${Math.round(longestGapMs)} ms`,
  );
}

function sayWhereThingsAre(centre: DataCentre): void {
  const rsconfig = launcher('rsconfig');
  say('\nAll of it is running, until Ctrl-C. Try:');
  for (const client of centre.clients) say(`  ${rsconfig} --root ${centre.host(client).root} -q        # ${client.name}`);
  for (const server of centre.servers)
    say(`  $EDITOR ${centre.host(server).rssrvPaths.configFile}; kill -HUP ${centre.host(server).pid('rssrv')}`);
}

async function main(): Promise<number> {
  const options = parseArgs({ options: OPTIONS }).values;
  if (options.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const seed = options.seed === undefined ? randomInt(SEED_MAX) : wholeNumber(options.seed, '--seed');
  const changes = wholeNumber(options.changes, '--changes');
  const hosts = new Hosts();
  const interrupted = asked().then(() => Promise.reject(new Error('Interrupted')));
  interrupted.catch(() => undefined);
  try {
    const centre = await DataCentre.make(hosts);
    await Promise.race([runSteps(centre, seed, changes), interrupted]);
    if (options.stay === true) {
      sayWhereThingsAre(centre);
      await interrupted.catch(() => undefined);
    }
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  } finally {
    await hosts.clean();
  }
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.stderr.write(`data-centre: ${toRsError(thrown).message}: see npm run drill -- data-centre --help [E_USAGE]\n`);
  process.exitCode = 2;
}
