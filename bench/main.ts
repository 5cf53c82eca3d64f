// The bench: rssrv and other servers offer the same cached file, and the same load is put on them in turn, round by round. Says what it
// measured, what it could not, and what may have disturbed it; leaves nothing behind but the figures.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { RsError, toRsError } from '@rsio/protocol/lib/errors';
import { ServerComparison } from './comparison.ts';
import { cachedParent, newFolder } from './data-folder.ts';
import { GOALS, judge } from './goals.ts';
import { type LogCost, measureLog } from './log-cost.ts';
import type { ServerMemory } from './memory.ts';
import { benchFolder, compilerHere, nativeProgram } from './native/compile.ts';
import { markdownText, type Results } from './markdown.ts';
import { inOwnNetwork, networkText } from './network.ts';
import { allowedCores } from './proc.ts';
import { absentText, goalsText, logText, memoryText, rowText, type Surroundings, surroundingsText } from './report.ts';
import { type Absent, lookFor, type Present, versionOf } from './servers/makers.ts';
import type { RowFigures } from './summary.ts';
import { findRows, FULL_PLAN, LOG_MS, LOG_PLAN, type Plan, planMs, QUICK_PLAN, type ServerId } from './workload.ts';

const HELP = `Usage: npm run bench -- [--quick] [--only NAME] [--rows] [--json FILE]
       npm run bench -- --log [--json FILE]
Measures rssrv beside other servers, pinned to a core each: reads and writes of
a file of 512 MiB in memory; what is not cached, of one in the temporary
directory (TMPDIR). A server that is not here is named with its Debian package.
Needs a C compiler.

  --quick           what goals are set for only, a minute
  --only NAME       the row NAME, or all whose name contains NAME
  --rows            print the names of the rows and end
  --log             what the replay log of a client costs, and its memory
  --dir DIR         where the cached file is made; default: /dev/shm
  --table FILE      print such figures as tables in markdown, and end
  --json FILE       where the figures go; default: bench/results/last.json
  --help            print this and end
`;

interface Options {
  /** null: the log only. */
  readonly plan: Plan | null;
  readonly isList: boolean;
  /** Figures to print, and nothing else. */
  readonly tableFile: string | null;
  /** Of the cached file. */
  readonly parent: string;
  readonly jsonFile: string | null;
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
  const options = {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    rows: { type: 'boolean' },
    log: { type: 'boolean' },
    dir: { type: 'string' },
    json: { type: 'string' },
    table: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) return null;
  const whole = values.quick === true ? QUICK_PLAN : FULL_PLAN;
  if (values.log === true && (values.quick ?? values.only ?? values.rows) !== undefined) {
    throw new RsError('E_USAGE', '--log stands alone');
  }
  const rows = findRows(whole, values.only ?? '');
  if (rows.length === 0) throw new RsError('E_USAGE', `No row has "${values.only}" in its name (--rows prints them)`);
  const plan = values.log === true ? null : { ...whole, rows };
  return {
    plan,
    isList: values.rows === true,
    tableFile: values.table ?? null,
    parent: values.dir ?? cachedParent(),
    jsonFile: values.json ?? null,
  };
}

function look(present: readonly Present[]): Surroundings {
  if (versionOf('taskset') === null) {
    throw new RsError('E_SYSTEM', 'The bench needs taskset, which is not here: install the Debian package util-linux');
  }
  const [serverCore = 0, loadCore = serverCore] = allowedCores();
  const versions = [...present.flatMap(({ version }) => (version === '' ? [] : [version])), compilerHere()?.version ?? ''];
  return {
    node: process.version,
    versions,
    kernel: os.release(),
    processor: os.cpus()[0]?.model ?? 'unknown processor',
    serverCore,
    loadCore,
  };
}

async function run({ plan, parent, jsonFile }: Options): Promise<void> {
  nativeProgram('load');
  const ids = new Set<ServerId>(plan?.rows.flatMap(({ servers }) => servers));
  const { present, absent } = lookFor(ids);
  const about = look(present);
  const effective = plan === null ? LOG_PLAN : withoutAbsent(plan, present);
  process.stdout.write(surroundingsText(about, effective, plan === null ? LOG_MS : planMs(effective)));
  process.stdout.write(absentText(absent));
  const result = plan === null ? { log: await logCost(about) } : await compareServers(effective, present, about, parent);
  writeFigures({ about, times: timesOf(effective), absent, ...result }, jsonFile);
}

function timesOf({ rounds, warmUpMs, windowMs }: Plan): Results['times'] {
  return { rounds, warmUpMs, windowMs };
}

function writeFigures(figures: object, jsonFile: string | null): void {
  const file = jsonFile ?? join(benchFolder(), 'results/last.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(`Figures of all rounds: ${file}\n`);
}

/** A row that ours, or all but ours, cannot be measured in shows nothing, but stays: its figures stand alone. */
function withoutAbsent(plan: Plan, present: readonly Present[]): Plan {
  const here = new Set(present.map(({ maker }) => maker.id));
  return { ...plan, rows: plan.rows.map((row) => ({ ...row, servers: row.servers.filter((id) => here.has(id)) })) };
}

/** A stage: rows whose servers have one file. */
async function compareServers(
  plan: Plan,
  present: readonly Present[],
  about: Surroundings,
  parent: string,
): Promise<Pick<Results, 'network' | 'failed' | 'rows' | 'goals' | 'memory'>> {
  const stages = [
    { folder: parent, rows: plan.rows.filter(({ isCached }) => isCached) },
    { folder: os.tmpdir(), rows: plan.rows.filter(({ isCached }) => !isCached) },
  ];
  const results: StageResult[] = [];
  for (const { folder, rows } of stages) {
    if (rows.length > 0) results.push(await measureStage({ ...plan, rows }, present, about, folder));
  }
  const rows = results.flatMap((stage) => stage.rows);
  const goals = judge(
    GOALS.filter((goal) => rows.some(({ row }) => row.name === goal.row)),
    rows,
  );
  if (goals.length > 0) process.stdout.write(`\n${goalsText(goals)}`);
  const [{ network, memory } = { network: '', memory: null }] = results;
  if (memory !== null) process.stdout.write(`\n${memoryText(memory)}`);
  return { network, failed: results.flatMap(({ failed }) => failed), rows, goals, memory };
}

interface StageResult {
  readonly network: string;
  readonly failed: readonly Absent[];
  readonly memory: ServerMemory | null;
  readonly rows: readonly RowFigures[];
}

async function measureStage(plan: Plan, present: readonly Present[], about: Surroundings, parent: string): Promise<StageResult> {
  const ids = new Set(plan.rows.flatMap(({ servers }) => servers));
  const directory = newFolder(parent);
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  const here = present.filter(({ maker }) => ids.has(maker.id));
  const comparison = await ServerComparison.start(directory, here, { server: about.serverCore, load: about.loadCore }, endings);
  process.stdout.write(absentText(comparison.absent));
  await comparison.check();
  const network = networkText(comparison.congestion);
  process.stdout.write(`\n${network}; file in ${parent}\n`);
  const memory = comparison.memory();
  const rows: RowFigures[] = [];
  for (const row of plan.rows) {
    const figures = await comparison.measureRow(row, plan);
    rows.push(figures);
    process.stdout.write(`\n${rowText(figures)}`);
  }
  await comparison.check();
  await comparison.stop();
  return { network, failed: comparison.absent, memory, rows };
}

async function logCost(about: Surroundings): Promise<LogCost> {
  const directory = newFolder(os.tmpdir());
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  const cores = { client: about.serverCore, other: about.loadCore };
  const cost = await measureLog(directory, cores, LOG_PLAN, endings);
  process.stdout.write(`\n${logText(cost)}`);
  return cost;
}

function printTables(file: string): number {
  try {
    process.stdout.write(markdownText(JSON.parse(readFileSync(file, 'utf8')) as Results));
    return 0;
  } catch (thrown) {
    process.stderr.write(`bench: ${file} holds no figures of a comparison: ${toRsError(thrown).message} [E_USAGE]\n`);
    return 2;
  }
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
  if (options === null || options.isList) {
    process.stdout.write(
      options === null ? HELP : (options.plan?.rows ?? []).map(({ name, title }) => `${name.padEnd(28)}${title}\n`).join(''),
    );
    return 0;
  }
  if (options.tableFile !== null) return printTables(options.tableFile);
  const code = await inOwnNetwork();
  if (code !== null) return code;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void endAll().finally(() => process.exit(1));
    });
  }
  try {
    await run(options);
    return 0;
  } catch (thrown) {
    const { code: errorCode, message } = toRsError(thrown);
    // After a signal, what fails fails because of it.
    if (ended === null) process.stderr.write(`bench: ${message} [${errorCode}]\n`);
    return 1;
  } finally {
    await endAll();
  }
}

process.exitCode = await main();
