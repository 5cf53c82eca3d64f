// One NBD connection with its volume and its client, all in memory, for tests. The test decides when a turn of the event loop ends.
// Invariant: the client does not use the server's codec.

import { NBD_FRONTEND_BYTES_MAX } from '../../limits.ts';
import { DataBuffers } from '../../streams/data-buffers.ts';
import { MemoryBudget } from '../../streams/memory-budget.ts';
import { NbdConnection } from '../nbd-connection.ts';
import { Submissions } from '../nbd-transmission.ts';
import { BatchPool } from '../../streams/transport.ts';
import { MemoryTransport } from './memory-transport.ts';
import { MemoryVolume, type MemoryVolumeOptions } from './memory-volume.ts';
import { type ClientRequest, contexts, named, optionBytes, type Reply, replies, requestBytes, u32 } from './nbd-client.ts';

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const ZEROES = 6;
export const CACHE = 5;
export const BLOCK_STATUS = 7;
export const FUA = 1;

const BUDGET = { limitBytes: NBD_FRONTEND_BYTES_MAX, reserveBytes: NBD_FRONTEND_BYTES_MAX, smallBytes: 2 ** 20 };

export class Rig {
  readonly transport = new MemoryTransport();
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly budget = new MemoryBudget(BUDGET, (fire) => this.doorTurns.push(fire));
  readonly submissions: Submissions;
  readonly volume: MemoryVolume;
  readonly log: string[] = [];
  readonly connection: NbdConnection;
  private readonly volumeTurns: (() => void)[] = [];
  private readonly doorTurns: (() => void)[] = [];
  private readonly readBytes = new Map<number, number>();

  /** `shared`: the `Submissions` of another rig. The `turn` of that other rig then ends the event-loop turn of both connections. */
  constructor(options: MemoryVolumeOptions = {}, shared: Submissions | null = null) {
    this.volume = new MemoryVolume({ ...options, schedule: (fire) => this.volumeTurns.push(fire) });
    const schedule = (fire: () => void): void => void this.doorTurns.push(fire);
    this.submissions = shared ?? new Submissions(schedule);
    const pools = { submissions: this.submissions, data: this.data, batches: this.batches, budget: this.budget, schedule };
    this.connection = new NbdConnection(this.transport, { list: () => [this.volume] }, pools, {
      serving: (volume) => this.log.push(`serving ${volume.name}`),
      elsewhere: ({ volume }, reply, rest) => this.log.push(`elsewhere ${volume.name} ${reply.length} ${rest.toString('latin1')}`),
      broken: (reason) => this.log.push(`broken: ${reason}`),
      failed: (thrown) => this.log.push(`failed: ${thrown instanceof Error ? thrown.message : ''}`),
      finished: () => this.log.push('finished'),
    });
    this.connection.start();
    this.transport.deliver();
  }

  receive(bytes: Buffer): void {
    // The memory is overwritten after the call, because a real socket also re-uses its receive buffer.
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
  }

  /** `asked`: the information types of the option GO; type 3 requests the block sizes. */
  go(structured: boolean, asked: readonly number[] = [3], wanted: readonly string[] = ['base:allocation']): this {
    this.receive(u32(3));
    const options = structured ? [optionBytes(8), optionBytes(10, contexts('oracle', wanted))] : [];
    for (const option of [...options, optionBytes(7, named('oracle', asked))]) {
      this.receive(option);
      this.transport.deliver();
    }
    this.transport.takeLeft();
    return this;
  }

  send(...requests: readonly ClientRequest[]): void {
    for (const request of requests) this.readBytes.set(request.cookie, request.type === READ ? (request.length ?? 0) : 0);
    this.receive(Buffer.concat(requests.map(requestBytes)));
  }

  /** The volume completes up to `most` requests. */
  complete(most = Number.POSITIVE_INFINITY): void {
    for (const fire of this.volumeTurns.splice(0, most)) fire();
  }

  /** Runs `fire` as one completion of the volume, after the completions that are already waiting. */
  later(fire: () => void): void {
    this.volumeTurns.push(fire);
  }

  turn(): void {
    for (const fire of this.doorTurns.splice(0)) fire();
  }

  answers(): Reply[] {
    for (let i = 0; i < 1000 && this.volumeTurns.length + this.doorTurns.length + this.transport.waitingBytes > 0; i++) {
      this.complete();
      this.turn();
      this.transport.deliver();
    }
    return replies(this.transport.takeLeft(), this.readBytes);
  }

  errors(...requests: readonly ClientRequest[]): string[] {
    this.send(...requests);
    return this.answers().map(({ cookie, errno }) => `#${cookie} ${errno}`);
  }

  get buffersInUse(): number {
    return this.data.inUse + this.batches.inUse + this.budget.usedBytes;
  }
}
