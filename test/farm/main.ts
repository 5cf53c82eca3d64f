// `npm run drill -- farm`: a farm of three servers with two pools on Ceph, and four clients under verified load. In each round, a pool is
// moved, or its owner is killed, frozen or cut off, or loses its power; campaign.ts has the expected behaviour. Invariants: the exit code
// is 0 if and only if there was no problem. No process, mount, loop device or namespace is left behind.

import { randomInt } from 'node:crypto';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { missingForCeph } from '../support/devices/ceph.ts';
import { whyNoDevices } from '../support/devices/devices.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { cleanLab, Netlab } from '../support/netlab/netlab.ts';
import { whyNoNetlab } from '../support/netlab/netns.ts';
import { runWithOwnMounts } from '../support/programs/own-mounts.ts';
import { Campaign, table } from './campaign.ts';
import { EVENTS } from './events.ts';
import { LOADS, startLoads } from './loads.ts';
import { makeSite, type Site } from './machines.ts';

const HELP = `usage: npm run drill -- farm [--rounds N] [--seed S] [--only EVENT] [--take-over SECONDS] [--keep FOLDER]

Three servers share two pools on a Ceph cluster of this machine, in network namespaces. Two fio with verification, a judge of each block, and
PostgreSQL with a ledger work on the pools, while the owners of the pools are moved, killed, frozen, cut off and lose their power.
It needs root, ceph-mon, ceph-mgr, ceph-osd, ceph-common, qemu-system-common, qemu-block-extra, fio, postgresql, e2fsprogs, xfsprogs, iproute2
and nftables.

  --rounds N           number of events (default 30)
  --seed S             make the same choices again (a number; default: a new one each time)
  --only EVENT         only this event: ${EVENTS.map(({ name }) => `"${name}"`).join(', ')}
  --take-over SECONDS  take-over-after of the pools (default 5)
  --keep FOLDER        copy all logs there at the end
  --help               print this help and exit
`;

const SEED_MAX = 2 ** 31;

interface Options {
  readonly rounds: number;
  readonly seed: number;
  readonly only: string | null;
  readonly takeOver: number;
  readonly keep: string | undefined;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function keepLogs(site: Site, folder: string): void {
  for (const { name, host } of [...site.servers, ...site.clients]) {
    mkdirSync(path.join(folder, name), { recursive: true });
    cpSync(path.join(host.root, 'var/log/rsio'), path.join(folder, name), { recursive: true });
  }
}

/** Returns the number of problems. */
async function play({ rounds, seed, only, takeOver, keep }: Options): Promise<number> {
  const [hosts, netlab] = [new Hosts(), new Netlab()];
  let site: Site | undefined;
  try {
    site = await makeSite(hosts, netlab, Object.keys(LOADS), takeOver);
    const loads = await startLoads(site);
    const campaign = new Campaign(site, loads, new SeededRandom(seed), takeOver * 1000, say);
    for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (campaign.isEnding = true));
    say(`Seed ${seed}, ${rounds} rounds, take-over-after ${takeOver} s`);
    try {
      await campaign.run(rounds, only);
      await campaign.finish();
    } catch (error) {
      const { stack, cause } = error as Error;
      campaign.problems.push(`${stack}${cause === undefined ? '' : `\ncaused by ${(cause as Error).stack}`}`);
    }
    for (const line of table(campaign.pauses)) say(line);
    for (const late of campaign.late) say(`LATE ${late}`);
    for (const problem of campaign.problems) say(`PROBLEM ${problem}`);
    say(`${campaign.problems.length} problems, ${campaign.late.length} pauses too long, seed ${seed}`);
    return campaign.problems.length;
  } finally {
    if (site !== undefined && keep !== undefined) keepLogs(site, keep);
    await cleanLab(hosts, netlab);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '30' },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      only: { type: 'string' },
      'take-over': { type: 'string', default: '5' },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [rounds, seed, takeOver, only] = [Number(values.rounds), Number(values.seed), Number(values['take-over']), values.only ?? null];
  const isKnown = only === null || EVENTS.some(({ name }) => name === only);
  if (values.help || !(rounds > 0) || !Number.isInteger(seed) || !(takeOver > 0) || !isKnown) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const why = missingForCeph() ?? whyNoDevices() ?? (await whyNoNetlab());
  if (why !== null) throw new Error(`The machine ${why}`);
  return runWithOwnMounts() ?? ((await play({ rounds, seed, only, takeOver, keep: values.keep })) === 0 ? 0 : 1);
}

process.exitCode = await main();
