// Determines the space that files of volumes occupy. Inspects USED_LANES files of a pool at a time, because each inspection occupies a
// thread of this process, and a file system may not answer. Invariants: a pool that hangs occupies at most USED_LANES threads, however many
// calls are made. Such a pool delays a call by at most USED_SILENT_MS, and does not delay the inspection of files in other pools.

import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { USED_LANES, USED_SILENT_MS } from './limits.ts';

const SECTOR_OF_STAT_BYTES = 512;

export interface UsedFile {
  /** Identifies the storage that may hang, such as the id of a pool. */
  readonly place: string;
  /** Path of the file; null if the file must not be inspected. */
  readonly path: string | null;
}

/** Returns the bytes that a file occupies. Throws if the file cannot be inspected. */
export type LookAt = (path: string) => Promise<number>;

export class UsedBytes {
  private readonly clock: Clock;
  private readonly lookAt: LookAt;
  /**
   * Places in which an inspection got no answer for USED_SILENT_MS. A place stays in this set until all inspections in the place have
   * ended.
   */
  private readonly silent = new Set<string>();

  constructor(clock: Clock, lookAt: LookAt = allocatedBytes) {
    this.clock = clock;
    this.lookAt = lookAt;
  }

  /** Returns the bytes that each file occupies; null for a file that cannot be inspected, or whose file system does not answer. */
  async of(files: readonly UsedFile[]): Promise<(number | null)[]> {
    const used = new Array<number | null>(files.length).fill(null);
    const places = new Map<string, number[]>();
    for (const [index, { place, path }] of files.entries()) {
      if (path === null || this.silent.has(place)) continue;
      const indexes = places.get(place);
      if (indexes === undefined) places.set(place, [index]);
      else indexes.push(index);
    }
    await Promise.all([...places].map(([place, indexes]) => this.lookAtAll(place, indexes, files, used)));
    return used;
  }

  private lookAtAll(place: string, indexes: readonly number[], files: readonly UsedFile[], used: (number | null)[]): Promise<void> {
    let [next, running, isOver] = [0, 0, false];
    return new Promise((resolve) => {
      const arm = (): Timer =>
        this.clock.after(USED_SILENT_MS, () => {
          isOver = true;
          this.silent.add(place);
          resolve();
        });
      let timer = arm();
      let heard = 0;
      const ended = (): void => {
        running--;
        if (isOver) {
          // The place no longer counts as silent, because no thread of this process waits for it.
          if (running === 0) this.silent.delete(place);
          return;
        }
        if (++heard % USED_LANES === 0) {
          timer.cancel();
          timer = arm();
        }
        lane();
      };
      const lane = (): void => {
        const index = indexes[next];
        if (index === undefined) {
          if (running > 0) return;
          timer.cancel();
          resolve();
          return;
        }
        next++;
        running++;
        void this.lookAt(files[index]?.path ?? '').then((bytes) => {
          if (!isOver) used[index] = bytes;
          ended();
        }, ended);
      };
      for (let count = 0; count < Math.min(USED_LANES, indexes.length); count++) lane();
    });
  }
}

async function allocatedBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * SECTOR_OF_STAT_BYTES;
}
