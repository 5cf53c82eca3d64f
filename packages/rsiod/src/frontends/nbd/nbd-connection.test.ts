// One connection from its first byte to its end, over a transport and a volume in memory that the test steps. The oracles: an NBD client that
// does not use the server's codec, and the volume's content and record of requests. Real sockets are tested in nbd-frontend.test.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NBD_BATCHES_SENDING_MAX,
  NBD_BATCH_BYTES,
  NBD_BYTES_OUT_MAX,
  NBD_FRONTEND_BYTES_MAX,
  NBD_REPLY_COPY_MAX_BYTES,
  NBD_REQUESTS_OUT_MAX,
  NBD_REQUEST_MAX_BYTES,
} from './wire/limits.ts';
import { assert } from '@rsio/common/lib/assert';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Extent } from '../../volumes/frontend-volume.ts';
import { DataBuffers } from './data-buffers.ts';
import { MemoryBudget } from './memory-budget.ts';
import { NbdConnection } from './nbd-connection.ts';
import { BatchPool } from './nbd-transport.ts';
import { MemoryTransport } from './testing/memory-transport.ts';
import { MemoryVolume, type MemoryVolumeOptions } from './testing/memory-volume.ts';
import { type ClientRequest, contexts, named, optionBytes, type Reply, replies, requestBytes, u32 } from './testing/nbd-client.ts';

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const ZEROES = 6;
const CACHE = 5;
const BLOCK_STATUS = 7;
const FUA = 1;

const BUDGET = { limitBytes: NBD_FRONTEND_BYTES_MAX, reserveBytes: NBD_FRONTEND_BYTES_MAX, smallBytes: 2 ** 20 };

/** A connection, its volume and its client. The test decides the turns of the event loop. */
class Rig {
  readonly transport = new MemoryTransport();
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly budget = new MemoryBudget(BUDGET, (fire) => this.doorTurns.push(fire));
  readonly volume: MemoryVolume;
  readonly log: string[] = [];
  readonly connection: NbdConnection;
  private readonly volumeTurns: (() => void)[] = [];
  private readonly doorTurns: (() => void)[] = [];
  private readonly readBytes = new Map<number, number>();

  constructor(options: MemoryVolumeOptions = {}) {
    this.volume = new MemoryVolume({ ...options, schedule: (fire) => this.volumeTurns.push(fire) });
    const schedule = (fire: () => void): void => void this.doorTurns.push(fire);
    const pools = { data: this.data, batches: this.batches, budget: this.budget, schedule };
    this.connection = new NbdConnection(this.transport, { list: () => [this.volume] }, pools, {
      serving: (volume) => this.log.push(`serving ${volume.name}`),
      broken: (reason) => this.log.push(`broken: ${reason}`),
      failed: (thrown) => this.log.push(`failed: ${thrown instanceof Error ? thrown.message : ''}`),
      finished: () => this.log.push('finished'),
    });
    this.connection.start();
    this.transport.deliver();
  }

  receive(bytes: Buffer): void {
    // As with a socket, the memory has another owner as soon as the call returns.
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
  }

  /** `asked`: with 3 the client asks for the block sizes. */
  go(structured: boolean, asked: readonly number[] = [3]): this {
    this.receive(u32(3));
    const options = structured ? [optionBytes(8), optionBytes(10, contexts('oracle', ['base:allocation']))] : [];
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

  /** The volume does this in its turn. */
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

describe.each([false, true])('requests (structured %s)', (structured) => {
  it('are executed and answered', () => {
    const rig = new Rig().go(structured);
    rig.send({ type: WRITE, cookie: 1, offset: 512, flags: FUA, data: Buffer.alloc(1024, 5) });
    expect(rig.answers()).toMatchObject([{ cookie: 1, errno: 0, chunk: null }]);
    rig.send({ type: READ, cookie: 2, offset: 1024, length: 1024 });
    const [read] = rig.answers();
    const content = Buffer.concat([Buffer.alloc(512, 5), Buffer.alloc(512)]);
    const offset = structured ? Buffer.from('0000000000000400', 'hex') : Buffer.alloc(0);
    expect(read).toEqual({ cookie: 2, errno: 0, chunk: structured ? 1 : null, data: Buffer.concat([offset, content]) });
    rig.send({ type: FLUSH, cookie: 3 }, { type: TRIM, cookie: 4, offset: 512, length: 512 });
    rig.send({ type: ZEROES, cookie: 5, offset: 1024, length: 512, flags: FUA | 2 });
    expect(rig.answers().map(({ cookie, errno }) => [cookie, errno])).toEqual([[3, 0], [4, 0], [5, 0]]); // biome-ignore format: pairs
    expect(rig.volume.seen).toEqual(['write 512+1024 fua', 'read 1024+1024', 'flush 0+0', 'discard 512+512', 'zero 1024+512 fua keep']);
    expect(rig.buffersInUse).toBe(0);
  });

  it('carry any data unchanged, large and small, in any cuts', () => {
    const sizes = [512, NBD_REPLY_COPY_MAX_BYTES - 512, NBD_REPLY_COPY_MAX_BYTES, 300 * 1024];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 12 }), fc.constantFrom(...sizes), (cuts, size) => {
        const rig = new Rig().go(structured);
        const data = Buffer.alloc(size, 'some text that does not repeat at a power of two');
        const write = requestBytes({ type: WRITE, cookie: 1, offset: 1024, data });
        let at = 0;
        for (const cut of [...cuts, write.length]) {
          if (at < write.length) rig.receive(write.subarray(at, at + cut));
          at += cut;
        }
        expect(rig.answers()).toMatchObject([{ cookie: 1, errno: 0 }]);
        rig.send({ type: READ, cookie: 2, offset: 1024, length: size }, { type: READ, cookie: 3, offset: 1024, length: size });
        for (const { data: got } of rig.answers()) expect(data.equals(got.subarray(structured ? 8 : 0))).toBe(true);
        expect(rig.buffersInUse).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('that fail report the reason as an NBD errno', () => {
    const end = 1024 * 1024;
    const rig = new Rig().go(structured);
    const past = 2n ** 63n;
    expect(rig.errors({ type: READ, cookie: 1, offset: end, length: 512 })).toEqual(['#1 22']);
    expect(rig.errors({ type: WRITE, cookie: 2, offset: end, data: Buffer.alloc(512) })).toEqual(['#2 28']);
    expect(rig.errors({ type: ZEROES, cookie: 3, offset: end - 512, length: 1024 })).toEqual(['#3 28']);
    expect(rig.errors({ type: WRITE, cookie: 4, offset: past, data: Buffer.alloc(512) })).toEqual(['#4 28']);
    expect(rig.errors({ type: READ, cookie: 5, offset: past, length: 512 })).toEqual(['#5 22']);
    expect(rig.errors({ type: READ, cookie: 6, offset: 1, length: 512 })).toEqual(['#6 22']);
    rig.volume.fail = STATUS.IO_ERROR;
    expect(rig.errors({ type: READ, cookie: 7, length: 512 }, { type: FLUSH, cookie: 8 })).toEqual(['#7 5', '#8 5']);
    rig.volume.fail = STATUS.SHUTTING_DOWN;
    expect(rig.errors({ type: WRITE, cookie: 9, data: Buffer.alloc(512) })).toEqual(['#9 108']);
    expect(rig.buffersInUse).toBe(0);
  });

  it('that are malformed never reach the volume, and the next one is understood', () => {
    const rig = new Rig({ canDiscard: false }).go(structured);
    const long = NBD_REQUEST_MAX_BYTES + 512;
    const refused: ClientRequest[] = [
      { type: 99, cookie: 1, length: 512 },
      { type: 8, cookie: 2, length: 512 },
      { type: READ, cookie: 3, length: 0 },
      { type: READ, cookie: 4, length: 512, flags: 1 << 3 },
      { type: WRITE, cookie: 5, data: Buffer.alloc(512), flags: 1 << 9 },
      { type: WRITE, cookie: 6, data: Buffer.alloc(0) },
      { type: READ, cookie: 7, length: long },
      { type: ZEROES, cookie: 8, length: 512, flags: 1 << 5 },
      { type: TRIM, cookie: 9, length: 512 },
      { type: FLUSH, cookie: 10, length: 512 },
    ];
    expect(rig.errors(...refused)).toEqual(refused.map(({ cookie }) => `#${cookie} 22`));
    rig.receive(requestBytes({ type: WRITE, cookie: 11, length: long }));
    for (let left = long; left > 0; left -= 1024 * 1024) rig.receive(Buffer.alloc(Math.min(left, 1024 * 1024), 0x25));
    expect(rig.errors({ type: FLUSH, cookie: 12 })).toEqual(['#11 22', '#12 0']);
    expect(rig.volume.seen).toEqual(['flush 0+0']);
  });

  it('to a read-only volume are refused as such', () => {
    const rig = new Rig({ readonly: true }).go(structured);
    const changes: ClientRequest[] = [
      { type: WRITE, cookie: 1, data: Buffer.alloc(512) },
      { type: TRIM, cookie: 2, length: 512 },
      { type: ZEROES, cookie: 3, length: 512 },
    ];
    expect(rig.errors(...changes, { type: READ, cookie: 4, length: 512 })).toEqual(['#1 1', '#2 1', '#3 1', '#4 0']);
  });
});

describe('structured replies', () => {
  it('carry the error text and, for a read, the offset', () => {
    const rig = new Rig().go(true);
    rig.send({ type: READ, cookie: 1, offset: 2 ** 40, length: 512 }, { type: WRITE, cookie: 2, offset: 2 ** 40, data: Buffer.alloc(512) });
    const [read, write] = rig.answers();
    expect([read?.chunk, write?.chunk]).toEqual([0x8002, 0x8001]);
    expect(read?.data.toString('utf8', 6, 6 + (read?.data.readUInt16BE(4) ?? 0))).toBe('The range goes past the end of the volume');
    expect(read?.data.subarray(-8).toString('hex')).toBe('0000010000000000');
  });

  it('honour DF, or report that they cannot', () => {
    const rig = new Rig().go(true);
    expect(rig.errors({ type: READ, cookie: 1, length: 200 * 1024, flags: 4 })).toEqual(['#1 0']);
    expect(rig.errors({ type: READ, cookie: 2, length: NBD_REQUEST_MAX_BYTES + 1, flags: 4 })).toEqual(['#2 75']);
    expect(new Rig().go(false).errors({ type: READ, cookie: 3, length: 512, flags: 4 })).toEqual(['#3 22']);
  });

  it('report allocation', () => {
    const rig = new Rig().go(true);
    rig.send({ type: WRITE, cookie: 1, offset: 1024, data: Buffer.alloc(512, 1) });
    rig.answers();
    rig.send({ type: BLOCK_STATUS, cookie: 2, length: 4096 }, { type: BLOCK_STATUS, cookie: 3, length: 4096, flags: 8 });
    const [all, one] = rig.answers();
    expect(all).toMatchObject({ cookie: 2, chunk: 5, data: u32(1, 1024, 3, 512, 0, 2560, 3) });
    expect(one).toMatchObject({ cookie: 3, chunk: 5, data: u32(1, 1024, 3) });
    expect(rig.errors({ type: BLOCK_STATUS, cookie: 4, offset: 2 ** 30, length: 512 })).toEqual(['#4 22']);
    rig.volume.fail = STATUS.UNSUPPORTED;
    rig.send({ type: BLOCK_STATUS, cookie: 5, length: 4096 });
    expect(rig.answers()).toMatchObject([{ cookie: 5, chunk: 5, data: u32(1, 4096, 0) }]);
    expect(new Rig().go(false).errors({ type: BLOCK_STATUS, cookie: 6, length: 512 })).toEqual(['#6 22']);
  });
});

describe('batching', () => {
  it('sends the replies of one turn with one system call', () => {
    const rig = new Rig().go(false);
    const before = rig.transport.calls;
    const large = NBD_REPLY_COPY_MAX_BYTES;
    rig.send(...Array.from({ length: 20 }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: i % 5 === 0 ? large : 4096 })));
    rig.complete();
    rig.turn();
    expect(rig.transport.calls - before).toBe(1);
    expect(rig.answers()).toHaveLength(20);
  });

  it('keeps a buffer until its data has left', () => {
    const rig = new Rig().go(false);
    const size = NBD_REPLY_COPY_MAX_BYTES;
    rig.send({ type: WRITE, cookie: 1, data: Buffer.alloc(size, 1) });
    rig.answers();
    rig.send({ type: READ, cookie: 2, length: size });
    rig.complete();
    rig.turn();
    rig.send({ type: WRITE, cookie: 3, data: Buffer.alloc(size, 2) }, { type: READ, cookie: 4, length: size });
    rig.complete();
    const [write, first, second] = [...rig.answers()].sort(
      (a, b) => Number(b.cookie === 3) - Number(a.cookie === 3) || a.cookie - b.cookie,
    );
    expect([write?.cookie, first?.cookie, second?.cookie]).toEqual([3, 2, 4]);
    expect(first?.data.equals(Buffer.alloc(size, 1))).toBe(true);
    expect(second?.data.equals(Buffer.alloc(size, 2))).toBe(true);
  });
});

describe('bounds', () => {
  it('on requests: beyond them the client is not read, and reading resumes when answers have left', () => {
    const rig = new Rig().go(false);
    const count = NBD_REQUESTS_OUT_MAX + 100;
    rig.send(...Array.from({ length: count }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: 512 })));
    expect(rig.volume.underWay).toBe(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.paused).toBe(true);
    rig.complete();
    rig.turn();
    expect(rig.volume.underWay).toBe(0);
    expect(rig.transport.paused).toBe(true);
    rig.transport.deliver();
    expect(rig.volume.underWay).toBe(100);
    expect(rig.transport.paused).toBe(false);
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it('on bytes: the same', () => {
    const rig = new Rig().go(false);
    const most = NBD_BYTES_OUT_MAX / NBD_REQUEST_MAX_BYTES;
    rig.volume.fail = STATUS.IO_ERROR;
    rig.send(...Array.from({ length: most + 1 }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: NBD_REQUEST_MAX_BYTES })));
    expect(rig.volume.underWay).toBe(most);
    expect(rig.transport.paused).toBe(true);
    expect(rig.answers()).toHaveLength(most + 1);
    expect(rig.transport.paused).toBe(false);
    expect(rig.buffersInUse).toBe(0);
  });

  it('on a client that reads nothing: memory stays bounded, however long it sends', () => {
    const rig = new Rig().go(false);
    for (let round = 0; round < 1000 && !rig.transport.paused; round++) {
      rig.send({ type: READ, cookie: round, length: 512 });
      rig.complete();
      rig.turn();
    }
    expect(rig.transport.paused).toBe(true);
    expect(rig.transport.waitingBytes).toBeLessThan(NBD_REQUESTS_OUT_MAX * 528);
    const full = Math.floor((NBD_REQUESTS_OUT_MAX * 528) / NBD_BATCH_BYTES);
    expect(rig.batches.inUse).toBeLessThanOrEqual(NBD_BATCHES_SENDING_MAX + 1 + full);
  });

  it('on the data of all connections: beyond it the client is not read, except for one request, until another connection returns memory', () => {
    const rig = new Rig().go(true);
    const other = { roomAgain: () => undefined };
    rig.budget.take(other, NBD_FRONTEND_BYTES_MAX, true);
    const reads = [1, 2, 3].map((cookie) => ({ type: READ, cookie, offset: 0, length: 4096 }));
    rig.send(...reads);
    expect([rig.volume.seen.length, rig.transport.paused]).toEqual([1, true]);
    rig.budget.giveBack(NBD_FRONTEND_BYTES_MAX);
    rig.turn();
    expect([rig.volume.seen.length, rig.transport.paused]).toEqual([3, false]);
    expect(rig.answers()).toHaveLength(3);
    expect(rig.buffersInUse).toBe(0);
  });

  it('on options: one at a time, so that answers cannot pile up', () => {
    const rig = new Rig();
    rig.receive(Buffer.concat([u32(3), ...new Array<Buffer>(100).fill(optionBytes(3))]));
    expect(rig.transport.paused).toBe(true);
    expect(rig.transport.waitingBytes).toBeLessThan(200);
    for (let i = 0; i < 100; i++) rig.transport.deliver();
    expect(rig.transport.paused).toBe(false);
  });
});

describe('the end of a connection', () => {
  it('by DISC comes after the answers to earlier requests, and nothing after it is read', () => {
    const rig = new Rig().go(false);
    rig.send({ type: READ, cookie: 1, length: 512 }, { type: DISC, cookie: 2 }, { type: FLUSH, cookie: 3 });
    expect(rig.transport.ended).toBe(false);
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual([1]);
    expect(rig.transport.ended).toBe(true);
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'finished']);
  });

  it('by end of input comes after all earlier requests, held ones included', () => {
    const rig = new Rig().go(false);
    const count = NBD_REQUESTS_OUT_MAX + 10;
    rig.send(...Array.from({ length: count }, (_, i): ClientRequest => ({ type: FLUSH, cookie: i })));
    rig.connection.inputEnd();
    expect(rig.transport.ended).toBe(false);
    expect(rig.answers()).toHaveLength(count);
    expect(rig.transport.ended).toBe(true);
  });

  it('in the middle of a write: that write is not executed', () => {
    const rig = new Rig().go(false);
    const write = requestBytes({ type: WRITE, cookie: 1, data: Buffer.alloc(4096) });
    rig.receive(write.subarray(0, write.length - 1));
    rig.connection.inputEnd();
    expect(rig.transport.ended).toBe(true);
    rig.connection.closed();
    expect(rig.volume.seen).toEqual([]);
    expect(rig.log).toEqual(['serving oracle', 'finished']);
    expect(rig.buffersInUse).toBe(0);
  });

  it('by disconnect: requests finish in the volume, get no answer, return their buffers, and held requests are dropped', () => {
    const rig = new Rig().go(true);
    const total = NBD_REQUESTS_OUT_MAX + 5;
    rig.send(...Array.from({ length: total }, (_, i): ClientRequest => ({ type: READ, cookie: i, length: i % 2 === 0 ? 512 : 65536 })));
    rig.complete(10);
    rig.turn();
    rig.complete(10);
    rig.transport.failWrites();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle']);
    rig.complete();
    rig.turn();
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.log).toEqual(['serving oracle', 'finished']);
    expect(rig.transport.takeLeft()).toHaveLength(0);
    expect(rig.buffersInUse).toBe(0);
  });

  it('by a failed write: requests still in the socket are not executed later', () => {
    const rig = new Rig().go(false);
    rig.send(...Array.from({ length: NBD_REQUESTS_OUT_MAX + 1 }, (_, i): ClientRequest => ({ type: FLUSH, cookie: i })));
    rig.complete();
    rig.turn();
    rig.transport.failWrites();
    expect(rig.volume.seen).toHaveLength(NBD_REQUESTS_OUT_MAX);
    expect(rig.transport.paused).toBe(true);
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'finished']);
  });

  it('by malformed bytes: the connection is closed and the reason reported', () => {
    const rig = new Rig().go(false);
    rig.receive(Buffer.alloc(28, 0xab));
    const haggling = new Rig();
    haggling.receive(Buffer.concat([u32(1), Buffer.alloc(16)]));
    const odd = new Rig();
    odd.receive(u32(0x80));
    expect([rig.transport.destroyed, haggling.transport.destroyed, odd.transport.ended]).toEqual([true, true, true]);
    expect([...rig.log, ...haggling.log]).toEqual([
      'serving oracle',
      'broken: the client sent a request that begins with 0xabababab',
      'broken: the client sent an option that does not begin with IHAVEOPT',
    ]);
  });

  it('by ABORT comes after its ACK', () => {
    const rig = new Rig();
    rig.receive(Buffer.concat([u32(3), optionBytes(2), optionBytes(3)]));
    expect(rig.transport.ended).toBe(true);
    rig.transport.deliver();
    expect(rig.transport.takeLeft().subarray(18).toString('hex')).toBe('0003e889045565a9' + '00000002' + '00000001' + '00000000');
  });

  it('by drain answers the requests in flight and accepts no more', () => {
    const rig = new Rig().go(false);
    rig.send({ type: FLUSH, cookie: 1 });
    rig.connection.drain();
    rig.send({ type: FLUSH, cookie: 2 });
    expect(rig.answers().map(({ cookie }) => cookie)).toEqual([1]);
    expect(rig.transport.ended).toBe(true);
  });
});

describe('a bug of our own ends its connection and nothing else', () => {
  it('while a request is passed on: the connection counts as ended only when the volume has returned its requests', () => {
    const rig = new Rig().go(true);
    rig.send({ type: READ, cookie: 1, offset: 0, length: 4096 });
    rig.volume.submit = () => {
      throw new Error('a mistake');
    };
    rig.send({ type: READ, cookie: 2, offset: 0, length: 4096 }, { type: READ, cookie: 3, offset: 0, length: 4096 });
    expect(rig.transport.destroyed).toBe(true);
    rig.transport.failWrites();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake']);
    rig.complete();
    rig.turn();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake', 'finished']);
  });

  it('when the volume answers', () => {
    const rig = new Rig().go(true);
    rig.volume.extents = (_position, _length, done) => rig.later(() => done(STATUS.OK, [null as unknown as Extent]));
    rig.send({ type: BLOCK_STATUS, cookie: 1, offset: 0, length: 4096 });
    rig.complete();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', expect.stringMatching(/^failed: Cannot read/), 'finished']);
  });

  it('when an answer cannot be written', () => {
    const rig = new Rig().go(true);
    rig.send({ type: FLUSH, cookie: 1 });
    rig.batches.take = () => {
      throw new Error('a mistake');
    };
    rig.complete();
    rig.connection.closed();
    expect(rig.log).toEqual(['serving oracle', 'failed: a mistake', 'finished']);
  });

  it('except that a failed assertion ends the process, as everywhere', () => {
    const rig = new Rig().go(true);
    rig.volume.submit = () => assert(false, 'the trunk is broken');
    expect(() => rig.send({ type: FLUSH, cookie: 1 })).toThrow('the trunk is broken');
  });
});

it('BLOCK_STATUS of any range queries whole blocks, and the answer covers the requested range', () => {
  const rig = new Rig({ blockSizeBytes: 4096 }).go(true);
  rig.send({ type: WRITE, cookie: 1, offset: 4096, data: Buffer.alloc(4096, 5) });
  rig.answers();
  rig.send({ type: BLOCK_STATUS, cookie: 2, offset: 4000, length: 5000 });
  expect(rig.volume.seen.at(-1)).toBe('extents 0+12288');
  expect(rig.answers()[0]?.data.toString('hex')).toBe('00000001' + '0000006000000003' + '0000100000000000' + '0000032800000003');
  expect(rig.errors({ type: BLOCK_STATUS, cookie: 3, offset: 0, length: 0xffffffff })).toEqual(['#3 22']);
  expect(rig.errors({ type: BLOCK_STATUS, cookie: 4, offset: 2n ** 64n - 1n, length: 0xffffffff })).toEqual(['#4 22']);
});

it('a READ of no bytes is refused without an offset, which would lie outside the request', () => {
  const rig = new Rig().go(true);
  rig.send({ type: READ, cookie: 1, offset: 512, length: 0 }, { type: READ, cookie: 2, offset: 2 ** 40, length: 512 });
  expect(rig.answers().map(({ errno, chunk }) => [errno, chunk])).toEqual([[22, 0x8001], [22, 0x8002]]); // biome-ignore format: pairs
});

it.each([
  ['READ', READ, 22],
  ['WRITE', WRITE, 28],
  ['TRIM', TRIM, 22],
  ['CACHE', CACHE, 22],
  ['WRITE_ZEROES', ZEROES, 28],
  ['BLOCK_STATUS', BLOCK_STATUS, 22],
])('%s past the end is answered with the error that the NBD document names', (_name, type, errno) => {
  const rig = new Rig().go(true);
  const size = rig.volume.sizeBytes;
  const data = type === WRITE ? { data: Buffer.alloc(1024) } : {};
  const requests = [size - 512, size, 2n ** 64n - 1024n].map((offset, cookie) => ({ type, cookie, offset, length: 1024, ...data }));
  expect(rig.errors(...requests)).toEqual([0, 1, 2].map((cookie) => `#${cookie} ${errno}`));
});

it('on a read-only volume without discard, TRIM is refused as read-only', () => {
  const rig = new Rig({ readonly: true, canDiscard: false }).go(true);
  expect(rig.errors({ type: TRIM, cookie: 1, offset: 0, length: 512 })).toEqual(['#1 1']);
});

it('CACHE is answered without a request to the volume', () => {
  const rig = new Rig().go(true);
  expect(rig.errors({ type: CACHE, cookie: 1, offset: 1, length: 1000 })).toEqual(['#1 0']);
  expect(rig.volume.seen).toEqual([]);
});

it('FAST_ZERO is executed where a hole is made, and refused at once elsewhere', () => {
  const fast = { type: ZEROES, offset: 0, length: 4096 };
  const rig = new Rig().go(true);
  expect(rig.errors({ ...fast, cookie: 1, flags: 16 }, { ...fast, cookie: 2, flags: 18 })).toEqual(['#2 95', '#1 0']);
  expect(rig.volume.seen).toEqual(['zero 0+4096']);
  expect(new Rig({ canDiscard: false }).go(true).errors({ ...fast, cookie: 1, flags: 16 })).toEqual(['#1 95']);
});

it('a client that has not asked for the block sizes may request any range of bytes', () => {
  const rig = new Rig({ blockSizeBytes: 4096 }).go(true, []);
  rig.send({ type: WRITE, cookie: 1, offset: 4095, data: Buffer.alloc(3, 7) });
  rig.answers();
  rig.send({ type: READ, cookie: 2, offset: 4094, length: 5 });
  expect(rig.answers()[0]?.data.subarray(8)).toEqual(Buffer.from([0, 7, 7, 7, 0]));
  const strict = new Rig({ blockSizeBytes: 4096 }).go(true, [3]);
  expect(strict.errors({ type: READ, cookie: 1, offset: 4094, length: 5 })).toEqual(['#1 22']);
});
