// Runs many seeds over all cores. Each core has a worker process, which gets its next seed when it has completed one. No worker is
// therefore idle while seeds are left. seed-worker.ts runs a seed. Invariant: the campaign also reports a violation if a worker ends too
// early.

import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { systemClock } from '@rsio/base/lib/clock';
import { isMirrorSeed } from '../world/sim-shape.ts';
import { compiledFile } from './compiled.ts';
import type { SeedResult } from './run-seed.ts';
import { addTo, kindsLine, mirrorLine, noSums, perHourLine, sumsLine } from './sums.ts';

/** Result of a worker for each seed, with the CPU time. */
export type WorkerResult<Result = SeedResult> = Result & { readonly cpuMs: number };

/**
 * `finished` is called with the result of each completed seed. `died` is called if a worker ends too early, with its seed and the reason.
 */
export interface CampaignEvents<Result = SeedResult> {
  finished(result: WorkerResult<Result>): void;
  died(seed: number, how: string): void;
}

const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
const MS_PER_SECOND = 1000;
/**
 * A seed that takes longer than this counts as hanging. A usual seed takes about one second, and a seed with a dense world ten seconds, but
 * a campaign may have to give way to other programs.
 */
const SEED_MAX_MS = 600_000;

export interface CampaignOrder {
  readonly from: number;
  readonly to: number;
  /** Minutes for which seeds from `from` on are run; null: the seeds from `from` to `to` are run. */
  readonly minutes: number | null;
  readonly onlyMirrors: boolean;
}

/** Runs the seeds of the order. Returns true if no seed had a violation. */
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
  await runSeeds(seedsOf(from, to, onlyMirrors), minutes === null ? 0 : minutes * MINUTE_MS, { finished, died });
  clearInterval(report);
  say(`${seconds().toFixed(1)} s on ${availableParallelism()} cores: ${sumsLine(sums)}`);
  say(kindsLine(sums));
  const mirrors = mirrorLine(sums);
  if (mirrors !== null) say(mirrors);
  if (minutes !== null) say(perHourLine(sums, seconds()));
  say(`${violations} violations`);
  return violations === 0 && sums.seeds > 0;
}

/** Yields the seeds from `from` to `to`. If `to` is 0, the seeds have no end. */
function* seedsOf(from: number, to: number, onlyMirrors: boolean): Generator<number> {
  for (let seed = from; to === 0 || seed <= to; seed++) if (!onlyMirrors || isMirrorSeed(seed)) yield seed;
}

/**
 * Starts no seed after `forMs` ms; if `forMs` is 0, runs all seeds. `args`: the arguments of the workers (seed-worker.ts). Resolves when every worker
 * has ended.
 */
export async function runSeeds<Result = SeedResult>(
  seeds: Iterator<number>,
  forMs: number,
  events: CampaignEvents<Result>,
  args: readonly string[] = [],
): Promise<void> {
  const endMs = forMs > 0 ? systemClock.monotonicMs() + forMs : Number.POSITIVE_INFINITY;
  const next = (): number | null => {
    const { done, value } = systemClock.monotonicMs() < endMs ? seeds.next() : { done: true, value: null };
    return done === true ? null : (value as number);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, () => runWorker(args, next, events)));
}

/** Resolves when the worker has ended. */
function runWorker<Result>(args: readonly string[], next: () => number | null, events: CampaignEvents<Result>): Promise<void> {
  let seed = next();
  if (seed === null) return Promise.resolve();
  const worker: ChildProcess = fork(compiledFile('runner/seed-worker.js'), args, { execArgv: [] });
  let isBusy = false;
  let watchdog: NodeJS.Timeout | undefined;
  const handOut = (given: number): void => {
    seed = given;
    isBusy = true;
    watchdog = setTimeout(() => worker.kill('SIGKILL'), SEED_MAX_MS);
    // Ignores an error of this send. If the worker has ended, the handler of its end reports the seed.
    worker.send(given, () => undefined);
  };
  worker.on('message', (result: WorkerResult<Result>) => {
    clearTimeout(watchdog);
    isBusy = false;
    events.finished(result);
    const following = next();
    if (following !== null) handOut(following);
    else if (worker.connected) worker.disconnect();
  });
  handOut(seed);
  return new Promise((resolve) => {
    worker.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      if (isBusy || code !== 0) events.died(seed!, `ended with ${signal ?? `code ${code}`}`);
      resolve();
    });
  });
}
