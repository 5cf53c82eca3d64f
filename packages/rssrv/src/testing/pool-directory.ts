// A directory with pools on disk for the tests of one file, and scenes that open these pools one after another. Invariant: a scene that was
// opened with `open` is closed when the test ends.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach } from 'vitest';
import { PoolScene } from './pool-scene.ts';

export const MIB = 1024 * 1024;
export const DB = { name: 'db', universe: 0 };
export let directory = '';
export let scenes: PoolScene[] = [];

export async function open(reached?: (step: string) => void, at = directory): Promise<PoolScene> {
  const scene = await PoolScene.open(at, { clock: systemClock, ...(reached === undefined ? {} : { reached }) });
  scenes.push(scene);
  return scene;
}

export const pictureOf = (at: string): Promise<string> => PoolScene.picture(at, { clock: systemClock });

/** Gives each test of the file a directory. The pools in this directory are closed when the test ends. */
export function usePoolDirectory(): void {
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pool-'));
    scenes = [];
  });
  afterEach(async () => {
    for (const scene of scenes) await scene.pools.close();
    await removeFolder(directory);
  });
}
