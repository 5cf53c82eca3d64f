// Two pools on disk, fast and slow, for tests that move or copy volumes between the pools, and scenes that open the pools one after
// another. To simulate a stop of the server, a test may rename the directory of the pools, and open it under the new name. Invariant: pools
// that were opened with `openTwoPools` are closed when the test ends.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach } from 'vitest';
import { type CopyHooks, CopyScene } from './copy-scene.ts';
import { type MoveHooks, MoveScene } from './move-scene.ts';
import { PoolScene, type SceneOptions } from './pool-scene.ts';

const BLOCK_BYTES = 4_096;
export const NAMES = ['fast', 'slow'];
/** Temporary folder of the test. */
export let parent = '';
/** Directory of the pools, in `parent`. */
export let directory = '';
let scenes: PoolScene[] = [];

export async function openTwoPools(at: string, options: Partial<SceneOptions>): Promise<PoolScene> {
  const scene = await PoolScene.open(at, { clock: systemClock, names: NAMES, ...options });
  scenes.push(scene);
  return scene;
}

/** Returns a scene of a server that copies volumes, with the jobs that an earlier server has left behind. */
export async function openCopies(at = directory, options: Partial<SceneOptions> = {}, hooks: CopyHooks = {}): Promise<CopyScene> {
  const copies = new CopyScene(await openTwoPools(at, options), hooks);
  await copies.jobs.load();
  return copies;
}

/** Returns a scene of a server that moves volumes, with the jobs that an earlier server has left behind. */
export async function openMoves(at = directory, options: Partial<SceneOptions> = {}, hooks: MoveHooks = {}): Promise<MoveScene> {
  const moves = new MoveScene(await openTwoPools(at, options), hooks);
  await moves.jobs.load();
  return moves;
}

/** Fills one block of the file of a served volume with `value`, as the write of a client would. */
export function writeBlock(file: string | null | undefined, block: number, value: number): void {
  const descriptor = fs.openSync(file!, 'r+');
  fs.writeSync(descriptor, Buffer.alloc(BLOCK_BYTES, value), 0, BLOCK_BYTES, block * BLOCK_BYTES);
  fs.closeSync(descriptor);
}

/** Gives each test of the file a folder. The pools in this folder are closed when the test ends. */
export function useTwoPools(): void {
  beforeEach(() => {
    parent = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pools-'));
    directory = path.join(parent, 'pools');
    scenes = [];
  });
  afterEach(async () => {
    for (const scene of scenes) await scene.pools.close();
    await removeFolder(parent);
  });
}
