// One connection from its first byte to its last answer: requests and replies. Transport and volume are in memory, and the test advances
// them. The oracles are an NBD client that does not use the server's codec, and the volume's content and list of requests. Bounds are in
// nbd-connection-bounds.test.ts, the end of a connection is in nbd-connection-end.test.ts, and real sockets are in nbd-frontend.test.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NBD_REPLY_COPY_MAX_BYTES, NBD_REQUEST_MAX_BYTES } from '../limits.ts';
import { STATUS } from '@rsio/protocol/wire/status';
import { type ClientRequest, requestBytes, u32 } from './testing/nbd-client.ts';
import { BLOCK_STATUS, CACHE, FLUSH, FUA, READ, Rig, TRIM, WRITE, ZEROES } from './testing/connection-rig.ts';

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

it('BLOCK_STATUS tells of each selected context in a chunk of its own, and an unknown change is one', () => {
  const olderSnapshots = [{ name: 'monday', id: 'monday-id' }];
  const rig = new Rig({ olderSnapshots }).go(true, [3], ['qemu:dirty-bitmap:monday', 'base:allocation']);
  rig.send({ type: BLOCK_STATUS, cookie: 2, offset: 512, length: 1536 });
  expect(rig.answers().map(({ data }) => data)).toEqual([u32(2, 512, 1, 512, 0, 512, 1), u32(1, 1536, 3)]);
  expect(rig.volume.seen).toEqual(['changes since monday-id 512+1536', 'extents 512+1536']);
  rig.volume.fail = STATUS.UNSUPPORTED;
  rig.send({ type: BLOCK_STATUS, cookie: 3, offset: 512, length: 1536 });
  expect(rig.answers().map(({ data }) => data)).toEqual([u32(2, 1536, 1), u32(1, 1536, 0)]);
  rig.volume.fail = STATUS.UNKNOWN_VOLUME;
  expect(rig.errors({ type: BLOCK_STATUS, cookie: 4, length: 512 })).toEqual(['#4 5']);
  expect(rig.buffersInUse).toBe(0);
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
