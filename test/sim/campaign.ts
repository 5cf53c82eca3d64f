// Many seeds over all cores: one worker process each takes every n-th seed, so that together they run consecutive ones.
// Leaves running a seed to seed-worker.ts. Invariant: a worker that ends before its time is a violation, too.

import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@rsio/protocol/lib/clock';
import type { SeedResult } from './run-seed.ts';
import { addTo, noSums, perHourLine, sumsLine } from './sums.ts';

/** What a worker is told by its arguments: first seed, step, last seed (0: none), how long, ms (0: until the last seed). */
export type WorkerArguments = readonly [from: number, step: number, to: number, forMs: number];

const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
const MS_PER_SECOND = 1000;
/** A seed takes well under a second; one that takes this long hangs. */
const SEED_MAX_MS = 120_000;

/** Runs seeds `from` to `to`, or (`minutes` not null) from `from` on for so long. True: nothing was violated. */
export async function runCampaign(from: number, to: number, minutes: number | null, say: (line: string) => void): Promise<boolean> {
  const workers = availableParallelism();
  const startMs = systemClock.monotonicMs();
  const forMs = minutes === null ? 0 : minutes * MINUTE_MS;
  const sums = noSums();
  let violations = 0;
  const violated = (sentence: string): void => {
    violations++;
    say(sentence);
  };
  const finished = (result: SeedResult): void => {
    addTo(sums, result.counts);
    for (const breach of result.breaches) violated(`VIOLATION seed ${result.seed}: ${breach} (pnpm sim --seed ${result.seed} --trace)`);
  };
  const seconds = (): number => (systemClock.monotonicMs() - startMs) / MS_PER_SECOND;
  const report = setInterval(() => say(`${seconds().toFixed(0)} s: ${sumsLine(sums)}, ${violations} violations`), REPORT_MS);
  const running = Array.from({ length: workers }, (_unused, index) => runWorker([from + index, workers, to, forMs], finished, violated));
  await Promise.all(running);
  clearInterval(report);
  say(`${seconds().toFixed(1)} s on ${workers} cores: ${sumsLine(sums)}`);
  if (minutes !== null) say(perHourLine(sums, seconds()));
  say(`${violations} violations`);
  return violations === 0 && sums.seeds > 0;
}

/** Resolves when the worker is gone. */
function runWorker(given: WorkerArguments, finished: (result: SeedResult) => void, violated: (sentence: string) => void): Promise<void> {
  const worker: ChildProcess = fork(fileURLToPath(new URL('./seed-worker.js', import.meta.url)), given.map(String));
  let last = given[0] - given[1];
  let watchdog = watch();
  function watch(): NodeJS.Timeout {
    return setTimeout(() => worker.kill('SIGKILL'), SEED_MAX_MS);
  }
  worker.on('message', (result: SeedResult) => {
    last = result.seed;
    clearTimeout(watchdog);
    watchdog = watch();
    finished(result);
  });
  return new Promise((resolve) => {
    worker.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      if (code !== 0) violated(`VIOLATION seed ${last + given[1]}: its worker ended with ${signal ?? `code ${code}`}`);
      resolve();
    });
  });
}
