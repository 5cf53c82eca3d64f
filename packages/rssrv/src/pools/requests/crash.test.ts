// Tests crashes of the server between two steps of a change, or before the journal entry of the change. A request that is repeated after
// the restart finds its change made, or makes it, and never makes it twice. pools/pool-stops.test.ts tests the state on disk. Rules: A2,
// G17.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../asker.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { Journal } from './journal.ts';
import { LOCAL_WAITER, Requests } from './requests.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const DB = { name: 'db', universe: 0 };

class Crash extends Error {}

let folder = '';

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-crash-'));
});

afterEach(() => removeFolder(folder));

type Change = (scene: PoolScene, stamp: string) => Promise<{ readonly manifest: { readonly id: string; readonly sizeBytes: number } }>;

/** Starts a server with a pool and a journal. The server calls `reached` after each step on disk, and before it writes the journal. */
async function server(reached: () => void = () => undefined) {
  const clock = new FakeClock();
  fs.mkdirSync(path.join(folder, 'pools'), { recursive: true });
  const scene = await PoolScene.open(path.join(folder, 'pools'), { clock, reached });
  const journal = new Journal(path.join(folder, 'requests.journal'), { warn: (text: string) => expect(text).toBe('') });
  await journal.load();
  const requests = new Requests(journal, clock);
  const ask = (method: string, change: Change, params: object = {}): Promise<unknown> =>
    requests.execute({ node: 'big-2', id: 'id', method, params }, LOCAL_WAITER, async (execution) => {
      execution.begin();
      const { manifest } = await change(scene, execution.stamp);
      reached();
      return { id: manifest.id, sizeBytes: manifest.sizeBytes };
    });
  const end = async (): Promise<void> => {
    await scene.pools.close();
    await journal.close();
  };
  return { scene, ask, end };
}

const CHANGES: readonly (readonly [string, boolean, Change])[] = [
  ['create', false, (scene, stamp) => scene.create({}, LOCAL_ASKER, stamp)],
  ['grow', true, (scene, stamp) => scene.verbs.grow(DB, 2_097_152, LOCAL_ASKER, stamp)],
  ['rename', true, (scene, stamp) => scene.verbs.rename(DB, { name: 'dc', universe: 0 }, LOCAL_ASKER, stamp)],
  ['set', true, (scene, stamp) => scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, stamp)],
  ['remove', true, (scene, stamp) => scene.verbs.remove(DB, LOCAL_ASKER, stamp)],
];

test.each(CHANGES)('%s', async (method, needsVolume, change) => {
  let madeByCrash = 0;
  for (let steps = 1; ; steps++) {
    fs.rmSync(folder, { recursive: true, force: true });
    if (needsVolume) {
      const before = await server();
      await before.scene.create();
      await before.end();
    }
    let left = steps;
    let hasCrashed = false;
    const crashing = await server(() => {
      // After the crash, no further step runs, not even a cleanup.
      if (hasCrashed || --left === 0) {
        hasCrashed = true;
        throw new Crash();
      }
    });
    const first = await crashing.ask(method, change).catch(() => null);
    await crashing.end();
    if (!hasCrashed) {
      expect(first).not.toBeNull();
      break;
    }
    const next = await server();
    const answer = await next.ask(method, change);
    expect(await next.ask(method, change)).toEqual(answer);
    const [pool] = next.scene.pools.states;
    const { volumes, removed } = pool!;
    expect([volumes.size, removed.size]).toEqual(method === 'remove' ? [0, 1] : [1, 0]);
    await expect(next.ask(method, change, { other: 1 })).rejects.toMatchObject({ code: 'E_USAGE' });
    await next.end();
    madeByCrash++;
  }
  expect(madeByCrash).toBeGreaterThan(1);
});
