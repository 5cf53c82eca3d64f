// The request decoder with golden bytes and with requests of testing/nbd-client.ts: whole, byte by byte and in random pieces. Replies are
// compared with golden bytes. The effect of requests is tested in nbd-connection.test.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import {
  type HeaderVerdict,
  NbdRequestDecoder,
  type NbdRequestHeader,
  offsetBytes,
  type RequestSink,
  writeDataChunkPrefix,
  writeErrorChunk,
  writeOffsetErrorChunk,
  writeSimpleReply,
} from './nbd-codec.ts';
import { type ClientRequest, requestBytes } from '../testing/nbd-client.ts';

class Recorder implements RequestSink {
  readonly events: string[] = [];
  payloadTarget = Buffer.alloc(0);
  payloadOffset = 0;
  holds = 0;

  header(header: NbdRequestHeader): HeaderVerdict {
    if (this.holds > 0) {
      this.holds--;
      return 'hold';
    }
    const { type, flags, lengthBytes } = header;
    const cookie = BigInt(header.cookieHigh) * 2n ** 32n + BigInt(header.cookieLow);
    this.events.push(`${type} ${flags} #${cookie} ${offsetBytes(header.offsetHigh, header.offsetLow)}+${lengthBytes}`);
    if (type === 2) return 'stop';
    if (type !== 1) return 'next';
    if (lengthBytes > 1000) return 'drop';
    this.payloadTarget = Buffer.alloc(lengthBytes + 7);
    this.payloadOffset = 7;
    return lengthBytes > 0 ? 'payload' : 'next';
  }

  payload(): void {
    this.events.push(`payload ${this.payloadTarget.subarray(7).toString('hex')}`);
  }

  badRequest(magic: number): void {
    this.events.push(`bad ${magic.toString(16)}`);
  }
}

const STREAM = Buffer.concat([
  requestBytes({ type: 0, cookie: 1, offset: 4096, length: 512 }),
  requestBytes({ type: 1, cookie: 2, offset: 512, flags: 1, data: Buffer.from('0123456789abcdef', 'hex') }),
  requestBytes({ type: 1, cookie: 3, data: Buffer.alloc(1500, 9) }),
  requestBytes({ type: 3, cookie: 2 ** 40 + 5 }),
  requestBytes({ type: 2, cookie: 6 }),
]);
const EVENTS = ['0 0 #1 4096+512', '1 1 #2 512+8', 'payload 0123456789abcdef', '1 0 #3 0+1500', '3 0 #1099511627781 0+0', '2 0 #6 0+0'];

function feedAll(decoder: NbdRequestDecoder, bytes: Buffer): void {
  let at = decoder.feed(bytes, 0, bytes.length);
  for (let tries = 0; (at < bytes.length || decoder.isHolding) && tries < 10; tries++) at = decoder.feed(bytes, at, bytes.length);
}

describe('NbdRequestDecoder', () => {
  it('decodes a request from its golden bytes', () => {
    const sink = new Recorder();
    const bytes = Buffer.from('25609513' + '0001' + '0006' + '00000000000000ff' + '0000000100000200' + '00001000', 'hex');
    expect(new NbdRequestDecoder(sink).feed(bytes, 0, bytes.length)).toBe(28);
    expect(sink.events).toEqual(['6 1 #255 4294967808+4096']);
  });

  it('gives the same byte by byte', () => {
    const sink = new Recorder();
    const decoder = new NbdRequestDecoder(sink);
    for (let i = 0; i < STREAM.length; i++) expect(decoder.feed(STREAM, i, i + 1)).toBe(i + 1);
    expect(sink.events).toEqual(EVENTS);
  });

  it('gives the same in any cuts, and with any holds', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 })), fc.integer({ min: 0, max: 3 }), (cuts, holds) => {
        const sink = new Recorder();
        sink.holds = holds;
        const decoder = new NbdRequestDecoder(sink);
        let at = 0;
        for (const cut of [...cuts, STREAM.length]) {
          const piece = STREAM.subarray(at, at + cut);
          feedAll(decoder, piece);
          at += piece.length;
        }
        expect(sink.events).toEqual(EVENTS);
      }),
    );
  });

  it('keeps a held header and leaves the bytes after it to the caller', () => {
    const sink = new Recorder();
    sink.holds = 2;
    const decoder = new NbdRequestDecoder(sink);
    const bytes = Buffer.concat([requestBytes({ type: 0, cookie: 1, length: 512 }), requestBytes({ type: 3, cookie: 2 })]);
    expect(decoder.feed(bytes, 0, bytes.length)).toBe(28);
    expect(decoder.feed(bytes, 28, 28)).toBe(28);
    expect(decoder.isHolding).toBe(true);
    expect(sink.events).toEqual([]);
    expect(decoder.feed(bytes, 28, bytes.length)).toBe(bytes.length);
    expect(sink.events).toEqual(['0 0 #1 0+512', '3 0 #2 0+0']);
  });

  it('stops at a bad magic number and at DISC, whatever follows', () => {
    for (const first of [Buffer.alloc(28, 0xab), requestBytes({ type: 2, cookie: 1 })]) {
      const sink = new Recorder();
      const bytes = Buffer.concat([first, requestBytes({ type: 0, cookie: 9, length: 512 })]);
      expect(new NbdRequestDecoder(sink).feed(bytes, 0, bytes.length)).toBe(bytes.length);
      expect(sink.events).toHaveLength(1);
    }
  });

  it('restores the fields of every request', () => {
    const one = fc.record({
      type: fc.constantFrom(0, 3, 4, 6, 7, 99),
      cookie: fc.maxSafeNat(),
      offset: fc.maxSafeNat(),
      flags: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(fc.array(one), fc.nat(2 ** 32 - 1), (requests, length) => {
        const sink = new Recorder();
        const bytes = Buffer.concat(requests.map((request): Buffer => requestBytes({ ...request, length } satisfies ClientRequest)));
        new NbdRequestDecoder(sink).feed(bytes, 0, bytes.length);
        const expected = requests.map(
          ({ type, flags, cookie, offset }) => `${type} ${flags} #${cookie} ${Math.min(offset, VOLUME_MAX_BYTES)}+${length}`,
        );
        expect(sink.events).toEqual(expected);
      }),
    );
  });
});

describe('offsets', () => {
  it('become an aligned location beyond every volume if no number can hold them', () => {
    expect(offsetBytes(1, 512)).toBe(2 ** 32 + 512);
    expect(offsetBytes(0xffffffff, 0xffffffff)).toBe(VOLUME_MAX_BYTES);
    expect(VOLUME_MAX_BYTES % 4096).toBe(0);
  });
});

describe('replies', () => {
  const to = { cookieHigh: 0x01020304, cookieLow: 0x05060708 };
  const into = Buffer.alloc(100, 0xee);

  function written(behind: number): string {
    return into.subarray(2, behind).toString('hex');
  }

  it('match their golden bytes', () => {
    expect(written(writeSimpleReply(into, 2, to, 22))).toBe('67446698' + '00000016' + '0102030405060708');
    expect(written(writeDataChunkPrefix(into, 2, to, 1, 512, 4096))).toBe(
      '668e33ef' + '0001' + '0001' + '0102030405060708' + '00001008' + '0000000100000200',
    );
    expect(written(writeErrorChunk(into, 2, to, 28, Buffer.from('full')))).toBe(
      '668e33ef' + '0001' + '8001' + '0102030405060708' + '0000000a' + '0000001c' + '0004' + '66756c6c',
    );
    expect(written(writeOffsetErrorChunk(into, 2, to, 5, Buffer.from('io'), 0, 512))).toBe(
      '668e33ef' + '0001' + '8002' + '0102030405060708' + '00000010' + '00000005' + '0002' + '696f' + '0000000000000200',
    );
  });
});
