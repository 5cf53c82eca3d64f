// `npm run drill -- sites`: replication between two servers, by real daemons. Invariants: the exit code is 0 if and only if no problem was found. No
// process, mount or file is left behind.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { whyNoDevices } from '../support/devices/devices.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { runWithOwnMounts } from '../support/programs/own-mounts.ts';
import { figures } from './figures.ts';
import { PostgresRounds } from './postgres.ts';
import { RoleRounds } from './roles.ts';
import { Rounds, seconds } from './rounds.ts';

const HELP = `usage: npm run drill -- sites [--roles | --postgres | --figures [--size SIZE] [--only TEXT]] [--rounds N] [--seed S]

Replicates volumes from one server to another one. Each round has a fault (a kill of a process of either server, or cuts of the paths between
them) and a drill at the target under load. Each clone must equal the snapshot of the source with the same moment, byte for byte. At the end,
the followers are promoted without the source. Each round is followed by one of roles: two other servers exchange their roles, lose one
another, or are set back to old images, with renames and kills meanwhile. The drill then gives the orders that the servers name, and compares
what is kept. Needs root, xfsprogs and fio.

  --roles       only the rounds of roles
  --postgres    PostgreSQL on a volume of the source; it starts on each clone, and must have every row that was acknowledged before the moment.
                Needs postgresql with pg_amcheck, too
  --figures     measure bytes on the wire and on disk, eight volumes at one moment, and lines of 50 ms. Needs iproute2, too
  --size SIZE   with --figures: the volume of which 1 % changes (default 10g); the temporary folder needs twice as much
  --only TEXT   with --figures: only figures whose name has this text: changed, together, line
  --rounds N    how many rounds (default 20)
  --seed S      make the same choices again; what processes do meanwhile is never the same (default: a new one)
  --help        print this help and exit
`;

const SEED_MAX = 2 ** 31;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

let isEnding = false;
for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (isEnding = true));

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `median ${seconds(sorted[sorted.length >> 1] ?? 0)}, longest ${seconds(sorted.at(-1) ?? 0)}`;
}

async function drill(count: number, seed: number, hasCopies: boolean): Promise<number> {
  const hosts = new Hosts();
  let rounds: Rounds | null = null;
  let roles: RoleRounds | null = null;
  let failed = 0;
  try {
    roles = await RoleRounds.begin(hosts, new SeededRandom(seed + 1), say);
    if (hasCopies) rounds = await Rounds.begin(hosts, new SeededRandom(seed), say);
    while (roles.rounds < count && !isEnding) {
      await rounds?.round();
      await roles.round();
    }
    await rounds?.end();
  } catch (error) {
    failed = 1;
    const logs = `${rounds?.stage.sites.logs() ?? ''}${roles?.sites.logs() ?? ''}`;
    process.stderr.write(`seed ${seed}, round ${roles?.rounds}: ${(error as Error).stack}\n${logs}`);
  }
  if (roles !== null) {
    failed += roles.problems;
    say(`${roles.report}\n${roles.rounds} rounds of roles, ${failed} problems, seed ${seed}`);
  }
  if (rounds !== null) {
    const { tally } = rounds;
    say([...tally.faults].map(([name, times]) => `${name} ${times}`).join(', '));
    say(`age of the moment at a drill: ${spread(tally.agesMs)}; next moment after a fault: ${spread(tally.nextMs)}; ${tally.fio}`);
    failed += tally.problems;
    say(`${tally.rounds} rounds, ${tally.compared} contents compared, ${failed} problems, seed ${seed}`);
  }
  await hosts.clean();
  return failed === 0 ? 0 : 1;
}

async function postgres(count: number, seed: number): Promise<number> {
  const why = whyNoDevices();
  if (why !== null) throw new Error(`The machine ${why}`);
  const hosts = new Hosts();
  let rounds: PostgresRounds | null = null;
  try {
    rounds = await PostgresRounds.begin(hosts, new SeededRandom(seed), say);
    while (rounds.rounds < count && !isEnding) await rounds.round();
    await rounds.end();
    return rounds.problems === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`seed ${seed}, round ${rounds?.rounds}: ${(error as Error).stack}\n${rounds?.stage.sites.logs() ?? ''}`);
    return 1;
  } finally {
    await hosts.clean();
  }
}

const options = {
  roles: { type: 'boolean' },
  postgres: { type: 'boolean' },
  figures: { type: 'boolean' },
  size: { type: 'string', default: '10g' },
  only: { type: 'string', default: '' },
  rounds: { type: 'string', default: '20' },
  seed: { type: 'string', default: String(randomInt(1, SEED_MAX)) },
  help: { type: 'boolean' },
} as const;
const { values } = parseArgs({ options });
const [count, seed] = [Number(values.rounds), Number(values.seed)];
const isSensible = Number.isInteger(count) && count >= 1 && Number.isInteger(seed);

async function main(): Promise<number> {
  if (values.figures === true) return (await figures(say, values.size, values.only)) === 0 ? 0 : 1;
  return values.postgres === true ? postgres(count, seed) : drill(count, seed, values.roles !== true);
}

if (values.help === true || !isSensible) {
  process.stdout.write(HELP);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  process.exitCode = runWithOwnMounts() ?? (await main());
}
