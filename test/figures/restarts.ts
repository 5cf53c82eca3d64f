// `npm run drill -- restarts`: measures the effects on a client's I/O and data when its server is killed, crashes with its machine, is replaced by
// another build, or loses its storage. Each event is repeated N times; fio verifies its data, and all contents are compared exactly. The
// program prints how long I/O paused, and every error. The drills are in test/support/drills.

import { availableParallelism, loadavg } from 'node:os';
import { defineDrill } from '../support/drills/harness.ts';
import { FIO } from '../support/drills/needs.ts';
import { amount, count, json, part, seed } from '../support/drills/options.ts';
import { DRILL_KINDS, type DrillKind } from '../support/drills/restart-kinds.ts';
import type { DrillResult } from '../support/drills/restart-drill.ts';
import { median, table } from '../support/drills/table.ts';

const GOAL_MS = 1_000;
const SEED_MAX = 2 ** 31;

interface Run {
  readonly seed: number;
  readonly result: DrillResult | null;
  readonly failures: readonly string[];
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

export const drill = defineDrill({
  about: 'Kills, crashes or replaces a server under verified I/O on two paths, and starts it again after 5 s.',
  needs: [FIO],
  unit: 'runs',
  options: {
    runs: count(3, 'runs of each drill', { max: 1_000 }),
    down: amount(5, 'time until the server starts again', { value: 'SECONDS', min: 0, max: 60 }),
    only: part(
      DRILL_KINDS.map(({ name }) => name),
      'run only the drills whose name contains TEXT',
    ),
    seed: seed(),
    json: json(),
  },
  async play(scene, { runs: runCount, down, only }) {
    const results = new Map(DRILL_KINDS.filter(({ name }) => only.includes(name)).map((kind) => [kind, [] as Run[]]));
    // Each round has one run of every drill, so that other programs on the machine disturb all drills equally.
    for (let number = 1; number <= runCount && !scene.isEnding; number++) {
      for (const [kind, runs] of results) {
        const own = scene.random.int(1, SEED_MAX);
        scene.round(`run ${number}, ${kind.name}`);
        const result = await scene.attempt((hosts) => kind.play(hosts, { downMs: down * 1000, seed: own }));
        const failures = result?.breaches ?? ['The run stopped with an error'];
        if (result !== null) scene.problem(...failures);
        runs.push({ seed: own, result, failures });
      }
    }
    const all = [...results];
    scene.show(
      all.map(([{ name }, runs]) => ({ drill: name, goalMs: GOAL_MS, runs })),
      () =>
        `Two paths, fio with verification and exact comparison; the server away for ${down} s; times in ms\n` +
        `${table([HEADINGS, ...all.map(([kind, runs]) => row(kind, runs))])}` +
        'up to first I/O: from the moment the server listens again to the first I/O answered\n',
    );
  },
});
