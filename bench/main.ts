// The bench: rssrv and nbdkit serve the same cached file, and the same load is put on them in turn, round by round, so that what else
// the machine does meets both. Says what it measured and what may have disturbed it; leaves nothing behind.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RsError, toRsError } from '@rsio/protocol/lib/errors';
import { type Contender, startNbdkit, startRssrv } from './contenders.ts';
import { makeDataFile } from './data-file.ts';
import { Generator } from './generator.ts';
import type { Measured } from './load/orders.ts';
import { memoryOf } from './memory.ts';
import { allowedCores, congestionControl } from './proc.ts';
import { comparisonText, memoryText, type Surroundings, surroundingsText } from './report.ts';
import { type Comparison, compare, figuresOf } from './summary.ts';
import { FULL_PLAN, type Plan, QUICK_PLAN, type Workload } from './workload.ts';

const HELP = `Usage: npm run bench -- [--quick] [--json FILE]
Measures rssrv against nbdkit: reads and writes of cached data on one core each.
The file they serve (512 MiB) is made in the temporary directory (TMPDIR): what writes cost depends on its file system.

  --quick           8 KiB random reads only, half a minute
  --json FILE       write the figures of all rounds to FILE too
  --help            print this and end
`;

interface Options {
  readonly plan: Plan;
  readonly jsonFile: string | null;
}

/** A server with its load generator. */
interface Pair {
  readonly contender: Contender;
  readonly generator: Generator;
}

/** What ends when the bench does, last first. */
const endings: (() => Promise<void> | void)[] = [];

let ended: Promise<void> | null = null;

/** Asked for by a signal and by the failure that it causes, it runs once: nothing is removed while its user still ends. */
function endAll(): Promise<void> {
  ended ??= endInTurn();
  return ended;
}

async function endInTurn(): Promise<void> {
  for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) await ending();
}

function optionsOf(args: readonly string[]): Options | null {
  const options = { quick: { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean' } } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) return null;
  return { plan: values.quick === true ? QUICK_PLAN : FULL_PLAN, jsonFile: values.json ?? null };
}

/** First line of what a tool says about itself. */
function versionOf(tool: string, debianPackage: string): string {
  const { error, stdout } = spawnSync(tool, ['--version'], { encoding: 'utf8' });
  if (error !== undefined)
    throw new RsError('E_SYSTEM', `The bench needs ${tool}, which is not here: install the Debian package ${debianPackage}`);
  return stdout.split('\n', 1)[0] ?? tool;
}

function look(): Surroundings {
  versionOf('taskset', 'util-linux');
  const [serverCore = 0, generatorCore = serverCore] = allowedCores();
  return {
    node: process.version,
    nbdkit: versionOf('nbdkit', 'nbdkit'),
    kernel: os.release(),
    processor: os.cpus()[0]?.model ?? 'unknown processor',
    congestionControl: congestionControl(),
    serverCore,
    generatorCore,
  };
}

async function connect(contender: Contender, core: number): Promise<Pair> {
  endings.push(() => contender.stop());
  const generator = new Generator(core);
  endings.push(() => generator.stop());
  await generator.execute({ type: 'open', target: contender.target });
  return { contender, generator };
}

async function measure({ contender, generator }: Pair, workload: Workload, seed: number, { warmUpMs, windowMs }: Plan): Promise<Measured> {
  const serverPids = contender.processes();
  const measured = await generator.execute({ type: 'measure', workload, seed, warmUpMs, windowMs, serverPids });
  if (measured === null) throw new RsError('E_INTERNAL', 'The load generator measured nothing');
  return measured;
}

async function compareOn(workload: Workload, ours: Pair, theirs: Pair, plan: Plan): Promise<Comparison> {
  const rounds: { readonly ours: Measured; readonly theirs: Measured }[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    // The seed is the round's: both get the same blocks in the same order.
    rounds.push({ ours: await measure(ours, workload, round, plan), theirs: await measure(theirs, workload, round, plan) });
  }
  const first = figuresOf(
    ours.contender.name,
    rounds.map((round) => round.ours),
  );
  const second = figuresOf(
    theirs.contender.name,
    rounds.map((round) => round.theirs),
  );
  return compare(workload, first, second);
}

async function run({ plan, jsonFile }: Options): Promise<void> {
  const about = look();
  process.stdout.write(surroundingsText(about, plan));
  const directory = mkdtempSync(join(os.tmpdir(), 'rsio-bench-'));
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'data.img');
  makeDataFile(file);
  const root = join(directory, 'root');
  mkdirSync(root);
  const ours = await connect(await startRssrv(root, file, about.serverCore), about.generatorCore);
  const theirs = await connect(await startNbdkit(file, about.serverCore), about.generatorCore);
  const memory = memoryOf(ours.contender, file);
  for (const { generator } of [ours, theirs]) await generator.execute({ type: 'check' });
  const comparisons: Comparison[] = [];
  for (const workload of plan.workloads) {
    const comparison = await compareOn(workload, ours, theirs, plan);
    comparisons.push(comparison);
    process.stdout.write(`\n${comparisonText(comparison)}`);
  }
  for (const { generator } of [ours, theirs]) await generator.execute({ type: 'check' });
  process.stdout.write(`\n${memoryText(memory)}`);
  if (jsonFile !== null) writeFileSync(jsonFile, `${JSON.stringify({ about, plan, comparisons, memory }, null, 2)}\n`);
}

/** Gives the exit code: 0, or 1 failed, 2 wrong usage. */
async function main(): Promise<number> {
  let options: Options | null;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`bench: ${toRsError(thrown).message}: see npm run bench -- --help [E_USAGE]\n`);
    return 2;
  }
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    await run(options);
    return 0;
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    // After a signal, what fails fails because of it.
    if (ended === null) process.stderr.write(`bench: ${message} [${code}]\n`);
    return 1;
  } finally {
    await endAll();
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    void endAll().finally(() => process.exit(1));
  });
}
process.exitCode = await main();
