// The frame of a drill with PostgreSQL on a mirror: arguments, machines, the report and the logs. Invariants: the exit code is 0 if and only if
// there was no problem. No process, mount or namespace is left behind.

import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { whyNoDevices } from '../support/devices/devices.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { cleanLab, Netlab } from '../support/netlab/netlab.ts';
import { whyNoNetlab } from '../support/netlab/netns.ts';
import { runWithOwnMounts } from '../support/programs/own-mounts.ts';
import { makeSite, type Site } from './machines.ts';

const SEED_MAX = 2 ** 31;

export interface Play {
  readonly problems: string[];
  /** Whether the current round is the last one. */
  isEnding: boolean;
  /** The figures at the end. */
  readonly summary: readonly string[];
  run(): Promise<void>;
}

/** What a play gets. `amount`: minutes or rounds. */
export interface Stage {
  readonly site: Site;
  readonly netlab: Netlab;
  readonly hosts: Hosts;
  readonly random: SeededRandom;
  readonly amount: number;
  readonly say: (line: string) => void;
}

export interface Drill {
  readonly help: string;
  /** Name of the option for the number of minutes or rounds, and the default of this number. */
  readonly amount: readonly ['minutes' | 'rounds', string];
  /** Names of the clients. */
  readonly nodes: readonly string[];
  play(stage: Stage): Play;
}

interface Choices {
  readonly amount: number;
  readonly seed: number;
  readonly keep: string | undefined;
}

/** Returns the exit code. */
export async function runDrill(drill: Drill): Promise<number> {
  const [name, usual] = drill.amount;
  const { values } = parseArgs({
    options: {
      [name]: { type: 'string', default: usual },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [amount, seed, keep] = [Number(values[name]), Number(values['seed']), values['keep']];
  if (values['help'] === true || !(amount > 0) || !Number.isInteger(seed)) {
    process.stdout.write(drill.help);
    return values['help'] === true ? 0 : 2;
  }
  const why = whyNoDevices() ?? (await whyNoNetlab());
  if (why !== null) throw new Error(`The machine ${why}`);
  const choices = { amount, seed, keep: typeof keep === 'string' ? keep : undefined };
  return runWithOwnMounts() ?? ((await playOn(drill, choices)) === 0 ? 0 : 1);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Returns the number of problems. */
async function playOn(drill: Drill, { amount, seed, keep }: Choices): Promise<number> {
  const [hosts, netlab] = [new Hosts(), new Netlab()];
  let site: Site | undefined;
  try {
    site = await makeSite(hosts, netlab, drill.nodes);
    const play = drill.play({ site, netlab, hosts, random: new SeededRandom(seed), amount, say });
    for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(how, () => (play.isEnding = true));
    say(`Seed ${seed}, ${amount} ${drill.amount[0]}`);
    try {
      await play.run();
    } catch (error) {
      const { stack, cause } = error as Error;
      play.problems.push(`${stack}${cause === undefined ? '' : `\ncaused by ${(cause as Error).stack}`}`);
    }
    for (const line of play.summary) say(line);
    for (const problem of play.problems) say(`PROBLEM ${problem}`);
    say(`${play.problems.length} problems, seed ${seed}`);
    return play.problems.length;
  } finally {
    if (site !== undefined && keep !== undefined) keepLogs(site, keep);
    await cleanLab(hosts, netlab);
  }
}

function keepLogs(site: Site, folder: string): void {
  for (const { name, host } of [...site.servers, ...site.clients]) {
    const to = path.join(folder, name);
    mkdirSync(to, { recursive: true });
    cpSync(path.join(host.root, 'var/log/rsio'), to, { recursive: true });
    spawnSync('sh', ['-c', 'for file in "$1"/*log; do cp "$file" "$2/postgres-${file##*/}"; done', 'sh', `${host.root}/work/run`, to], {
      stdio: 'ignore',
    });
  }
}
