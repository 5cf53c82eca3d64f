// Tests the encoder with a sender that completes a send when the test says so: output arrives complete, in order, in few batches. No byte
// of a batch changes while it is being sent. Each buffer returns to the pool once, even if the connection is closed while the buffer is
// being sent. Rules: S8.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEADER_BYTES, OUTPUT_BATCH_BYTES, OUTPUT_BATCH_MIN_BYTES } from './limits.ts';
import { CountingBufferPool, CountingOutputPool } from '../testing/counting-pools.ts';
import { Decoder } from './decoder.ts';
import { type BatchSender, Encoder } from './encoder.ts';
import { ANSWER, OP } from './frames.ts';
import { bodyLengthBytes } from './header.ts';

interface Batch {
  readonly buffer: Buffer;
  readonly start: number;
  readonly lengthBytes: number;
  /** Copy of the bytes at the time of the send. */
  readonly copy: Buffer;
  readonly done: () => void;
}

class Wire implements BatchSender {
  readonly batches: Batch[] = [];
  readonly underWay: Batch[] = [];
  readonly pool = new CountingOutputPool();
  readonly encoder: Encoder;
  drained = 0;
  /** True if the connection is closed; if so, sends complete at once. */
  isClosed = false;

  constructor(digest = false) {
    this.encoder = new Encoder(this, this.pool, () => this.drained++);
    this.encoder.digest = digest;
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (this.isClosed) {
      done();
      return;
    }
    const batch = { buffer, start, lengthBytes, copy: Buffer.from(buffer.subarray(start, start + lengthBytes)), done };
    this.batches.push(batch);
    this.underWay.push(batch);
  }

  /**
   * Completes the send at `index` among the unfinished sends; by default, the oldest. Fails if the bytes of this send have changed since it
   * began.
   */
  complete(index = 0): void {
    const [batch] = this.underWay.splice(index, 1);
    if (batch === undefined) return;
    const { buffer, start, lengthBytes, copy, done } = batch;
    expect(buffer.subarray(start, start + lengthBytes).equals(copy)).toBe(true);
    done();
  }

  completeAll(): void {
    while (this.underWay.length > 0) this.complete();
  }

  write(slot: number, lengthBytes: number): void {
    const at = this.encoder.beginIo(lengthBytes);
    this.encoder.buffer.fill(slot & 0xff, at, at + lengthBytes);
    this.encoder.endIo(OP.WRITE, 0, 1, slot, 1, slot, lengthBytes / SECTOR_BYTES, lengthBytes);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.batches.map(({ copy }) => copy));
  }
}

function decode(bytes: Buffer, digest: boolean): string[] {
  const frames: string[] = [];
  const decoder = new Decoder(
    {
      bodyBegins: () => {},
      frame: (header, body, offset) => {
        const content = body.subarray(offset, offset + bodyLengthBytes(header));
        frames.push(`${header.op} ${header.slot} ${content.length} ${content.every((byte) => byte === (header.slot & 0xff))}`);
      },
      malformed: (reason) => frames.push(reason),
    },
    new CountingBufferPool(),
  );
  decoder.digest = digest;
  decoder.push(bytes, 0, bytes.length);
  return frames;
}

describe('batches', () => {
  test('all frames of one event leave in one send', () => {
    const wire = new Wire();
    for (let slot = 0; slot < 5; slot++) wire.encoder.io(OP.READ | ANSWER, 0, 1, slot, 1, 0, 0);
    wire.encoder.message(OP.OPEN, 0, 0, 5, 1, 0, Buffer.alloc(3, 5));
    expect(wire.batches.length).toBe(0);
    wire.encoder.flush();
    wire.encoder.flush();
    expect(wire.batches.length).toBe(1);
    expect(wire.batches[0]?.lengthBytes).toBe(6 * HEADER_BYTES + 3);
  });

  test('a full one does not wait for the end of the event', () => {
    const wire = new Wire();
    const body = OUTPUT_BATCH_BYTES / 4;
    for (let slot = 0; slot < 4; slot++) wire.write(slot, body);
    expect(wire.batches.length).toBe(1);
    expect(wire.encoder.queuedBytes).toBe(4 * (HEADER_BYTES + body));
  });

  test('a burst like the last one leaves in halves, so that the peer processes the first while the second is encoded', () => {
    const wire = new Wire();
    const body = 8192;
    const burst = (): number[] => {
      const sent = wire.batches.length;
      for (let slot = 0; slot < 32; slot++) wire.write(slot, body);
      wire.encoder.flush();
      return wire.batches.slice(sent).map(({ lengthBytes }) => lengthBytes / (HEADER_BYTES + body));
    };
    expect(burst()).toEqual([32]);
    expect(burst()).toEqual([16, 16]);
    expect(burst()).toEqual([16, 16]);
  });

  test.each([
    ['small ones are not divided', 4, [4]],
    ['parts are not smaller than the least batch', 12, [8, 4]],
    ['nor larger than the largest', 68, [32, 32, 4]],
  ])('bursts: %s', (_, count, parts) => {
    const wire = new Wire();
    const body = OUTPUT_BATCH_MIN_BYTES / 8;
    const burst = (): void => {
      for (let slot = 0; slot < count; slot++) wire.write(slot, body);
      wire.encoder.flush();
    };
    burst();
    const sent = wire.batches.length;
    burst();
    expect(wire.batches.slice(sent).map(({ lengthBytes }) => lengthBytes / (HEADER_BYTES + body))).toEqual(parts);
  });

  test('queuedBytes counts encoded bytes and bytes in flight', () => {
    const wire = new Wire();
    wire.write(1, 512);
    expect(wire.encoder.queuedBytes).toBe(528);
    wire.encoder.flush();
    wire.write(2, 512);
    expect(wire.encoder.queuedBytes).toBe(2 * 528);
    wire.complete();
    expect(wire.encoder.queuedBytes).toBe(528);
    expect(wire.drained).toBe(1);
  });

  test('a frame that was begun and not ended is not sent', () => {
    const wire = new Wire();
    wire.encoder.beginIo(4096);
    wire.encoder.io(OP.FLUSH, 0, 1, 3, 1, 0, 0);
    wire.encoder.flush();
    expect(decode(wire.bytes, false)).toEqual([`${OP.FLUSH} 3 0 true`]);
  });

  test('raw frames and digests', () => {
    const wire = new Wire();
    wire.encoder.raw(Buffer.from('raw'));
    wire.encoder.flush();
    expect(wire.bytes.toString()).toBe('raw');
  });

  test.each([false, true])('the largest frames (digest %s)', (digest) => {
    const wire = new Wire(digest);
    for (let slot = 0; slot < 4; slot++) wire.write(slot, BODY_MAX_BYTES);
    wire.encoder.message(OP.LIST, 0, 0, 4, 1, 0, Buffer.alloc(64 * 1024, 4));
    wire.encoder.flush();
    wire.completeAll();
    expect(decode(wire.bytes, digest)).toEqual(
      [0, 1, 2, 3].map((slot) => `${OP.WRITE} ${slot} ${BODY_MAX_BYTES} true`).concat(`${OP.LIST} 4 65536 true`),
    );
    expect(wire.pool.lent.size).toBe(0);
  });
});

describe('one batch at a time', () => {
  const BODY = 8192;

  function serial(): Wire {
    const wire = new Wire();
    wire.encoder.isSerial = true;
    return wire;
  }

  test('the next batch has all that was encoded meanwhile', () => {
    const wire = serial();
    for (let slot = 0; slot < 4; slot++) {
      wire.write(slot, BODY);
      wire.encoder.flush();
    }
    expect(wire.batches.map(({ lengthBytes }) => lengthBytes / (HEADER_BYTES + BODY))).toEqual([1]);
    expect(wire.encoder.queuedBytes).toBe(4 * (HEADER_BYTES + BODY));
    wire.complete();
    expect(wire.batches.map(({ lengthBytes }) => lengthBytes / (HEADER_BYTES + BODY))).toEqual([1, 3]);
    wire.complete();
    expect([wire.underWay.length, wire.encoder.queuedBytes, wire.pool.lent.size]).toEqual([0, 0, 0]);
    expect(decode(wire.bytes, false)).toEqual([0, 1, 2, 3].map((slot) => `${OP.WRITE} ${slot} ${BODY} true`));
  });

  test('a burst leaves in whole batches, not in halves', () => {
    const wire = serial();
    for (let burst = 0; burst < 2; burst++) {
      for (let slot = 0; slot < 16; slot++) wire.write(slot, BODY);
      wire.encoder.flush();
      wire.completeAll();
    }
    expect(wire.batches.map(({ lengthBytes }) => lengthBytes / (HEADER_BYTES + BODY))).toEqual([16, 16]);
  });

  test('what was encoded last leaves before the end, although a batch is being sent', () => {
    const wire = serial();
    wire.write(0, BODY);
    wire.encoder.flush();
    wire.encoder.message(OP.BYE, 0, 0, 0, 0, 0, Buffer.alloc(5));
    wire.encoder.flush();
    expect(wire.batches).toHaveLength(1);
    wire.encoder.sendRest();
    wire.encoder.close();
    wire.completeAll();
    expect(decode(wire.bytes, false)).toEqual([`${OP.WRITE} 0 ${BODY} true`, `${OP.BYE} 0 5 true`]);
    expect(wire.pool.lent.size).toBe(0);
  });
});

describe('buffers', () => {
  test('a path has none while it has no output', () => {
    const wire = new Wire();
    wire.write(1, 512);
    wire.encoder.flush();
    expect(wire.pool.lent.size).toBe(1);
    wire.complete();
    expect(wire.pool.lent.size).toBe(0);
    wire.write(2, 512);
    expect(wire.pool.lent.size).toBe(1);
  });

  test('are given back after close, when the last send has completed', () => {
    const wire = new Wire();
    wire.write(1, 512);
    wire.encoder.flush();
    wire.write(2, 512);
    wire.encoder.close();
    expect(wire.pool.lent.size).toBe(1);
    wire.complete();
    expect(wire.pool.lent.size).toBe(0);
    expect(wire.encoder.queuedBytes).toBe(0);
  });

  test('are given back when the closed connection completes a send within the call', () => {
    const wire = new Wire();
    wire.isClosed = true;
    for (let slot = 0; slot < 3; slot++) wire.write(slot, BODY_MAX_BYTES);
    wire.encoder.io(OP.FLUSH, 0, 0, 0, 0, 0, 0);
    wire.encoder.flush();
    expect(wire.pool.lent.size).toBe(0);
    expect(wire.encoder.queuedBytes).toBe(0);
  });

  type Step = { readonly kind: 'write'; readonly bytes: number } | { readonly kind: 'say' | 'flush' | 'complete' };
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), bytes: fc.constantFrom(512, 512, 4096, 65_536, 300_032, BODY_MAX_BYTES) }),
    fc.record({ kind: fc.constantFrom('say' as const, 'flush' as const, 'complete' as const) }),
  );

  test.each([false, true])('are never written while a send of them is in progress, whatever the order of events (digest %s)', (digest) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), fc.boolean(), (steps, isClosed, isSerial) => {
        const wire = new Wire(digest);
        wire.encoder.isSerial = isSerial;
        const expected: string[] = [];
        steps.forEach((next, slot) => {
          if (next.kind === 'write') wire.write(slot, next.bytes);
          else if (next.kind === 'say') wire.encoder.io(OP.FLUSH, 0, 1, slot, 1, 0, 0);
          else if (next.kind === 'flush') wire.encoder.flush();
          else wire.complete();
          if (next.kind === 'write') expected.push(`${OP.WRITE} ${slot} ${next.bytes} true`);
          if (next.kind === 'say') expected.push(`${OP.FLUSH} ${slot} 0 true`);
        });
        if (!isClosed) {
          wire.encoder.flush();
          wire.encoder.sendRest();
        }
        expect(decode(wire.bytes, digest)).toEqual(expected.slice(0, isClosed ? decode(wire.bytes, digest).length : undefined));
        wire.encoder.close();
        wire.completeAll();
        expect(wire.pool.lent.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});
