// Copies a simulated volume for a snapshot, chunk by chunk, as a listener does. A clone of a chunk writes dirty data back and then takes
// over the content of the disk, in two parts. The clone takes time, fails if the storage fails, and never ends if the listener dies.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { ChunkedCopy } from '@rsio/rssrv/pools/snapshots/moment';
import type { SimProcess } from '../base/sim-clock.ts';
import { LATE_MAX_MS, type SimStorage } from '../storage/sim-storage.ts';

export interface CopyPorts {
  readonly storage: SimStorage;
  /** Process of the listener. */
  readonly process: SimProcess;
  /** Separate random numbers, so that snapshots do not change the draws of other worlds. */
  readonly random: SeededRandom;
}

const LATE_CHANCE = 0.01;

export class SimCopy implements ChunkedCopy {
  readonly volumeId: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly content: Buffer;
  private readonly ports: CopyPorts;

  constructor(volumeId: string, sizeBytes: number, chunkBytes: number, ports: CopyPorts) {
    this.volumeId = volumeId;
    this.sizeBytes = sizeBytes;
    this.chunkBytes = chunkBytes;
    this.chunks = Math.ceil(sizeBytes / chunkBytes);
    this.content = Buffer.alloc(sizeBytes);
    this.ports = ports;
  }

  clone(index: number): Promise<void> {
    const { random } = this.ports;
    const from = (index * this.chunkBytes) / SECTOR_BYTES;
    const to = Math.min((index + 1) * this.chunkBytes, this.sizeBytes) / SECTOR_BYTES;
    const middle = random.int(from, to);
    return new Promise((resolve, reject) => {
      this.later(() => {
        const isFirstThere = this.copy(from, middle);
        this.later(() => {
          const isThere = this.copy(middle, to) && isFirstThere;
          this.later(() => (isThere ? resolve() : reject(Object.assign(new Error('EIO'), { code: 'EIO' }))));
        });
      });
    });
  }

  private copy(from: number, to: number): boolean {
    return this.ports.storage.clones(from, to - from, this.content);
  }

  private later(act: () => void): void {
    const { process, random, storage } = this.ports;
    const ms = random.chance(LATE_CHANCE) ? random.unit() * LATE_MAX_MS : random.unit() * storage.shape.effectMs;
    process.after(ms, act);
  }
}
