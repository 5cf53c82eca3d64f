// Runs the mutants, each in a process of its own, against the same seeds 1, 2, 3, ... until one fails, and the unbroken code against as
// many as the hardest mutant took. Leaves what a seed does to the simulator: no mutant has a scenario of its own.
// Invariant: a mutant counts as found only by what the simulator said of a seed, never because its process died or was cut off.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from './mutants.ts';

/** Of a hunt: the first seed that failed, or null. */
export interface Hunted {
  readonly seed: number | null;
  readonly breach: string;
}

export interface Verdict extends Hunted {
  readonly name: string;
  readonly rule: string;
  readonly breaks: string;
  readonly found: boolean;
  readonly elapsedMs: number;
}

export interface ZooReport {
  readonly verdicts: readonly Verdict[];
  readonly survivors: number;
  /** What the unbroken code did with the same seeds. */
  readonly unbroken: Hunted;
  readonly unbrokenSeeds: number;
}

export const UNBROKEN = 'unbroken';
/** A mutant that lives through so many seeds has survived. */
export const ZOO_SEEDS = 400;
/** Real time for one mutant; past it its process is killed, and it has survived. */
export const HUNT_MAX_MS = 240_000;
/** The unbroken code passes at least so many seeds. */
export const UNBROKEN_SEEDS_MIN = 50;

/** `file`: the compiled hunt. `names`: only these; empty: all. */
export async function runZoo(file: string, jobs: number, names: readonly string[], told: (verdict: Verdict) => void): Promise<ZooReport> {
  const waiting = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name));
  const verdicts: Verdict[] = [];
  const next = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const { name, rule, breaks } = mutant;
      const startMs = performance.now();
      const hunted = await hunt(file, name, 1, ZOO_SEEDS);
      const verdict = { name, rule, breaks, ...hunted, found: hunted.seed !== null, elapsedMs: performance.now() - startMs };
      verdicts.push(verdict);
      told(verdict);
    }
  };
  await Promise.all(Array.from({ length: jobs }, next));
  const unbrokenSeeds = Math.max(UNBROKEN_SEEDS_MIN, ...verdicts.map(({ seed }) => seed ?? 0));
  const share = Math.ceil(unbrokenSeeds / jobs);
  const shares = Array.from(
    { length: jobs },
    (_unused, index) => [index * share + 1, Math.min((index + 1) * share, unbrokenSeeds)] as const,
  );
  const hunts = await Promise.all(shares.map(([first, last]) => hunt(file, UNBROKEN, first, last)));
  const unbroken = hunts.find(({ seed, breach }) => seed !== null || breach !== '') ?? { seed: null, breach: '' };
  return { verdicts, survivors: verdicts.filter(({ found }) => !found).length, unbroken, unbrokenSeeds };
}

/** Where the compiled hunt lies beside this compiled file. */
export function huntFile(): string {
  return fileURLToPath(new URL('./hunt.js', import.meta.url));
}

async function hunt(file: string, name: string, first: number, last: number): Promise<Hunted> {
  const child = fork(file, [name, String(first), String(last)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), HUNT_MAX_MS);
  try {
    return await outcome(child);
  } finally {
    clearTimeout(timer);
  }
}

function outcome(child: ChildProcess): Promise<Hunted> {
  return new Promise((resolve) => {
    let said: Hunted | null = null;
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = `${errors}${text}`.slice(-2000);
    });
    child.on('message', (message: Hunted) => {
      said = message;
    });
    child.on('error', ({ message }) => resolve({ seed: null, breach: `The hunt did not start: ${message}` }));
    child.on('close', (code, signal) => {
      const why = signal === 'SIGKILL' ? `cut off after ${HUNT_MAX_MS / 1000} s` : `ended with ${signal ?? code}: ${errors.trim()}`;
      resolve(said ?? { seed: null, breach: `The hunt was ${why}` });
    });
  });
}
