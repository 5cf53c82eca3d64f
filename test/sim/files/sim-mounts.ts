// The simulated file systems, each in its own folder below /simulated. A call takes time in the calling process. If this process dies
// before the call has ended, the call never returns. A fault may begin after each call. Invariant: paths outside of /simulated are not
// affected.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimProcess } from '../base/sim-clock.ts';
import { errno, type SimFiles } from './sim-files.ts';

export interface Mount {
  readonly files: SimFiles;
  readonly random: SeededRandom;
  /** Longest time that a call takes, ms. */
  readonly stepMs: number;
  /** The current listener process. */
  process(): SimProcess;
  /** Called after each call of node:fs, so that a fault can begin. */
  stepped(): void;
}

export interface Place extends Mount {
  /** Path within the file system. */
  readonly path: readonly string[];
}

const ROOT = '/simulated/';
const mounts = new Map<string, Mount>();

export function mountPath(name: string): string {
  return ROOT + name;
}

/** Only one world has file systems at a time. */
export function unmountAll(): void {
  mounts.clear();
}

export function mount(name: string, one: Mount): void {
  mounts.set(name, one);
}

export function isSimulated(path: unknown): path is string {
  return typeof path === 'string' && path.startsWith(ROOT);
}

/** Throws ENOENT. */
export function placeOf(path: string): Place {
  const [name = '', ...rest] = path.slice(ROOT.length).split('/');
  const found = mounts.get(name);
  if (found === undefined) throw errno('ENOENT', [path]);
  return { ...found, process: () => found.process(), stepped: () => found.stepped(), path: rest.filter((part) => part !== '') };
}

/** Calls a function in this process after a random time. Resolves with the result of the function. */
export function later<T>(
  { random, stepMs, stepped }: Pick<Mount, 'random' | 'stepMs' | 'stepped'>,
  process: SimProcess,
  act: () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    process.after(random.unit() * stepMs, () => {
      try {
        resolve(act());
      } catch (thrown) {
        reject(thrown as Error);
      }
      stepped();
    });
  });
}
