// Runs each mutant against the seeds 1, 2, 3, ... until a seed fails, and the unbroken code against as many seeds as the hardest mutant
// needed. A mutant of mirrors may name an explorer, whose worlds are used in place of seeds. With quick, each mutant begins at its seed in
// found-at.ts, and the unbroken code runs the seeds that found a mutant. No mutant has its own scenario. Invariant: a mutant counts as
// found only if a seed reports a violation, never because its process died or was ended, or because of another mutant.

import { FOUND_AT } from './found-at.ts';
import { exploredMax } from './explorers/explorers.ts';
import { HuntProcess, type Run } from './hunt-process.ts';
import { isMirrorSeed, isReaderSeed, isRevocationSeed, isSpreadSeed, isStoreSeed } from '../world/sim-shape.ts';
import type { Mutant } from './mutants/mutant.ts';
import { MUTANTS } from './mutants.ts';

/** Result of a hunt: the first seed that failed, or null. */
export interface Hunted {
  readonly seed: number | null;
  readonly breach: string;
}

export interface Verdict extends Hunted {
  readonly name: string;
  readonly rule: string;
  readonly breaks: string;
  readonly found: boolean;
  /** Whether `seed` is a seed of the simulator. Otherwise `seed` is a seed of an explorer. */
  readonly isSimulated: boolean;
  readonly elapsedMs: number;
}

export interface ZooReport {
  readonly verdicts: readonly Verdict[];
  readonly survivors: number;
  /** The results of the unbroken code with the same seeds. */
  readonly unbroken: Hunted;
  readonly unbrokenSeeds: number;
}

export interface ZooOptions {
  readonly names: readonly string[];
  readonly isQuick: boolean;
  /** First seed of each hunt. With quick, this seed applies only to mutants that are not in found-at.ts. */
  readonly from: number;
}

export const UNBROKEN = 'unbroken';
/** A mutant that passes this many seeds has survived. */
export const ZOO_SEEDS = 400;
/** A mutant that needs worlds with mirrors, or with volumes that are taken away, has survived if it passes this many of these worlds. */
const MIRROR_SEEDS_MAX = 90;
const REVOCATION_SEEDS_MAX = 60;
/** The unbroken code must pass at least this many seeds. */
export const UNBROKEN_SEEDS_MIN = 50;

export async function runZoo(jobs: number, options: ZooOptions, told: (verdict: Verdict) => void): Promise<ZooReport> {
  const verdicts = await huntMutants(jobs, options, told);
  const { isQuick, from } = options;
  const simulated = verdicts.filter(({ isSimulated }) => isSimulated);
  const last = Math.max(from + UNBROKEN_SEEDS_MIN - 1, ...simulated.map(({ seed }) => seed ?? 0));
  const seeds = isQuick
    ? [...new Set(simulated.flatMap(({ seed }) => seed ?? []))].toSorted((a, b) => a - b)
    : Array.from({ length: last - from + 1 }, (_unused, index) => from + index);
  const hunts = await Promise.all(runsOf(seeds, jobs).map((runs) => inProcess((hunts) => hunts.hunt({ name: UNBROKEN, runs }))));
  const unbroken = hunts.find(({ seed, breach }) => seed !== null || breach !== '') ?? { seed: null, breach: '' };
  return { verdicts, survivors: verdicts.filter(({ found }) => !found).length, unbroken, unbrokenSeeds: seeds.length };
}

/** Hunts the mutants, for callers that run the unbroken code themselves. */
export async function huntMutants(
  jobs: number,
  { names, isQuick, from }: ZooOptions,
  told: (verdict: Verdict) => void,
): Promise<readonly Verdict[]> {
  const waiting = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name));
  const verdicts: Verdict[] = [];
  const next = async (hunts: HuntProcess): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const { name, rule, breaks, explorer } = mutant;
      const startMs = performance.now();
      const first = isQuick ? (FOUND_AT.get(name) ?? from) : from;
      const hunted = await hunts.hunt({ name, runs: runsFor(mutant, first) });
      const verdict = {
        name,
        rule,
        breaks,
        ...hunted,
        found: hunted.seed !== null,
        isSimulated: explorer === undefined,
        elapsedMs: performance.now() - startMs,
      };
      verdicts.push(verdict);
      told(verdict);
    }
  };
  await Promise.all(Array.from({ length: jobs }, () => inProcess(next)));
  return verdicts;
}

async function inProcess<T>(work: (hunts: HuntProcess) => Promise<T>): Promise<T> {
  const hunts = new HuntProcess();
  try {
    return await work(hunts);
  } finally {
    hunts.end();
  }
}

/** Returns the seeds in which the mutant is hunted, as runs of consecutive seeds. Seeds whose worlds cannot find the mutant are skipped. */
function runsFor({ needsStores, needsReaders, needsSpread, needsMirrors, needsRevocations, explorer }: Mutant, first: number): Run[] {
  if (explorer !== undefined) return [[first, first + exploredMax(explorer) - 1]];
  const seeds = Array.from({ length: ZOO_SEEDS }, (_unused, index) => first + index);
  if (needsMirrors === true) return seedsFrom(first, MIRROR_SEEDS_MAX, isMirrorSeed);
  if (needsRevocations === true) return seedsFrom(first, REVOCATION_SEEDS_MAX, isRevocationSeed);
  if (needsReaders === true) return seeds.filter((seed) => isReaderSeed(seed)).map((seed) => [seed, seed]);
  if (needsSpread === true) return seeds.filter((seed) => isSpreadSeed(seed)).map((seed) => [seed, seed]);
  if (needsStores === true) return seeds.filter((seed) => isStoreSeed(seed)).map((seed) => [seed, seed]);
  return [[first, first + ZOO_SEEDS - 1]];
}

function seedsFrom(first: number, count: number, isWanted: (seed: number) => boolean): Run[] {
  const runs: Run[] = [];
  for (let seed = first; runs.length < count; seed++) if (isWanted(seed)) runs.push([seed, seed]);
  return runs;
}

/** Distributes ascending seeds over the jobs, as runs of consecutive seeds. */
function runsOf(seeds: readonly number[], jobs: number): Run[][] {
  const share = Math.ceil(seeds.length / jobs);
  return Array.from({ length: jobs }, (_unused, job) => {
    const runs: [number, number][] = [];
    for (const seed of seeds.slice(job * share, (job + 1) * share)) {
      const before = runs.at(-1);
      if (before !== undefined && before[1] === seed - 1) before[1] = seed;
      else runs.push([seed, seed]);
    }
    return runs;
  });
}
