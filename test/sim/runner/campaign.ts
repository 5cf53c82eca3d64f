// Many seeds over all cores: one worker process each takes every n-th seed, so that together they run consecutive ones. seed-worker.ts runs
// a seed. Invariant: a worker that ends too early is a violation, too.

import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { systemClock } from '@rsio/common/lib/clock';
import { isMirrorSeed } from '../world/sim-shape.ts';
import { compiledFile } from './compiled.ts';
import type { SeedResult } from './run-seed.ts';
import { addTo, kindsLine, mirrorLine, noSums, perHourLine, sumsLine } from './sums.ts';

/** A worker's arguments: first seed, step, last seed (0: none), duration in ms (0: until the last seed), 1: only worlds with mirrors. */
export type WorkerArguments = readonly [from: number, step: number, to: number, forMs: number, onlyMirrors: number];

/** What a worker sends for each seed: also its CPU time. */
export type WorkerResult = SeedResult & { readonly cpuMs: number };

/** Called with each completed seed, and with a worker that ended too early: its seed, and how. */
export interface CampaignEvents {
  finished(result: WorkerResult): void;
  died(seed: number, how: string): void;
}

const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
const MS_PER_SECOND = 1000;
/** A seed takes a second, and a dense one ten; one that takes this long hangs. */
const SEED_MAX_MS = 120_000;

export interface CampaignOrder {
  readonly from: number;
  readonly to: number;
  /** Not null: from `from` on for so long. */
  readonly minutes: number | null;
  readonly onlyMirrors: boolean;
}

/** Runs the seeds of the order. True: nothing was violated. */
export async function runCampaign({ from, to, minutes, onlyMirrors }: CampaignOrder, say: (line: string) => void): Promise<boolean> {
  const startMs = systemClock.monotonicMs();
  const sums = noSums();
  let violations = 0;
  const violated = (sentence: string): void => {
    violations++;
    say(sentence);
  };
  const finished = (result: WorkerResult): void => {
    addTo(sums, result, result.cpuMs);
    for (const breach of result.breaches) violated(`VIOLATION seed ${result.seed}: ${breach} (pnpm sim --seed ${result.seed} --trace)`);
  };
  const died = (seed: number, how: string): void => violated(`VIOLATION seed ${seed}: its worker ${how}`);
  const seconds = (): number => (systemClock.monotonicMs() - startMs) / MS_PER_SECOND;
  const report = setInterval(() => say(`${seconds().toFixed(0)} s: ${sumsLine(sums)}, ${violations} violations`), REPORT_MS);
  await runSeeds(from, to, minutes === null ? 0 : minutes * MINUTE_MS, { finished, died }, onlyMirrors);
  clearInterval(report);
  say(`${seconds().toFixed(1)} s on ${availableParallelism()} cores: ${sumsLine(sums)}`);
  say(kindsLine(sums));
  const mirrors = mirrorLine(sums);
  if (mirrors !== null) say(mirrors);
  if (minutes !== null) say(perHourLine(sums, seconds()));
  say(`${violations} violations`);
  return violations === 0 && sums.seeds > 0;
}

/** Runs seeds `from` to `to` (0: all that follow), or for so long (0: until the last is through). Resolves when every worker is gone. */
export async function runSeeds(from: number, to: number, forMs: number, events: CampaignEvents, onlyMirrors = false): Promise<void> {
  const workers = availableParallelism();
  await Promise.all(
    Array.from({ length: workers }, (_unused, index) => runWorker([from + index, workers, to, forMs, onlyMirrors ? 1 : 0], events)),
  );
}

/** Resolves when the worker is gone. */
function runWorker(given: WorkerArguments, events: CampaignEvents): Promise<void> {
  const worker: ChildProcess = fork(compiledFile('runner/seed-worker.js'), given.map(String), { execArgv: [] });
  let last = given[0] - given[1];
  let watchdog = watch();
  function watch(): NodeJS.Timeout {
    return setTimeout(() => worker.kill('SIGKILL'), SEED_MAX_MS);
  }
  worker.on('message', (result: WorkerResult) => {
    last = result.seed;
    clearTimeout(watchdog);
    watchdog = watch();
    events.finished(result);
  });
  return new Promise((resolve) => {
    worker.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      if (code !== 0) events.died(following(last, given), `ended with ${signal ?? `code ${code}`}`);
      resolve();
    });
  });
}

/** The seed that a worker runs after this one: seed-worker.ts leaves some out. */
function following(last: number, [, step, , , onlyMirrors]: WorkerArguments): number {
  let seed = last + step;
  while (onlyMirrors === 1 && !isMirrorSeed(seed)) seed += step;
  return seed;
}
