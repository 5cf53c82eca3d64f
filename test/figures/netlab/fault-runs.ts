// Measures the effect of each fault of one of two links: the longest pause of all I/O, and the slowest single request. The load has 32
// verified reads and writes of 8 KiB in flight. Every run has a client that has seen no fault before. link-faults.ts has the faults.
// Invariant: the figures cover the whole fault, including requests that still wait when the fault ends.

import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkFault } from '../../support/netlab/link-faults.ts';
import type { LoadReport } from '../../support/netlab/load/load-process.ts';
import type { LoadShape } from '../../support/netlab/load/nbd-load.ts';
import { type Stage, VOLUME_BYTES } from './stage.ts';
import { median, table } from '../../support/drills/table.ts';

const SHAPE: LoadShape = { blockBytes: 8192, depth: 32, order: 'random', readPercent: 50, sizeBytes: VOLUME_BYTES };
const WARM_UP_MS = 1_000;
const BEFORE_MS = 1_000;
/** Longer than rsiod takes to declare a silent path dead. */
const FAULT_MS = 4_000;
const BACK_MS = 20_000;

export interface FaultRun {
  readonly before: LoadReport;
  readonly during: LoadReport;
  /** Number of errors in the whole run, read after the load has ended. */
  readonly errors: number;
  readonly firstError: string | null;
  /** Time in ms from the end of the fault until all paths are up; null: longer than BACK_MS. */
  readonly backMs: number | null;
}

export interface FaultFigures {
  readonly fault: LinkFault;
  readonly runs: readonly FaultRun[];
}

export async function runFault(stage: Stage, fault: LinkFault, run: number): Promise<FaultRun> {
  const { links, client } = stage.scene;
  const link = links[run % links.length];
  if (link === undefined) throw new Error('No link');
  const load = await stage.begin(SHAPE);
  try {
    await sleep(WARM_UP_MS);
    await load.take();
    await sleep(BEFORE_MS);
    const before = await load.take();
    await fault.begin(link);
    await sleep(FAULT_MS);
    const during = await load.take();
    await fault.end(link);
    const endMs = performance.now();
    const isBack = await client.host.pathsUp(links.length, BACK_MS).then(
      () => true,
      () => false,
    );
    const backMs = isBack ? performance.now() - endMs : null;
    const { errors, firstError } = await stage.end();
    return { before, during, errors, firstError, backMs };
  } catch (error) {
    await fault.end(link);
    await stage.drop();
    throw error;
  }
}

/**
 * Returns by how much a pause exceeds the longest pause before the fault and the longest stall of the load process, because a busy machine
 * also pauses I/O.
 */
function excess(run: FaultRun, what: 'longestGapMs' | 'worstMs'): number {
  return run.during[what] - Math.max(run.before[what], run.during.ownStallMs);
}

function goal(runs: readonly FaultRun[], what: 'longestGapMs' | 'worstMs', goalMs: number | null): string {
  if (goalMs === null) return '-';
  const met = runs.filter((run) => run.during[what] <= goalMs).length;
  const unclear = runs.filter((run) => run.during[what] > goalMs && excess(run, what) <= goalMs).length;
  const missed = runs.length - met - unclear;
  const verdict = missed > 0 ? `MISSED ${missed}` : 'met';
  return `<= ${goalMs}: ${unclear > 0 ? `${verdict}, unclear ${unclear}` : verdict}`;
}

/**
 * Whether no run has clearly missed a goal. A goal that was missed only because the machine was busy counts as unclear, and not as missed.
 */
export function isGood({ fault, runs }: FaultFigures): boolean {
  const fits = (run: FaultRun, what: 'longestGapMs' | 'worstMs', goalMs: number | null): boolean =>
    goalMs === null || run.during[what] <= goalMs || excess(run, what) <= goalMs;
  return runs.every(
    (run) =>
      run.errors === 0 && fits(run, 'longestGapMs', fault.gapGoalMs) && fits(run, 'worstMs', fault.worstGoalMs) && run.backMs !== null,
  );
}

const HEADINGS = [
  'fault',
  'runs',
  'gap: median, worst',
  'goal',
  'slowest I/O',
  'goal',
  'errors',
  'back in',
  'before: gap, slowest',
  'own stall',
];

export function faultTable(figures: readonly FaultFigures[]): string {
  const rows = figures.map(({ fault, runs }) => {
    const worst = (value: (run: FaultRun) => number): string => Math.max(...runs.map(value)).toFixed(0);
    const gaps = runs.map(({ during }) => during.longestGapMs);
    return [
      fault.name,
      String(runs.length),
      `${median(gaps).toFixed(0)}, ${Math.max(...gaps).toFixed(0)}`,
      goal(runs, 'longestGapMs', fault.gapGoalMs),
      `${median(runs.map(({ during }) => during.worstMs)).toFixed(0)}, ${worst(({ during }) => during.worstMs)}`,
      goal(runs, 'worstMs', fault.worstGoalMs),
      String(runs.reduce((sum, { errors }) => sum + errors, 0)),
      runs.some(({ backMs }) => backMs === null) ? `not within ${BACK_MS} ms` : `${worst(({ backMs }) => backMs ?? 0)} ms`,
      `${worst(({ before }) => before.longestGapMs)}, ${worst(({ before }) => before.worstMs)}`,
      worst(({ during }) => during.ownStallMs),
    ];
  });
  return `Two links of 1 Gbit/s, one hit; 8 KiB reads and writes, 32 out, for ${FAULT_MS / 1000} s from the fault on; ms\n${table([HEADINGS, ...rows])}`;
}

export function faultSentences(figures: readonly FaultFigures[]): string {
  const own =
    'own stall: longest time in which the load itself got no processor; "unclear": no longer than that, or than before the fault\n';
  const errors = figures.flatMap(({ fault, runs }) =>
    runs.flatMap(({ firstError }) => (firstError === null ? [] : `${fault.name}: ${firstError}\n`)),
  );
  return `${figures.map(({ fault }) => `  ${fault.name.padEnd(18)}${fault.sentence}\n`).join('')}${own}${errors.join('')}`;
}
