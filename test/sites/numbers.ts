// A writer of consecutive numbers to several volumes in turn, which shows whether the copies of the volumes are of one moment. Invariant:
// the last number in each volume is at its beginning; at any moment, these are consecutive numbers.

import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NbdIo } from '../support/io/nbd-io.ts';
import type { Sites } from './site.ts';

const BLOCK_BYTES = 4096;
const BLOCKS = 8_000;
const PAUSE_MS = 5;

export class Numbers {
  answered = 0;
  private isOver = false;
  private readonly ended: Promise<void>;

  constructor(volumes: readonly NbdIo[]) {
    this.ended = this.write(volumes);
    this.ended.catch(() => undefined);
  }

  /** Rejects if a write has failed. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.ended;
  }

  private async write(volumes: readonly NbdIo[]): Promise<void> {
    while (!this.isOver) {
      const block = Buffer.alloc(BLOCK_BYTES);
      block.writeUInt32LE(this.answered + 1);
      const volume = volumes[this.answered % volumes.length]!;
      await volume.write((1 + (this.answered % BLOCKS)) * BLOCK_BYTES, block);
      await volume.write(0, block);
      this.answered++;
      await sleep(PAUSE_MS);
    }
  }
}

/** Returns the difference between the highest and the lowest last number in the clones of these volumes. */
export async function spreadOf(sites: Sites, names: readonly string[] = sites.names): Promise<number> {
  const numbers = await Promise.all(names.map(async (name) => numberIn(await sites.file('target', `${name}-drill`))));
  return Math.max(...numbers) - Math.min(...numbers);
}

function numberIn(file: string): number {
  const [opened, block] = [openSync(file, 'r'), Buffer.alloc(4)];
  readSync(opened, block, 0, 4, 0);
  closeSync(opened);
  return block.readUInt32LE(0);
}
