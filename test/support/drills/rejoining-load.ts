// Verified I/O on one NBD export whose connections may end at any time: each lane opens a connection again, and checks that acknowledged
// data is still there. Invariants: a lane has one request in flight, so that the possible contents of each block are known. The content of
// a block at the first look after a lost connection must not change afterwards, so that a write that is executed too late is noticed.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../hosts/host.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { Gaps } from './gaps.ts';

const LANES = 2;
const LANE_BLOCKS = 256;
const BLOCK_BYTES = 4_096;
const IO_BLOCKS_MAX = 8;
/** Of a hundred I/Os of a lane, READS are reads and FLUSHES are flushes. The remaining I/Os are writes. */
const READS = 30;
const FLUSHES = 4;
const FIELD_BYTES = 8;
const OPEN_AGAIN_MS = 20;
const BREACHES_MAX = 20;

export const REJOINING_BYTES = LANES * LANE_BLOCKS * BLOCK_BYTES;

/** Stamps are unique among all loads, so that the data of another volume is noticed. */
let lastStamp = 0;

interface UnderWay {
  readonly block: number;
  readonly blocks: number;
  readonly stamp: number;
}

export class RejoiningLoad {
  /** Sentences about wrong contents and unexpected errors. */
  readonly breaches: string[] = [];
  readonly gaps = new Gaps();
  answered = 0;
  /** Number of connections that ended. */
  lost = 0;
  private readonly name: string;
  private readonly socket: string;
  private readonly pauseMs: number;
  /** For each block: number of the write that it has; 0: it has none. */
  private readonly stamps = new Float64Array(LANES * LANE_BLOCKS);
  private isStopping = false;
  private readonly ended: Promise<unknown>;

  /** `pauseMs`: pause of a lane after each answer, so that the load takes no processor from concurrent tests. */
  constructor(host: Host, name: string, pauseMs: number) {
    this.name = name;
    this.socket = host.rsiodPaths.nbdSocket;
    this.pauseMs = pauseMs;
    this.ended = Promise.all(Array.from({ length: LANES }, (_, lane) => this.run(lane * LANE_BLOCKS)));
  }

  /** Resolves when all lanes have ended, and all blocks have been compared over a separate connection. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.ended;
    const nbd = await NbdIo.open(this.socket, this.name);
    for (let block = 0; block < this.stamps.length; block += IO_BLOCKS_MAX) await this.read(nbd, block, IO_BLOCKS_MAX);
    nbd.close();
  }

  private async run(first: number): Promise<void> {
    let underWay: UnderWay | null = null;
    // A lane that is stopping must first look at the write without an answer, so that the last comparison knows what each block has.
    while (!this.isStopping || underWay !== null) {
      let nbd: NbdIo | null = null;
      try {
        nbd = await NbdIo.open(this.socket, this.name);
        if (underWay !== null) await this.decide(nbd, underWay);
        underWay = null;
        while (!this.isStopping) {
          const [block, blocks, dice] = [first + randomInt(LANE_BLOCKS - IO_BLOCKS_MAX), randomInt(1, IO_BLOCKS_MAX + 1), randomInt(100)];
          if (dice < FLUSHES) await nbd.flush();
          else if (dice >= 100 - READS) await this.read(nbd, block, blocks);
          else {
            underWay = { block, blocks, stamp: ++lastStamp };
            await nbd.write(block * BLOCK_BYTES, this.contentOf(underWay));
            this.stamps.fill(underWay.stamp, block, block + blocks);
            underWay = null;
          }
          this.answered++;
          this.gaps.answered(performance.now());
          await sleep(this.pauseMs);
        }
      } catch (error) {
        const { message } = error as Error;
        if (message.startsWith('Errno')) this.breach(`${message}: I/O must wait, not fail`);
        if (nbd !== null) this.lost++;
        await sleep(OPEN_AGAIN_MS);
      }
      nbd?.close();
    }
  }

  private async read(nbd: NbdIo, block: number, blocks: number): Promise<void> {
    const found = await this.stampsIn(nbd, block, blocks);
    for (const [index, stamp] of found.entries()) {
      const wanted = this.stamps[block + index]!;
      if (stamp !== wanted) this.breach(`Block ${block + index} has write ${stamp}, and not ${wanted}`);
    }
  }

  /** Each block of a write without an answer has this write, or its earlier content. */
  private async decide(nbd: NbdIo, { block, blocks, stamp: underWay }: UnderWay): Promise<void> {
    const found = await this.stampsIn(nbd, block, blocks);
    for (const [index, stamp] of found.entries()) {
      const before = this.stamps[block + index]!;
      if (stamp !== before && stamp !== underWay)
        this.breach(`Block ${block + index} has write ${stamp}, acknowledged was ${before}, under way ${underWay}`);
      this.stamps[block + index] = stamp;
    }
  }

  /** The number of the write in each block; NaN: the block has parts of several writes, or of another block. */
  private async stampsIn(nbd: NbdIo, block: number, blocks: number): Promise<number[]> {
    const bytes = await nbd.read(block * BLOCK_BYTES, blocks * BLOCK_BYTES);
    return Array.from({ length: blocks }, (_, index) => {
      const part = bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      const stamp = Number(part.readBigUInt64BE());
      const wanted = Buffer.alloc(BLOCK_BYTES);
      if (stamp > 0) fill(wanted, stamp, block + index);
      return part.equals(wanted) ? stamp : Number.NaN;
    });
  }

  private contentOf({ block, blocks, stamp }: UnderWay): Buffer {
    const data = Buffer.alloc(blocks * BLOCK_BYTES);
    for (let index = 0; index < blocks; index++) fill(data.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES), stamp, block + index);
    return data;
  }

  private breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.name}: ${sentence}`);
  }
}

/** Fills a block with the numbers of the write and of the block, alternating. */
function fill(data: Buffer, stamp: number, block: number): void {
  for (let at = 0; at < BLOCK_BYTES; at += 2 * FIELD_BYTES) {
    data.writeBigUInt64BE(BigInt(stamp), at);
    data.writeBigUInt64BE(BigInt(block), at + FIELD_BYTES);
  }
}
