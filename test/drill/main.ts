// `npm run drill -- pools`: real daemons get random I/O, orders and kills, and every content is compared with a model. Invariants: the exit code is
// 0 if and only if no problem was found. No process, mount or file is left behind.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Hosts } from '../support/hosts/hosts.ts';
import { Drill } from './drill.ts';
import { DrillSite } from './site.ts';
import { Year } from './year.ts';
import { YearSite } from './year-site.ts';

const HELP = `usage: npm run drill -- pools [--minutes N | --year N] [--seed S] [--verbose]

Two servers with pools on XFS, a witness and a client: random writes, zeros and discards, growth, snapshots, rollbacks, clones, images, moves,
backups, restores and a mirror, while servers and rsiod are killed. Every content is compared with a model. Needs root and xfsprogs.

With --year, an administrator's year: N random orders (renames, new keys and addresses, replaced and restored servers, changed roles, clocks,
releases, full disks) while programs write. After each order, all contents are compared, and doctor must name what is wrong, and nothing else.
Needs libfaketime and qemu-utils, too.

  --minutes N   how long (default 5)
  --year N      N orders of an administrator's year
  --seed S      make the same choices again; what processes do meanwhile is never the same (default: a new one)
  --verbose     print every order and every fault
  --help        print this help and exit
`;

const SEED_MAX = 2 ** 31;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${what} ${count}`).join(', ');
}

async function play(minutes: number, seed: number, isVerbose: boolean): Promise<number> {
  const hosts = new Hosts();
  let site: DrillSite | null = null;
  let problems = 0;
  const lines: string[] = [];
  const note = (line: string): void => {
    if (isVerbose) say(line);
    lines.push(line);
    if (lines.length > 200) lines.shift();
  };
  let isEnding = false;
  for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (isEnding = true));
  try {
    site = await DrillSite.start(hosts);
    if (site === null) {
      process.stderr.write('drill: Needs xfsprogs, and the right to mount a loop device with XFS (root)\n');
      return 1;
    }
    const drill = new Drill(site, new SeededRandom(seed), note);
    const endMs = performance.now() + minutes * 60_000;
    let rounds = 0;
    try {
      await drill.begin();
      while (performance.now() < endMs && !isEnding) {
        note(`round ${++rounds}`);
        await drill.round();
      }
      await drill.end();
    } catch (error) {
      problems++;
      const { stack, cause } = error as Error;
      process.stderr.write(
        `seed ${seed}, round ${rounds}: ${stack}${cause === undefined ? '' : `\ncaused by ${(cause as Error).stack}`}\n`,
      );
      process.stderr.write(`${lines.slice(-40).join('\n')}\n${site.logs()}`);
    }
    const { answered, compared, orders, faults } = drill.tally;
    say(`${rounds} rounds; orders: ${listed(orders)}; faults: ${listed(faults)}`);
    say(`${answered} I/Os answered, ${compared} contents compared, ${problems} problems, seed ${seed}`);
  } finally {
    await hosts.clean();
  }
  return problems === 0 ? 0 : 1;
}

async function playYear(orders: number, seed: number, isVerbose: boolean): Promise<number> {
  const hosts = new Hosts();
  const lines: string[] = [];
  const note = (line: string): void => {
    if (isVerbose) say(line);
    lines.push(line);
  };
  let isEnding = false;
  for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (isEnding = true));
  let problems = 0;
  try {
    const site = YearSite.hasClocks ? await YearSite.start(hosts) : null;
    if (site === null) {
      process.stderr.write('drill: Needs xfsprogs, libfaketime, and the right to mount a loop device with XFS (root)\n');
      return 1;
    }
    const year = new Year(site, new SeededRandom(seed), note);
    let done = 0;
    try {
      await year.begin();
      for (; done < orders && !isEnding; done++) await year.step(done + 1);
    } catch (error) {
      problems++;
      process.stderr.write(`seed ${seed}, order ${done + 1}: ${(error as Error).stack}\n${lines.slice(-10).join('\n')}\n${site.logs()}`);
    }
    const { answered, compared, examined, orders: counts } = year.tally;
    say(`${done} orders: ${listed(counts)}`);
    say(`${answered} I/Os answered, ${compared} contents compared, ${examined} reports of doctor, ${problems} problems, seed ${seed}`);
  } finally {
    await hosts.clean();
  }
  return problems === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = {
    minutes: { type: 'string', default: '5' },
    year: { type: 'string' },
    seed: { type: 'string' },
    verbose: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ options });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed ?? randomInt(1, SEED_MAX))];
  if (values.help === true || !(minutes > 0) || !Number.isInteger(seed)) {
    process.stdout.write(HELP);
    return values.help === true ? 0 : 2;
  }
  if (values.year === undefined) return play(minutes, seed, values.verbose === true);
  const orders = Number(values.year);
  if (Number.isInteger(orders) && orders > 0) return playYear(orders, seed, values.verbose === true);
  process.stdout.write(HELP);
  return 2;
}

process.exitCode = await main();
