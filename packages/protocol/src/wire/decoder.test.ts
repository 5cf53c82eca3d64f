// Tests that the decoder yields the same frames however the bytes are divided, checks lengths before it allocates memory, and gives its
// buffers back to the pool. The encoder creates the frames, so that the tests check both against each other. Rules: S7, G10, G11.

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { DIGEST_BYTES, HEADER_BYTES, MESSAGE_MAX_BYTES } from './limits.ts';
import { CountingBufferPool } from '../testing/counting-pools.ts';
import { Decoder, type DecoderEvents } from './decoder.ts';
import { ANSWER, FLAG, frameEntry, OP } from './frames.ts';
import { bodyLengthBytes, type Header, writeIoHeader, writeMessageHeader } from './header.ts';

interface Frame {
  readonly op: number;
  readonly slot: number;
  readonly count: number;
  readonly body: Buffer;
}

function encode(frame: Frame, digest: boolean): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  if (frameEntry(frame.op)?.shape === 'message') writeMessageHeader(header, 0, frame.op, 0, 0, frame.slot, 7, frame.body.length, 9);
  else writeIoHeader(header, 0, frame.op, FLAG.FUA, 0, frame.slot, 7, 0x123456789a, frame.count);
  if (!digest) return Buffer.concat([header, frame.body]);
  return Buffer.concat([header, sumOf(header), frame.body, frame.body.length > 0 ? sumOf(frame.body) : Buffer.alloc(0)]);
}

function sumOf(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(DIGEST_BYTES);
  sum.writeUInt32BE(crc32(bytes));
  return sum;
}

interface Seen {
  readonly frames: string[];
  readonly begun: string[];
  malformed: string | null;
}

/** Returns a decoder whose output is recorded. The recorder also calls `hooks`. */
function watch(
  hooks: Partial<DecoderEvents> = {},
  pool = new CountingBufferPool(),
): { decoder: Decoder; seen: Seen; pool: CountingBufferPool } {
  const seen: Seen = { frames: [], begun: [], malformed: null };
  const decoder = new Decoder(
    {
      bodyBegins: (header) => {
        seen.begun.push(`${header.op} ${header.slot}`);
        hooks.bodyBegins?.(header);
      },
      frame: (header, body, offset) => {
        seen.frames.push(
          `${header.op} ${header.slot} ${header.seq} ${body.subarray(offset, offset + bodyLengthBytes(header)).toString('hex')}`,
        );
        hooks.frame?.(header, body, offset);
      },
      malformed: (reason) => {
        seen.malformed = reason;
        hooks.malformed?.(reason);
      },
    },
    pool,
  );
  return { decoder, seen, pool };
}

/** Feeds bytes in pieces of the given sizes, repeated as needed. Each piece has a separate buffer, which is overwritten afterwards. */
function feed(decoder: Decoder, bytes: Buffer, sizes: readonly number[]): void {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const take = Math.min(sizes[turn % sizes.length]!, bytes.length - at);
    const piece = Buffer.alloc(take + 3, 0xee);
    bytes.copy(piece, 2, at, at + take);
    decoder.push(piece, 2, take);
    piece.fill(0xee);
    at += take;
  }
}

const message = fc.record({
  op: fc.constantFrom(OP.PING, OP.OPEN, OP.LIST | ANSWER),
  slot: fc.nat(255),
  count: fc.constant(0),
  body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
});
const plain = fc.record({
  op: fc.constantFrom(OP.READ, OP.FLUSH, OP.ZERO, OP.WRITE | ANSWER),
  slot: fc.nat(255),
  count: fc.nat(0xffff),
  body: fc.constant(Buffer.alloc(0)),
});
const data = fc
  .record({ op: fc.constantFrom(OP.WRITE, OP.READ | ANSWER), slot: fc.nat(255), count: fc.nat(3), fill: fc.nat(255) })
  .map(({ op, slot, count, fill }) => ({
    op,
    slot,
    count,
    body: Buffer.alloc(count * SECTOR_BYTES, fill),
  }));
const frames = fc.array(fc.oneof(message, plain, data), { maxLength: 8 });

describe('cuts', () => {
  test.each([false, true])('byte by byte, and in any cuts, is as whole (digest %s)', (digest) => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 6 }), (list, sizes) => {
        const bytes = Buffer.concat(list.map((frame) => encode(frame, digest)));
        const expected = list.map(({ op, slot, body }) => `${op} ${slot} 7 ${body.toString('hex')}`);
        for (const cuts of [[bytes.length + 1], [1], sizes]) {
          const { decoder, seen, pool } = watch();
          decoder.digest = digest;
          feed(decoder, bytes, cuts);
          expect(seen).toMatchObject({ frames: expected, malformed: null });
          expect(pool.lent.size).toBe(0);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('the digest may be switched on between two frames of one chunk', () => {
    const first: Frame = { op: OP.PING, slot: 1, count: 0, body: Buffer.from([1]) };
    const second: Frame = { op: OP.WRITE, slot: 2, count: 1, body: Buffer.alloc(SECTOR_BYTES, 5) };
    for (const sizes of [[10_000], [1], [17], [20]]) {
      const { decoder, seen } = watch({ frame: () => (decoder.digest = true) });
      feed(decoder, Buffer.concat([encode(first, false), encode(second, true), encode(second, true)]), sizes);
      expect(seen.frames.length).toBe(3);
      expect(seen.malformed).toBeNull();
    }
  });

  test('a body that is complete in the chunk is not announced and allocates nothing', () => {
    const { decoder, seen } = watch(
      {},
      new (class extends CountingBufferPool {
        override take(): Buffer {
          throw new Error('Memory was taken');
        }
      })(),
    );
    feed(decoder, encode({ op: OP.WRITE, slot: 1, count: 2, body: Buffer.alloc(2 * SECTOR_BYTES, 3) }, false), [5000]);
    expect(seen).toMatchObject({ begun: [] });
    expect(seen.frames.length).toBe(1);
  });
});

describe('where a body goes', () => {
  const frame: Frame = { op: OP.READ | ANSWER, slot: 4, count: 2, body: Buffer.alloc(2 * SECTOR_BYTES, 0x21) };

  test('where the owner says, without a pooled buffer, and nothing next to it', () => {
    const target = Buffer.alloc(2 * SECTOR_BYTES + 20, 0x99);
    const { decoder, seen, pool } = watch({
      bodyBegins: () => {
        decoder.receiveInto(target, 10);
        expect(pool.lent.size).toBe(0);
      },
      frame: (_header, body, offset) => expect([body, offset]).toEqual([target, 10]),
    });
    feed(decoder, encode(frame, false), [100]);
    expect(seen.frames.length).toBe(1);
    expect(target).toEqual(Buffer.concat([Buffer.alloc(10, 0x99), frame.body, Buffer.alloc(10, 0x99)]));
  });

  test('is chosen again for each frame', () => {
    const target = Buffer.alloc(2 * SECTOR_BYTES, 0x99);
    const { decoder } = watch({ bodyBegins: ({ slot }) => slot === 4 && decoder.receiveInto(target, 0) });
    feed(
      decoder,
      Buffer.concat([encode(frame, false), encode({ ...frame, slot: 5, body: Buffer.alloc(2 * SECTOR_BYTES, 0x33) }, false)]),
      [100],
    );
    expect(target).toEqual(frame.body);
  });

  test.each([false, true])('nowhere after discardBody, which leaves the stream in step (digest %s)', (digest) => {
    const target = Buffer.alloc(2 * SECTOR_BYTES, 0x99);
    const bytes = encode(frame, digest);
    for (let cut = HEADER_BYTES + (digest ? DIGEST_BYTES : 0) + 1; cut < bytes.length; cut += 7) {
      target.fill(0x99);
      const { decoder, seen, pool } = watch({ bodyBegins: () => decoder.receiveInto(target, 0), frame: () => {} });
      decoder.digest = digest;
      feed(decoder, bytes.subarray(0, cut), [cut]);
      target.fill(0x99);
      decoder.discardBody();
      feed(
        decoder,
        Buffer.concat([bytes.subarray(cut), encode({ ...frame, op: OP.FLUSH, count: 0, body: Buffer.alloc(0) }, digest)]),
        [40],
      );
      expect(target.every((byte) => byte === 0x99)).toBe(true);
      expect(seen.frames.map((text) => text.split(' ').slice(0, 2).join(' '))).toEqual([`${OP.READ | ANSWER} 4`, `${OP.FLUSH} 4`]);
      expect(pool.lent.size).toBe(0);
    }
  });

  test('a pooled buffer goes back at discardBody and is not written after it', () => {
    const { decoder, pool } = watch();
    feed(decoder, encode(frame, false).subarray(0, 100), [100]);
    const [lent] = pool.lent;
    decoder.discardBody();
    expect(pool.lent.size).toBe(0);
    lent!.fill(0x44);
    feed(decoder, encode(frame, false).subarray(100), [50]);
    expect(lent!.every((byte) => byte === 0x44)).toBe(true);
  });

  test('discardBody between frames does nothing', () => {
    const { decoder, seen } = watch({ frame: () => decoder.discardBody() });
    feed(decoder, Buffer.concat([encode(frame, false), encode(frame, false)]), [77]);
    expect(seen.frames.length).toBe(2);
  });
});

describe('stop', () => {
  const frame: Frame = { op: OP.WRITE, slot: 4, count: 1, body: Buffer.alloc(SECTOR_BYTES, 0x21) };
  const bytes = Buffer.concat([encode(frame, false), encode(frame, false), encode(frame, false)]);

  test('in a frame ends decoding there, whatever the cuts, and the frame may still be read', () => {
    for (const size of [5000, 1, 100, 528, 529]) {
      let body = '';
      const { decoder, seen, pool } = watch({
        frame: (_header, bytesOf, offset) => {
          decoder.stop();
          body = bytesOf.subarray(offset, offset + SECTOR_BYTES).toString('hex');
        },
      });
      feed(decoder, bytes, [size]);
      expect(seen.frames.length).toBe(1);
      expect(body).toBe(frame.body.toString('hex'));
      expect(decoder.isStopped).toBe(true);
      expect(pool.lent.size).toBe(0);
    }
  });

  test('when a body begins allocates nothing', () => {
    const { decoder, seen, pool } = watch({ bodyBegins: () => decoder.stop() });
    feed(decoder, bytes, [100]);
    expect(seen).toMatchObject({ frames: [] });
    expect(seen.begun.length).toBe(1);
    expect(pool.lent.size).toBe(0);
  });

  test('in the middle of a body gives the buffer back, once', () => {
    const { decoder, seen, pool } = watch();
    feed(decoder, bytes.subarray(0, 100), [100]);
    expect(pool.lent.size).toBe(1);
    decoder.stop();
    decoder.stop();
    feed(decoder, bytes.subarray(100), [100]);
    expect(pool.lent.size).toBe(0);
    expect(seen.frames).toEqual([]);
  });
});

describe('invalid input', () => {
  function malformedBy(bytes: Buffer, prepare: (decoder: Decoder) => void = () => {}): string | null {
    const results = [[1], [7], [5000]].map((sizes) => {
      const { decoder, seen, pool } = watch({ bodyBegins: () => expect.fail('A body began') });
      prepare(decoder);
      feed(decoder, bytes, sizes);
      expect(pool.lent.size).toBe(0);
      expect(seen.frames).toEqual([]);
      expect(decoder.isStopped).toBe(seen.malformed !== null);
      return seen.malformed;
    });
    expect(new Set(results).size).toBe(1);
    return results[0]!;
  }

  function message(length: number): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    writeMessageHeader(header, 0, OP.LIST, 0, 0, 0, 0, length, 0);
    return header;
  }

  function io(op: number, count: number): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    writeIoHeader(header, 0, op, 0, 0, 0, 0, 0, count);
    return header;
  }

  test('an unknown op', () => {
    expect(malformedBy(io(0x7f, 0))).toBe('op 0x7f: no such frame');
  });

  test('a message one byte too long, before memory is taken', () => {
    expect(malformedBy(message(MESSAGE_MAX_BYTES + 1))).toBe(`LIST: body of ${MESSAGE_MAX_BYTES + 1} bytes, at most ${MESSAGE_MAX_BYTES}`);
    expect(malformedBy(message(0xffffffff))).toBe(`LIST: body of ${0xffffffff} bytes, at most ${MESSAGE_MAX_BYTES}`);
    expect(malformedBy(message(101), (decoder) => (decoder.messageMaxBytes = 100))).toContain('at most 100');
  });

  test('I/O larger than any frame, or than the current limit', () => {
    expect(malformedBy(io(OP.WRITE, BODY_MAX_BYTES / SECTOR_BYTES + 1))).toMatch(/^WRITE: /);
    expect(malformedBy(io(OP.WRITE, 1), (decoder) => (decoder.ioMaxBytes = 0))).toBe('WRITE: body of 512 bytes, at most 0');
  });

  test('a header with a wrong digest', () => {
    const bytes = encode({ op: OP.FLUSH, slot: 0, count: 0, body: Buffer.alloc(0) }, true);
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const wrong = Buffer.from(bytes);
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(malformedBy(wrong, (decoder) => (decoder.digest = true))).toBe("A header's CRC-32 does not match");
    }
  });

  test('a body with a wrong digest, in every cut', () => {
    const bytes = encode({ op: OP.WRITE, slot: 0, count: 1, body: Buffer.alloc(SECTOR_BYTES, 1) }, true);
    for (const at of [20, 300, 531, 532, 535]) {
      for (const size of [1, 33, 5000]) {
        const wrong = Buffer.from(bytes);
        wrong[at]! ^= 0x10;
        const { decoder, seen, pool } = watch();
        decoder.digest = true;
        feed(decoder, wrong, [size]);
        expect(seen).toMatchObject({ frames: [], malformed: "WRITE: the body's CRC-32 does not match" });
        expect(pool.lent.size).toBe(0);
      }
    }
  });
});

test('the largest frames go through, in large cuts', () => {
  const frame: Frame = { op: OP.WRITE, slot: 1, count: BODY_MAX_BYTES / SECTOR_BYTES, body: Buffer.alloc(BODY_MAX_BYTES, 0x6b) };
  let intact = 0;
  const { decoder, pool } = watch({
    frame: (header: Header, body, offset) => (intact += Number(body.subarray(offset, offset + bodyLengthBytes(header)).equals(frame.body))),
  });
  feed(decoder, Buffer.concat([encode(frame, false), encode(frame, false)]), [65_536, 262_144]);
  expect(intact).toBe(2);
  expect(pool.lent.size).toBe(0);
});
