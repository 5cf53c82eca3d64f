// `npm run drill -- restarts`: measures the effects on a client's I/O and data when its server is killed, crashes with its machine, is replaced by
// another build, or loses its storage. Each event is repeated N times; fio verifies its data, and all contents are compared exactly. The
// program prints how long I/O paused, and every error. The drills are in test/support/drills. Invariant: the exit code is 0 if and only if
// every run was without error.

import { randomInt } from 'node:crypto';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { DRILL_KINDS, type DrillKind } from '../support/drills/restart-kinds.ts';
import type { DrillResult } from '../support/drills/restart-drill.ts';
import { Hosts } from '../support/hosts/hosts.ts';

const HELP = `usage: npm run drill -- restarts [--runs N] [--down SECONDS] [--only TEXT] [--json]

Kills, crashes or replaces a server under verified I/O on two paths, and starts it again after 5 s.

  --runs N          runs of each drill (default 3)
  --down SECONDS    time until the server starts again (default 5)
  --only TEXT       run only the drills whose name contains TEXT
  --json            print the figures of all runs as JSON instead of a table
  --help            print this help and exit
`;

const GOAL_MS = 1_000;
const SEED_MAX = 2 ** 31;

interface Run {
  readonly seed: number;
  readonly result: DrillResult | null;
  readonly failures: readonly string[];
}

async function play(kind: DrillKind, downMs: number): Promise<Run> {
  const hosts = new Hosts();
  const seed = randomInt(1, SEED_MAX);
  try {
    const result = await kind.play(hosts, { downMs, seed });
    return { seed, result, failures: result.breaches };
  } catch (error) {
    return { seed, result: null, failures: [(error as Error).stack ?? String(error)] };
  } finally {
    await hosts.clean();
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/**
 * Whether the machine is already busy before the drills begin: more processes want to run than it has processors. On a busy machine, a
 * pause may have a cause other than the product.
 */
const isBusy = (loadavg()[0] ?? 0) > availableParallelism();

function verdict(afterUpMs: readonly number[]): string {
  if (afterUpMs.length === 0) return '-';
  if (Math.max(...afterUpMs) <= GOAL_MS) return 'met';
  return isBusy ? 'unclear, machine busy' : 'MISSED';
}

function row({ name }: DrillKind, runs: readonly Run[]): string[] {
  const results = runs.flatMap(({ result }) => (result === null ? [] : [result]));
  const outages = results.flatMap((result) => result.outages);
  const afterUp = outages.map(({ afterUpMs }) => afterUpMs);
  const worst = (values: readonly number[]): string => (values.length === 0 ? '-' : Math.max(...values).toFixed(0));
  const sum = (value: (result: DrillResult) => number): string => String(results.reduce((total, result) => total + value(result), 0));
  return [
    name,
    String(runs.length),
    String(runs.filter(({ failures }) => failures.length > 0).length),
    outages.length === 0 ? '-' : `${median(afterUp).toFixed(0)}, ${worst(afterUp)}`,
    verdict(afterUp),
    worst(outages.map(({ longestMs }) => longestMs)),
    sum(({ judgedIos }) => judgedIos),
    sum(({ fioReadBack }) => fioReadBack),
    sum(({ replays }) => replays),
    sum(({ flushErrors }) => flushErrors),
  ];
}

const HEADINGS = [
  'drill',
  'runs',
  'failed',
  'up to first I/O: median, worst',
  `goal ${GOAL_MS}`,
  'longest gap',
  'I/Os compared',
  'read back by fio',
  'replays',
  'flushes EIO',
];

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

const options = {
  runs: { type: 'string', default: '3' },
  down: { type: 'string', default: '5' },
  only: { type: 'string', default: '' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;
const { values } = parseArgs({ options });
const [runCount, downSeconds] = [Number(values.runs), Number(values.down)];
const kinds = DRILL_KINDS.filter(({ name }) => name.includes(values.only));
const isSensible = Number.isInteger(runCount) && runCount >= 1 && runCount <= 1_000 && downSeconds >= 0 && downSeconds <= 60;
if (values.help === true || !isSensible || kinds.length === 0) {
  process.stdout.write(HELP);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  const results = new Map(kinds.map((kind) => [kind, [] as Run[]]));
  // Each round has one run of every drill, so that other programs on the machine disturb all drills equally.
  for (let number = 1; number <= runCount; number++) {
    for (const [kind, runs] of results) {
      const run = await play(kind, downSeconds * 1000);
      runs.push(run);
      for (const failure of run.failures) process.stderr.write(`run ${number}, ${kind.name}, seed ${run.seed}: ${failure}\n`);
    }
  }
  const all = [...results];
  const failed = all.flatMap(([, runs]) => runs).filter(({ failures }) => failures.length > 0).length;
  if (values.json === true) {
    process.stdout.write(
      `${JSON.stringify(
        all.map(([{ name }, runs]) => ({ drill: name, goalMs: GOAL_MS, runs })),
        null,
        2,
      )}\n`,
    );
  } else {
    process.stdout.write(`Two paths, fio with verification and exact comparison; the server away for ${downSeconds} s; times in ms\n`);
    process.stdout.write(table([HEADINGS, ...all.map(([kind, runs]) => row(kind, runs))]));
    process.stdout.write('up to first I/O: from the moment the server listens again to the first I/O answered\n');
    process.stdout.write(`${runCount * all.length} runs, ${failed} failed\n`);
  }
  process.exitCode = failed === 0 ? 0 : 1;
}
