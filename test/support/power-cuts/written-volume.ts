// A volume whose writes are all recorded. Lanes write, discard and flush places that are spread over the volume, and every block contains
// the number of its write. The drill makes faults and snapshots. Invariants: a lane has one request in flight, and repeats a failed request
// until it succeeds. Blocks that no lane writes stay zeros.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Host } from '../hosts/host.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { waitFor } from '../programs/wait-for.ts';
import { BlockHistory, ZERO } from './block-history.ts';

const BLOCK_BYTES = 4096;
const LANES = 3;
/** PLACES: number of places of each lane. PLACE_BLOCKS: number of consecutive blocks at a place. */
const PLACES = 24;
const PLACE_BLOCKS = 4;
const STAMP_BYTES = 8;
const [FLUSH_SHARE, DISCARD_SHARE] = [0.1, 0.05];
/** Longest wait for an answer. This wait is longer than any outage of a drill. */
const ANSWER_MS = 120_000;
const AGAIN_MS = 20;
const GOES_ON_MS = 20_000;
const PROBLEMS_MAX = 5;

/** Moments of all events of a drill. */
export class EventClock {
  private last = 0;

  now(): number {
    return ++this.last;
  }
}

export class WrittenVolume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Number of failed writes and flushes. */
  errors = 0;
  /** Number of successful writes, discards and flushes. */
  answered = 0;
  private readonly clock: EventClock;
  private readonly blocks = new Map<number, BlockHistory>();
  private readonly counts: number[] = [];
  private connections: NbdIo[] = [];
  private isStopped = true;
  private ended: Promise<unknown> = Promise.resolve();

  constructor(name: string, sizeBytes: number, clock: EventClock) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.clock = clock;
    for (let lane = 0; lane < LANES; lane++)
      for (let place = 0; place < PLACES; place++)
        for (let block = 0; block < PLACE_BLOCKS; block++) this.blocks.set(this.blockAt(lane, place) + block, new BlockHistory());
  }

  async connect(host: Host): Promise<void> {
    for (let lane = 0; lane < LANES; lane++)
      this.connections.push(await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${this.name}`, ANSWER_MS));
  }

  disconnect(): void {
    for (const nbd of this.connections) nbd.close();
    this.connections = [];
  }

  /** Writes until `stop`. `flushes`: whether the lanes also flush while they write. */
  start(seed: number, flushes: boolean): void {
    this.isStopped = false;
    this.counts.splice(0, Infinity, ...this.connections.map(() => 0));
    this.ended = Promise.all(this.connections.map((nbd, lane) => this.write(nbd, lane, new SeededRandom(seed + lane), flushes)));
    this.ended.catch(() => undefined);
  }

  /** Resolves when each lane has got an answer after this call. */
  async goesOn(): Promise<void> {
    const before = [...this.counts];
    await waitFor(() => this.counts.every((count, lane) => count > before[lane]!), GOES_ON_MS, `Writes of ${this.name} go on`);
  }

  /** Resolves when all requests are answered and flushed. Rejects if the client has lost the volume. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.ended;
  }

  /** Examines the data file after a power cut, before the server starts. Returns a problem for each block that lacks a flushed write. */
  afterCut(file: string): string[] {
    return this.judge(file, 'after the cut', (history, stamp) => history.mayBeAfterCut(stamp));
  }

  /** Examines the data file while no lane writes. Returns a problem for each block whose content differs from its last answered write. */
  atRest(file: string): string[] {
    const problems = this.judge(file, 'at rest', (history, stamp) => history.content === stamp);
    if (problems.length === 0) for (const history of this.blocks.values()) history.forget();
    return problems;
  }

  /**
   * Returns, for each block, the intervals in which the block could have had the content that it has in this copy. Adds a problem for each
   * block that never had this content.
   */
  momentsOf(file: string, problems: string[]): (readonly (readonly [from: number, to: number])[])[] {
    const moments: (readonly (readonly [number, number])[])[] = [];
    this.look(file, problems, (number, stamp) => {
      const possible = this.blocks.get(number)!.momentsOf(stamp);
      if (possible.length === 0) note(problems, `${file}: block ${number} has ${stamp}, which is no content of this block`);
      moments.push(possible);
    });
    return moments;
  }

  private judge(file: string, when: string, isRight: (history: BlockHistory, stamp: number) => boolean): string[] {
    const problems: string[] = [];
    this.look(file, problems, (number, stamp) => {
      const history = this.blocks.get(number)!;
      if (!isRight(history, stamp)) note(problems, `${this.name} ${when}: block ${number} has ${stamp}; ${history.text}`);
    });
    return problems;
  }

  /** Reads all blocks, and passes blocks that lanes write to `seen`. */
  private look(file: string, problems: string[], seen: (number: number, stamp: number) => void): void {
    const bytes = readFileSync(file);
    if (bytes.length !== this.sizeBytes) note(problems, `${file} has ${bytes.length} bytes, and not ${this.sizeBytes}`);
    for (let number = 0; number < bytes.length / BLOCK_BYTES; number++) {
      const block = bytes.subarray(number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES);
      const stamp = Number(block.readBigUInt64LE(0));
      if (!block.equals(content(stamp, 1))) note(problems, `${file}: block ${number} is not whole`);
      else if (this.blocks.has(number)) seen(number, stamp);
      else if (stamp !== ZERO) note(problems, `${file}: block ${number} has ${stamp}, and nobody has written it`);
    }
  }

  private blockAt(lane: number, place: number): number {
    const blocks = this.sizeBytes / BLOCK_BYTES;
    const at = Math.floor(((place * LANES + lane) * blocks) / (PLACES * LANES));
    // The last place is at the end of the volume, so that the last blocks are also written.
    return place === PLACES - 1 && lane === LANES - 1 ? blocks - PLACE_BLOCKS : at;
  }

  private async write(nbd: NbdIo, lane: number, random: SeededRandom, flushes: boolean): Promise<void> {
    while (!this.isStopped) {
      const first = random.int(0, PLACE_BLOCKS - 1);
      const block = this.blockAt(lane, random.int(0, PLACES - 1)) + first;
      await this.change(nbd, block, random.int(1, PLACE_BLOCKS - first), random.chance(DISCARD_SHARE));
      this.counts[lane]!++;
      if (flushes && random.chance(FLUSH_SHARE)) await this.flush(nbd, lane);
    }
    await this.flush(nbd, lane);
  }

  private async change(nbd: NbdIo, block: number, count: number, isDiscard: boolean): Promise<void> {
    const histories = Array.from({ length: count }, (_, index) => this.blocks.get(block + index)!);
    const now = this.clock.now();
    const stamp = isDiscard ? ZERO : now;
    for (const history of histories) history.begin(stamp, now);
    const [offset, data] = [block * BLOCK_BYTES, content(stamp, count)];
    await this.untilAnswered(() => (isDiscard ? nbd.trim(offset, data.length) : nbd.write(offset, data)));
    const end = this.clock.now();
    for (const history of histories) history.answered(end);
  }

  private async flush(nbd: NbdIo, lane: number): Promise<void> {
    const own = Array.from({ length: PLACES * PLACE_BLOCKS }, (_, index) =>
      this.blocks.get(this.blockAt(lane, Math.floor(index / PLACE_BLOCKS)) + (index % PLACE_BLOCKS))!.flush(),
    );
    await this.untilAnswered(() => nbd.flush());
    for (const isFlushed of own) isFlushed();
  }

  /** Repeats a request until it succeeds. After an error, the request may have been executed or not. */
  private async untilAnswered(request: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await request();
        this.answered++;
        return;
      } catch (error) {
        if (!(error as Error).message.startsWith('Errno ')) throw error;
        this.errors++;
        await sleep(AGAIN_MS);
      }
    }
  }
}

function note(problems: string[], problem: string): void {
  if (problems.length < PROBLEMS_MAX) problems.push(problem);
}

/** Returns the content of blocks: the number of the write, repeated every eight bytes. */
function content(stamp: number, blocks: number): Buffer {
  const word = Buffer.alloc(STAMP_BYTES);
  word.writeBigUInt64LE(BigInt(stamp));
  return Buffer.alloc(blocks * BLOCK_BYTES, word);
}
