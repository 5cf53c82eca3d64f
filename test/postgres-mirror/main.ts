// `npm run postgres-mirror`: PostgreSQL on a mirror over three servers, every machine in its own network namespace. About every 20 s, one
// server is killed, loses power, is cut off or is stopped. In some rounds the client is lost, and the other client takes over. campaign.ts
// has the expected behaviour. Invariants: the exit code is 0 if and only if there was no problem. No process, mount or namespace is left
// behind.

import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { whyNoDevices } from '../support/devices/devices.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { Netlab } from '../support/netlab/netlab.ts';
import { whyNoNetlab } from '../support/netlab/netns.ts';
import { runWithOwnMounts } from '../support/programs/own-mounts.ts';
import { Campaign, seconds } from './campaign.ts';
import { makeSite, type Site } from './machines.ts';

const HELP = `usage: npm run postgres-mirror -- [--minutes N] [--seed S] [--keep FOLDER]

PostgreSQL on a mirror of two replicas and a witness, in network namespaces, with a fault every 20 s and take-overs by a second client.
It needs root, postgresql with pg_amcheck, e2fsprogs, xfsprogs, iproute2 and nftables, and about 3 GB in the temporary folder.

  --minutes N     how long (default 20)
  --seed S        make the same choices again (a number; default: a new one each time)
  --keep FOLDER   copy all logs there at the end
  --help          print this help and exit
`;

const SEED_MAX = 2 ** 31;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function keepLogs(site: Site, folder: string): void {
  for (const { name, host } of [...site.servers, ...site.clients]) {
    mkdirSync(path.join(folder, name), { recursive: true });
    cpSync(path.join(host.root, 'var/log/rsio'), path.join(folder, name), { recursive: true });
    spawnSync('cp', [path.join(host.root, 'work/run/log'), path.join(folder, name, 'postgres.log')], { stdio: 'ignore' });
  }
}

/** Returns the number of problems. */
async function play(minutes: number, seed: number, keep: string | undefined): Promise<number> {
  const [hosts, netlab] = [new Hosts(), new Netlab()];
  let site: Site | undefined;
  try {
    site = await makeSite(hosts, netlab);
    const campaign = new Campaign(site, new SeededRandom(seed), say);
    for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (campaign.isEnding = true));
    say(`Seed ${seed}, ${minutes} min`);
    try {
      await campaign.run(minutes);
    } catch (error) {
      const { stack, cause } = error as Error;
      campaign.problems.push(`${stack}${cause === undefined ? '' : `\ncaused by ${(cause as Error).stack}`}`);
    }
    const { rounds, faults, takeOvers, transactions, commits, gapMs, takeOverGapMs, copiedBytes } = campaign.figures;
    say(`${rounds} rounds: ${[...faults].map(([kind, count]) => `${kind} ${count}`).join(', ')}; ${takeOvers} take-overs`);
    say(`${transactions} transactions of pgbench and ${commits} of the ledger; at most ${Math.round(copiedBytes / 1024 ** 2)} MiB copied`);
    say(`longest gap of commits ${seconds(gapMs)}, in rounds with a take-over ${seconds(takeOverGapMs)}`);
    for (const problem of campaign.problems) say(`PROBLEM ${problem}`);
    say(`${campaign.problems.length} problems, seed ${seed}`);
    return campaign.problems.length;
  } finally {
    if (site !== undefined && keep !== undefined) keepLogs(site, keep);
    try {
      await hosts.clean();
    } finally {
      await netlab.clean();
    }
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (values.help || !(minutes > 0) || !Number.isInteger(seed)) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const why = whyNoDevices() ?? (await whyNoNetlab());
  if (why !== null) throw new Error(`The machine ${why}`);
  return runWithOwnMounts() ?? ((await play(minutes, seed, values.keep)) === 0 ? 0 : 1);
}

process.exitCode = await main();
