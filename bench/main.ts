// The bench: rssrv and other servers offer the same cached file and get the same load, one after another in each round. Prints the figures,
// the reasons for missing figures, and possible disturbances. Leaves nothing behind except the figures.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { newFolder } from './data-folder.ts';
import { figuresText } from './figures-text.ts';
import { GOALS, judge, judgeFigures } from './goals.ts';
import { type LogCost, measureLog } from './log-cost.ts';
import { benchFolder, compilerHere, nativeProgram } from './native/compile.ts';
import { markdownText, type Results } from './markdown.ts';
import { congestionHere, inOwnNetwork, networkText } from './network.ts';
import { HELP, type Options, optionsOf } from './options.ts';
import { allowedCores } from './proc.ts';
import { absentText, goalsText, logText, type Environment, environmentText } from './report.ts';
import { runSections } from './section-runs.ts';
import { compareServers, withoutAbsent } from './server-part.ts';
import { lookFor, type Present, versionOf } from './servers/makers.ts';
import { LOG_MS, LOG_PLAN, planMs, type ServerId } from './workload.ts';

/** Called in reverse order when the bench ends. */
const endings: (() => Promise<void> | void)[] = [];

let ended: Promise<void> | null = null;

/**
 * Ends everything that was started. A signal and the failure that the signal causes both call this function, but the clean-up runs only
 * once.
 */
function endAll(): Promise<void> {
  ended ??= endInTurn();
  return ended;
}

async function endInTurn(): Promise<void> {
  for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) await ending();
}

function look(present: readonly Present[]): Environment {
  if (versionOf('taskset') === null) {
    throw new RsError('E_SYSTEM', 'taskset is missing: install the Debian package util-linux');
  }
  const [serverCore = 0, loadCore = serverCore] = allowedCores();
  const versions = [...present.flatMap(({ version }) => (version === '' ? [] : [version])), compilerHere()?.version ?? ''];
  return {
    node: process.version,
    versions,
    // The distribution's suffix says nothing about the kernel.
    kernel: os.release().replace(/-.*/, ''),
    processor: os.cpus()[0]?.model ?? 'unknown processor',
    serverCore,
    loadCore,
  };
}

/** Measures the rows, then the sections, and compares both with the goals. */
async function run({ plan, sectionPlan, sections, parent, older, jsonFile }: Options): Promise<void> {
  nativeProgram('load');
  const ids = new Set<ServerId>(plan?.rows.flatMap(({ servers }) => servers));
  const { present, absent } = lookFor(ids, older);
  const about = look(present);
  const effective = plan === null ? LOG_PLAN : withoutAbsent(plan, present);
  process.stdout.write(environmentText(about, effective, plan === null ? LOG_MS : planMs(effective)));
  process.stdout.write(absentText(absent));
  const { rounds, warmUpMs, windowMs } = effective;
  const figures = { about, times: { rounds, warmUpMs, windowMs }, absent };
  if (plan === null) {
    writeFigures({ ...figures, log: await logCost(about) }, jsonFile);
    return;
  }
  if (effective.rows.length === 0) process.stdout.write(`${networkText(congestionHere())}\n`);
  const server = await compareServers(effective, present, about, parent, endings);
  const context = { plan: sectionPlan, cores: { server: about.serverCore, load: about.loadCore }, parent, endings };
  const others = await runSections(sections, context, () => ended !== null);
  const ofRows = GOALS.filter((goal) => server.rows.some(({ row }) => row.name === goal.row));
  const goals = [...judge(ofRows, server.rows), ...judgeFigures(new Set(sections.map(({ name }) => name)), others.figures)];
  if (goals.length > 0) process.stdout.write(`\n${goalsText(goals)}`);
  const results: Results = {
    ...figures,
    ...server,
    network: server.network || networkText(congestionHere()),
    sheets: others.sheets,
    notMeasured: others.absent,
    goals,
  };
  writeFigures(results, jsonFile);
}

function writeFigures(figures: object, jsonFile: string | null): void {
  const file = jsonFile ?? join(benchFolder(), 'results/last.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, figuresText(figures));
  process.stdout.write(`Figures of all rounds: ${file}\n`);
}

async function logCost(about: Environment): Promise<LogCost> {
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

/** Returns the exit code: 0, 1 for a failure, 2 for wrong usage. */
async function main(): Promise<number> {
  let options: Options | null;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`bench: ${toRsError(thrown).message}: see npm run bench -- --help [E_USAGE]\n`);
    return 2;
  }
  if (options === null || options.isList) {
    const all = [...(options?.plan?.rows ?? []), ...(options?.sections ?? [])];
    process.stdout.write(options === null ? HELP : all.map(({ name, title }) => `${name.padEnd(28)}${title}\n`).join(''));
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
    // After a signal, every failure is a consequence of the signal.
    if (ended === null) process.stderr.write(`bench: ${message} [${errorCode}]\n`);
    return 1;
  } finally {
    await endAll();
  }
}

process.exitCode = await main();
