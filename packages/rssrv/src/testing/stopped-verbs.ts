// Simulates a stop of the server at each step of a change: moves the directory of the pools away, so that the code that makes the change
// can no longer reach it, and opens the pools at the new place. The files keep their inodes. Invariant: each run makes the same ids and
// times, so that the pools of all runs can be compared.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/common/lib/clock';
import { removeFolder } from '@rsio/common/testing/remove-folder';
import { PoolScene, type SceneOptions } from './pool-scene.ts';

type Work = (scene: PoolScene) => Promise<unknown>;

/** Starts a server, and returns a text that describes the pools that it finds, with a digest of each file that has content. */
async function found(directory: string, options: SceneOptions): Promise<string> {
  const picture = await PoolScene.picture(directory, options);
  const files = (fs.readdirSync(directory, { recursive: true }) as string[]).filter((name) => /(^|\/)data$|\.data$/.test(name));
  const digests = files.map(
    (name) =>
      `${name} ${createHash('sha256')
        .update(fs.readFileSync(path.join(directory, name)))
        .digest('hex')}`,
  );
  return [picture, ...digests.toSorted()].join('\n');
}

/** Starts a server while the pool `name` is not mounted. */
async function startWithout(directory: string, name: string, options: SceneOptions): Promise<void> {
  const [there, away] = [path.join(directory, name), path.join(directory, 'away')];
  fs.renameSync(there, away);
  await PoolScene.picture(directory, { ...options, absent: [name] });
  fs.renameSync(away, there);
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
  const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-stops-'));
  const run = async (directory: string, reached: (step: string) => void) => {
    let [number, timeMs] = [0, 1_000_000_000_000];
    const newId = (): string => `00000000-0000-4000-9000-${String(++number).padStart(12, '0')}`;
    const options: SceneOptions = { clock: { ...systemClock, wallMs: () => timeMs++ }, names };
    let isOn = false;
    const scene = await PoolScene.open(directory, { ...options, newId, reached: (step) => void (isOn && reached(step)) });
    await prepare(scene);
    const before = await found(directory, options);
    isOn = true;
    try {
      await verb(scene);
    } finally {
      await scene.pools.close();
    }
    return { before, options };
  };
  try {
    const steps: string[] = [];
    const whole = path.join(parent, 'whole');
    const { before, options } = await run(whole, (step) => steps.push(step));
    const after = await found(whole, options);
    const states: [string, string][] = [];
    for (const [step, index, missing] of steps.flatMap((step, index) => absent.map((one) => [step, index, one] as const))) {
      const [at, moved] = [path.join(parent, 'run'), path.join(parent, `stop${index}`)];
      let count = 0;
      const stop = (): void => void (count++ === index && fs.renameSync(at, moved));
      await run(at, stop).catch(() => undefined);
      if (missing !== null) await startWithout(moved, missing, options);
      const state = await found(moved, options);
      const text = state === before ? 'before' : state === after ? 'after' : `${missing ?? ''}: ${state}`;
      if (missing === absent[0]) states.push([step, text]);
      else if (states.at(-1)?.[1] !== text)
        throw new Error(`A stop after ${step} leaves another state if ${missing ?? 'no pool'} is absent: ${text}`);
      const again = await found(moved, options);
      const rest = (fs.readdirSync(moved, { recursive: true }) as string[]).filter((name) => /\.new/.test(name));
      if (again !== state || rest.length > 0) throw new Error(`The second start after ${step} differs, or leaves ${rest.join(', ')}`);
      await removeFolder(at);
      await removeFolder(moved);
    }
    return states;
  } finally {
    await removeFolder(parent);
  }
}
