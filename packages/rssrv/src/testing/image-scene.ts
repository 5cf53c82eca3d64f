// Volume db in pool fast and its image db@1 in pool slow, for tests of the jobs that make, refresh and restore images. The content of a
// volume is the list of the values with which its first four blocks are filled. Invariant: each scene runs its jobs only once; to run
// another job, a test opens the pools again.

import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import type { CopyHooks, CopyScene } from './copy-scene.ts';
import type { SceneOptions } from './pool-scene.ts';
import type { Stop } from './stopped-verbs.ts';
import { openCopies, writeBlock } from './two-pools.ts';

export const BLOCK_BYTES = 4_096;
export const SIZE_BYTES = 16 * BLOCK_BYTES;

/** Returns the path of the file that the server serves. */
export function fileOf({ scene }: CopyScene, universe: number): string {
  return [...scene.served.values()].find((one) => one.universe === universe)!.path!;
}

/** Writes to the file that the server serves, as a client would. */
export function write(copies: CopyScene, universe: number, block: number, value: number): void {
  writeBlock(fileOf(copies, universe), block, value);
}

export function blocksIn(file: string): number[] {
  const content = fs.readFileSync(file);
  return [0, 1, 2, 3].map((block) => content[block * BLOCK_BYTES]!);
}

/** Returns the content of the only volume in the pool; null if the pool has no volume. */
export function blocksOf(at: string, pool: string): number[] | null {
  const folder = path.join(at, pool, 'volumes');
  const [id] = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return id === undefined ? null : blocksIn(path.join(folder, id, 'data'));
}

/** Returns the temporary files in all pools. */
export function leftIn(at: string): string[] {
  const all = fs.readdirSync(at, { recursive: true }) as string[];
  return all.filter((file) => /\/moving\/.|\/removed\/.|\.new/.test(file));
}

/** Opens the pools in a new scene. */
export async function again(copies: CopyScene, options: Partial<SceneOptions> = {}, hooks: CopyHooks = {}): Promise<CopyScene> {
  await copies.scene.pools.close();
  return openCopies(copies.scene.directory, options, hooks);
}

/**
 * Starts the server twice after a stop, the second time with its jobs. Expects that the second job, if it was saved, is done, that the
 * volume in the pool then has the content `wanted`, and that no temporary file remains. Returns the content and the volumes that the first
 * start found, and the pools after the second start.
 */
export async function finishedAfter({ step, at }: Stop, pool: string, wanted: readonly number[]) {
  const first = await openCopies(at);
  const found = JSON.stringify(blocksOf(at, pool));
  await first.scene.pools.close();
  const after = await openCopies(at);
  await after.run();
  const { states } = after.scene.pools;
  const isAsked = after.jobs.list.length > 1;
  expect([step, after.jobs.list.map(({ state }) => state), leftIn(at)]).toEqual([step, isAsked ? ['done', 'done'] : ['done'], []]);
  if (isAsked) expect([step, blocksOf(at, pool)]).toEqual([step, wanted]);
  expect(after.scene.picture(), step).not.toContain('finding');
  await after.scene.pools.close();
  return { found, served: first.scene.served, states, isAsked };
}
