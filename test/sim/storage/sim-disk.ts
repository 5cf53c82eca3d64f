// The folders and data files of a simulated pool, in the state that processes see and in the durable state. If a process dies but the
// machine does not crash, the changes of the process stay. A crash of the machine undoes unsynced changes: a random number of the latest
// changes of folders, and the growth of some files. sim-storage.ts has the contents of data files.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Manifest, Removal } from '@rsio/rssrv/pools/disk/manifest';

/** The folder of a volume. The folder appears and moves as a whole. */
export interface SimFolder {
  readonly place: 'volumes' | 'removed';
  readonly manifest: Manifest;
  readonly removal: Removal | null;
}

interface Length {
  shownBytes: number;
  durableBytes: number;
}

export class SimDisk {
  readonly shown = new Map<string, SimFolder>();
  readonly durable = new Map<string, SimFolder>();
  private readonly unsynced: (readonly [id: string, folder: SimFolder])[] = [];
  private readonly lengths = new Map<string, Length>();

  put(id: string, folder: SimFolder): void {
    this.shown.set(id, folder);
    this.unsynced.push([id, folder]);
  }

  sync(): void {
    for (const [id, folder] of this.unsynced.splice(0)) this.durable.set(id, folder);
  }

  lengthOf(id: string): number {
    return this.lengths.get(id)?.shownBytes ?? 0;
  }

  durableLengthOf(id: string): number {
    return this.lengths.get(id)?.durableBytes ?? 0;
  }

  extend(id: string, sizeBytes: number): void {
    const length = this.lengths.get(id) ?? { shownBytes: 0, durableBytes: 0 };
    length.shownBytes = Math.max(length.shownBytes, sizeBytes);
    this.lengths.set(id, length);
  }

  syncData(id: string): void {
    const length = this.lengths.get(id);
    if (length !== undefined) length.durableBytes = length.shownBytes;
  }

  crashed(random: SeededRandom): void {
    const kept = random.int(0, this.unsynced.length);
    for (const [id, folder] of this.unsynced.splice(0).slice(0, kept)) this.durable.set(id, folder);
    this.shown.clear();
    for (const [id, folder] of this.durable) this.shown.set(id, folder);
    for (const length of this.lengths.values()) {
      if (random.chance(0.5)) length.durableBytes = length.shownBytes;
      length.shownBytes = length.durableBytes;
    }
  }
}
