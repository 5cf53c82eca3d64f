// Two pools on disk, fast and slow, for tests that move or copy volumes between the pools, and scenes that open the pools one after
// another. To simulate a stop of the server, a test may rename the directory of the pools, and open it under the new name. Invariant: pools
// that were opened with `openTwoPools` are closed when the test ends.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/common/lib/clock';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { afterEach, beforeEach } from 'vitest';
import { PoolScene, type SceneOptions } from './pool-scene.ts';

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
