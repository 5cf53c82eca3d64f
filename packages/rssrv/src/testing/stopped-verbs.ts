// Simulates a stop of the server at each step of a change: moves the directory of the pools away, so that the code that makes the change
// can no longer reach it, and opens the pools at the new place. The files keep their inodes. Invariant: each run makes the same ids and
// times, so that the pools of all runs can be compared.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import type { Uuid } from '../pools/disk/ids.ts';
import { PoolScene, type SceneOptions } from './pool-scene.ts';

const ZEROS = Buffer.alloc(65_536);
/** Matches the names of files that only an unfinished change leaves on disk. */
const REST = /\.new|\.purge|volumes.*removed\.json/;

/** Works on the pools in a directory, and calls `reached` after each step on disk. */
export type Run = (at: string, reached: (step: string) => void) => Promise<unknown>;

export interface Stop<V = null> {
  readonly step: string;
  /** Directory with the pools in the state in which the stopped server left them. */
  readonly at: string;
  readonly variant: V;
  /** All steps of a run that is not stopped. */
  readonly steps: readonly string[];
}

export interface StopOptions<V> {
  /** Returns true for a step after which the run is not stopped. Without `isLeftOut`, the run is stopped after each step. */
  readonly isLeftOut?: (step: string, index: number, steps: readonly string[]) => boolean;
  /**
   * Returns the variants of a stop after this step. For each variant, one run is stopped after this step and checked. Without `variants`,
   * there is one run for each step.
   */
  readonly variants?: (step: string) => readonly V[];
}

/**
 * Executes `run` once to its end, to learn its steps. Then, for each step, executes `run` again from the beginning, stops the run after
 * this step, and calls `check`. Returns the steps.
 */
export async function eachStop<V = null>(
  run: Run,
  check: (stop: Stop<V>) => Promise<unknown>,
  { isLeftOut = () => false, variants = () => [null as V] }: StopOptions<V> = {},
): Promise<readonly string[]> {
  const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-stops-'));
  try {
    const steps: string[] = [];
    await run(path.join(parent, 'whole'), (step) => steps.push(step));
    for (const [index, step] of steps.entries()) {
      for (const variant of isLeftOut(step, index, steps) ? [] : variants(step)) {
        const [at, moved] = [path.join(parent, 'run'), path.join(parent, 'stopped')];
        let count = 0;
        await run(at, () => void (count++ === index && fs.renameSync(at, moved))).catch(() => undefined);
        await check({ step, at: moved, variant, steps });
        await removeFolder(at);
        await removeFolder(moved);
      }
    }
    return steps;
  } finally {
    await removeFolder(parent);
  }
}

/** A step on disk that fails with EIO, once, as soon as `isOn` is true. Tests pass `reached` to the pools. */
export class FailingStep {
  isOn = false;
  private readonly step: string;

  constructor(step: string) {
    this.step = step;
  }

  readonly reached = (step: string): void => {
    if (!this.isOn || step !== this.step) return;
    this.isOn = false;
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
}

/**
 * Returns true for a step that makes a pool or creates a volume. Steps that make pools or volumes only prepare a test, so the tests do not
 * stop them.
 */
export function isBefore(step: string): boolean {
  return step.startsWith('pool:') || step.startsWith('create:');
}

/** Executes `work`, which opens the pools, while the pool `name` is absent, as if its file system were not mounted. */
export async function whileAway(directory: string, name: string, work: () => Promise<unknown>): Promise<void> {
  const [there, away] = [path.join(directory, name), path.join(path.dirname(directory), 'away')];
  fs.renameSync(there, away);
  await work();
  await removeFolder(there);
  fs.renameSync(away, there);
}

/** A function that works with a scene whose pools are open. The function `later` advances the clock of the scene. */
export type Work = (scene: PoolScene, later: (ms: number) => void) => Promise<unknown>;

/**
 * Removes the zeros at the end of a content. Interrupted growth may leave a file that is longer than its volume; this file does no harm, so
 * the comparison of contents ignores the difference.
 */
function withoutEndingZeros(content: Buffer): Buffer {
  let end = content.length;
  while (end >= ZEROS.length && content.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return content.subarray(0, end);
}

/** Starts a server, and returns a text that describes the pools that it finds, with a digest of each file that has content. */
async function found(directory: string, options: SceneOptions): Promise<string> {
  const picture = await PoolScene.picture(directory, options);
  const files = (fs.readdirSync(directory, { recursive: true }) as string[]).filter((name) => /(^|\/)data$|\.data$/.test(name));
  const digests = files.map(
    (name) =>
      `${name} ${createHash('sha256')
        .update(withoutEndingZeros(fs.readFileSync(path.join(directory, name))))
        .digest('hex')}`,
  );
  return [picture, ...digests.toSorted()].join('\n');
}

/**
 * Returns each step of the verb, with the state that a server finds after a stop at this step: `before`, `after`, or a description of
 * another state. For each name in `absent`, the server is also started once after the stop while the pool with this name is absent; the
 * entry null stands for a start with all pools. The next start must find the same state.
 */
export async function stopped(
  names: readonly string[],
  prepare: Work,
  verb: Work,
  absent: readonly (string | null)[] = [null],
): Promise<[step: string, state: string][]> {
  let [before, after] = ['', ''];
  let options: SceneOptions = { clock: systemClock, names };
  const run: Run = async (directory, reached) => {
    let [number, timeMs] = [0, 1_000_000_000_000];
    const newId = (): Uuid => `00000000-0000-4000-9000-${String(++number).padStart(12, '0')}`;
    options = { clock: { ...systemClock, wallMs: () => timeMs++, monotonicMs: () => timeMs }, names };
    let isOn = false;
    const scene = await PoolScene.open(directory, { ...options, newId, reached: (step) => void (isOn && reached(step)) });
    await prepare(scene, (ms) => void (timeMs += ms));
    if (after === '') before = await found(directory, options);
    isOn = true;
    try {
      await verb(scene, () => undefined);
    } finally {
      await scene.pools.close();
    }
    if (after === '') after = await found(directory, options);
  };
  const states: [string, string][] = [];
  const check = async ({ step, at, variant: missing }: Stop<string | null>): Promise<void> => {
    if (missing !== null) await whileAway(at, missing, () => PoolScene.picture(at, { ...options, absent: [missing] }));
    const state = await found(at, options);
    const text = state === before ? 'before' : state === after ? 'after' : `${missing ?? ''}: ${state}`;
    if (missing === absent[0]) states.push([step, text]);
    else if (states.at(-1)?.[1] !== text)
      throw new Error(`A stop after ${step} leaves another state if ${missing ?? 'no pool'} is absent: ${text}`);
    const again = await found(at, options);
    const rest = (fs.readdirSync(at, { recursive: true }) as string[]).filter((name) => REST.test(name));
    if (again !== state || rest.length > 0) throw new Error(`The second start after ${step} differs, or leaves ${rest.join(', ')}`);
  };
  await eachStop(run, check, { variants: () => absent });
  return states;
}
