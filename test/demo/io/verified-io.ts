// I/O with verification: several lanes write blocks of a volume, read each block back and compare it. `verifyAll` compares all blocks
// again. The longest time without a completed request is measured. Invariant: no two lanes ever touch the same block.

import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { NbdClient } from '../../support/io/nbd-client.ts';
import { fillPattern } from './pattern.ts';

const LANES = 8;
const BLOCK_BYTES = 64 * 1024;

export interface Counts {
  writes: number;
  reads: number;
  different: number;
  errors: number;
}

export class VerifiedIo {
  readonly counts: Counts = { writes: 0, reads: 0, different: 0, errors: 0 };
  private readonly client: NbdClient;
  private readonly blocks: number;
  /** For each block: the round in which it was written last; 0: the block was never written. */
  private readonly rounds: Uint32Array;
  private stopping = false;
  private lastMs = 0;
  private longestGapMs = 0;
  private firstError: Error | undefined;

  constructor(client: NbdClient) {
    this.client = client;
    this.blocks = Math.floor(client.sizeBytes / BLOCK_BYTES);
    this.rounds = new Uint32Array(this.blocks);
  }

  /** Resolves when `stop` was called and all requests in flight have ended, or a request has failed. */
  async run(): Promise<void> {
    this.lastMs = performance.now();
    await this.inLanes((lane) => this.writeLane(lane));
    await this.tried(() => this.client.flush());
  }

  stop(): void {
    this.stopping = true;
  }

  /** The longest time without a completed request since the last call, in ms. */
  takeLongestGapMs(): number {
    const longestMs = Math.max(this.longestGapMs, performance.now() - this.lastMs);
    this.longestGapMs = 0;
    return longestMs;
  }

  /** Reads every written block again. Returns their number. */
  async verifyAll(): Promise<number> {
    await this.inLanes((lane) => this.verifyLane(lane));
    return this.rounds.reduce((sum, round) => sum + (round > 0 ? 1 : 0), 0);
  }

  /** Throws the first failure so far. */
  check(): void {
    const { errors, different } = this.counts;
    if (errors + different === 0) return;
    const cause = this.firstError === undefined ? '' : ` (${this.firstError.message})`;
    throw new RsError('E_VOLUME', `${errors} requests failed and ${different} blocks came back different${cause}: see the logs below`);
  }

  private async inLanes(work: (lane: number) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => work(lane)));
  }

  private async writeLane(lane: number): Promise<void> {
    const expected = Buffer.alloc(BLOCK_BYTES);
    for (let round = 1; ; round += 1) {
      for (let block = lane; block < this.blocks; block += LANES) {
        if (this.stopping || this.firstError !== undefined) return;
        fillPattern(expected, block, round);
        const done = await this.tried(() => this.client.write(block * BLOCK_BYTES, expected));
        if (!done) return;
        this.counts.writes += 1;
        this.rounds[block] = round;
        await this.compare(block, expected);
      }
    }
  }

  private async verifyLane(lane: number): Promise<void> {
    const expected = Buffer.alloc(BLOCK_BYTES);
    for (let block = lane; block < this.blocks && this.firstError === undefined; block += LANES) {
      const round = this.rounds[block] ?? 0;
      if (round === 0) continue;
      fillPattern(expected, block, round);
      await this.compare(block, expected);
    }
  }

  private async compare(block: number, expected: Buffer): Promise<void> {
    await this.tried(async () => {
      const found = await this.client.read(block * BLOCK_BYTES, BLOCK_BYTES);
      this.counts.reads += 1;
      if (!found.equals(expected)) this.counts.different += 1;
    });
  }

  private async tried(request: () => Promise<void>): Promise<boolean> {
    try {
      await request();
    } catch (thrown) {
      this.counts.errors += 1;
      this.firstError ??= toRsError(thrown);
      return false;
    }
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs);
    this.lastMs = nowMs;
    return true;
  }
}
