// Connections of a gate: every PDU, I/O commands, digests, bounds. The oracles are a raw host that does not use the gate's codec, and the
// content of the volume. Admin commands are in controller.test.ts, the end of connections is in nvme-ends.test.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { capsule, connectCommand, hostData, icRequest, pdu, type Sqe } from './testing/nvme-host.ts';
import { GateRig, NQN } from './testing/nvme-rig.ts';

const [FLUSH, WRITE, READ, COMPARE, ZEROES, DSM, VERIFY] = [0, 1, 2, 5, 8, 9, 0x0c];
const FUA = 2 ** 30;
const DEALLOCATE = 2 ** 25;

function blocks(opcode: number, cid: number, first: number, count: number, more: Partial<Sqe> = {}, flags = 0): Sqe {
  return { opcode, cid, nsid: 1, dwords: [first, 0, (count - 1) | flags], ...more };
}

describe.each([
  ['without digests', { header: false, data: false }],
  ['with digests', { header: true, data: true }],
  ['with digests of headers', { header: true, data: false }],
])('I/O %s', (_, digests) => {
  it.each([true, false])('small writes, reads and flushes are executed and answered (flow control off: %s)', (flowControlOff) => {
    const rig = new GateRig();
    const io = rig.queue(rig.login(digests), 1, { flowControlOff }, digests);
    const data = Buffer.alloc(1024, 'small');
    const [done] = io.run(blocks(WRITE, 7, 2, 2, { data }, FUA));
    expect(done).toMatchObject({ kind: 'done', cid: 7, status: 0, sqhd: flowControlOff ? 0xffff : 2 });
    const read = io.run(blocks(READ, 8, 1, 4, { transferBytes: 2048 }));
    const content = Buffer.concat([Buffer.alloc(512), data, Buffer.alloc(512)]);
    expect(read[0]).toEqual({ kind: 'data', cid: 8, data: content, isSuccess: flowControlOff });
    expect(read.slice(1)).toMatchObject(flowControlOff ? [] : [{ kind: 'done', cid: 8, status: 0 }]);
    expect(io.codes({ opcode: FLUSH, cid: 9, nsid: 1 })).toEqual(['#9 0']);
    expect(rig.volume.seen).toEqual(['write 1024+1024 fua', 'read 512+2048', 'flush 0+0']);
    expect(rig.inUse).toBe(0);
    expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
  });

  it('large data is asked for, in any pieces and any cuts', () => {
    const sizes = [16 * 1024, 64 * 1024, 65 * 1024, 512 * 1024];
    fc.assert(
      fc.property(
        fc.constantFrom(...sizes),
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(fc.integer({ min: 1, max: 70_000 })),
        (size, piece, cuts) => {
          const rig = new GateRig();
          const io = rig.queue(rig.login(digests), 1, {}, digests);
          const data = Buffer.alloc(size, 'some text that does not repeat at a power of two');
          const [asked] = io.run(blocks(WRITE, 3, 8, size / 512, { transferBytes: size }));
          expect(asked).toMatchObject({ kind: 'r2t', cid: 3, offset: 0, bytes: size });
          const tag = asked?.kind === 'r2t' ? asked.tag : -1;
          const pieces: Buffer[] = [];
          for (let at = 0; at < size; at += piece) pieces.push(hostData(3, tag, at, data.subarray(at, at + piece), digests));
          const bytes = Buffer.concat(pieces);
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            if (at < bytes.length) io.receive(bytes.subarray(at, at + cut));
            at += cut;
          }
          expect(io.answers()).toMatchObject([{ kind: 'done', cid: 3, status: 0 }]);
          const [read] = io.run(blocks(READ, 4, 8, size / 512, { transferBytes: size }));
          expect(read?.kind === 'data' && read.data.equals(data)).toBe(true);
          expect(rig.inUse).toBe(0);
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('I/O commands', () => {
  const CASES: readonly [string, Sqe, string][] = [
    ['past the end', blocks(READ, 1, 2048, 1, { transferBytes: 512 }), '#1 4080'],
    ['far past the end', { opcode: READ, cid: 1, nsid: 1, dwords: [0, 0xffff_ffff, 0], transferBytes: 512 }, '#1 4080'],
    ['with another length than the blocks', blocks(READ, 1, 0, 2, { transferBytes: 512 }), '#1 400f'],
    ['with more data than a command may have', blocks(READ, 1, 0, 4096, { transferBytes: 2 * 1024 * 1024 }), '#1 4002'],
    ['to another namespace', { ...blocks(READ, 1, 0, 1, { transferBytes: 512 }), nsid: 2 }, '#1 400b'],
    ['of an unknown opcode', { opcode: 0x7a, cid: 1, nsid: 1 }, '#1 4001'],
    ['fused with what cannot be fused', { ...blocks(READ, 1, 0, 1, { transferBytes: 512 }), flags: 0x41 }, '#1 4002'],
    ['with protection information', blocks(READ, 1, 0, 1, { transferBytes: 512 }, 2 ** 29), '#1 4002'],
    ['without an SGL', { ...blocks(READ, 1, 0, 1, { transferBytes: 512 }), flags: 0 }, '#1 4002'],
    ['to verify more than a command may read', blocks(VERIFY, 1, 0, 4096), '#1 4002'],
  ];

  it.each(CASES)('%s are refused', (_, command, code) => {
    const rig = new GateRig();
    expect(rig.queue(rig.login()).codes(command)).toEqual([code]);
    expect(rig.volume.seen.filter((line) => !line.startsWith('read 1048576'))).toEqual([]);
    expect(rig.inUse).toBe(0);
  });

  it('that change a read-only volume are refused', () => {
    const rig = new GateRig({ readonly: true });
    const io = rig.queue(rig.login());
    expect(io.codes(blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512) }), blocks(ZEROES, 2, 0, 1))).toEqual(['#1 4020', '#2 4020']);
  });

  it('report failures of the storage as media errors, and lost paths as an interruption', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const both = [blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512) }), blocks(READ, 2, 0, 1, { transferBytes: 512 })];
    rig.volume.fail = STATUS.IO_ERROR;
    expect(io.codes(...both)).toEqual(['#1 280', '#2 281']);
    rig.volume.fail = STATUS.OUTCOME_UNKNOWN;
    expect(io.codes(...both)).toEqual(['#1 21', '#2 21']);
    rig.volume.fail = STATUS.STALE;
    expect(io.codes(...both)).toEqual(['#1 302', '#2 302']);
  });

  it('zero, discard, compare and verify', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const data = Buffer.alloc(1024, 'x');
    expect(io.codes(blocks(WRITE, 1, 0, 2, { data }))).toEqual(['#1 0']);
    expect(io.codes(blocks(COMPARE, 2, 0, 2, { data }), blocks(COMPARE, 3, 0, 2, { data: Buffer.alloc(1024, 'y') }))).toEqual([
      '#2 0',
      '#3 4285',
    ]);
    expect(io.codes(blocks(VERIFY, 4, 0, 2), blocks(VERIFY, 5, 2048, 1))).toEqual(['#4 0', '#5 4080']);
    expect(io.codes(blocks(ZEROES, 6, 0, 1), blocks(ZEROES, 7, 1, 1, {}, DEALLOCATE | FUA))).toEqual(['#6 0', '#7 0']);
    const ranges = Buffer.alloc(48);
    for (const [index, first] of [4, 0, 9].entries()) {
      ranges.writeUInt32LE(index === 1 ? 0 : 2, 16 * index + 4);
      ranges.writeUInt32LE(first, 16 * index + 8);
    }
    expect(io.codes({ opcode: DSM, cid: 8, nsid: 1, dwords: [2, 4], data: ranges })).toEqual(['#8 0']);
    expect(io.codes({ opcode: DSM, cid: 9, nsid: 1, dwords: [2, 1], data: Buffer.concat([ranges, Buffer.alloc(4048)]) })).toEqual(['#9 0']);
    expect(io.codes({ opcode: DSM, cid: 10, nsid: 1, dwords: [3, 4], data: ranges })).toEqual(['#10 400f']);
    const changes = rig.volume.seen.filter((line) => !line.startsWith('read'));
    expect(changes).toEqual(['write 0+1024', 'zero 0+512 keep', 'zero 512+512 fua', 'discard 2048+1024', 'discard 4608+1024']);
    expect(rig.inUse).toBe(0);
  });

  it('discard ten ranges by one command', () => {
    const rig = new GateRig();
    const ranges = Buffer.alloc(160);
    for (let at = 0; at < 10; at++) {
      ranges.writeUInt32LE(10, 16 * at + 4);
      ranges.writeUInt32LE(100 * (at + 1), 16 * at + 8);
    }
    const io = rig.queue(rig.login());
    expect(io.codes({ opcode: DSM, cid: 8, nsid: 1, dwords: [9, 4], data: ranges })).toEqual(['#8 0']);
    expect(rig.volume.seen).toEqual(Array.from({ length: 10 }, (_, at) => `discard ${51_200 * (at + 1)}+5120`));
  });

  it.each([
    [1, 512],
    [1, 511],
    [1, 513],
    [511, 1024],
    [511, 1023],
    [511, 1025],
  ])('from block %i on write and read %i blocks', (first, count) => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const data = Buffer.alloc(512 * count, `${first} and ${count}, a text of an odd length`);
    const [asked] = io.run(blocks(WRITE, 1, first, count, { transferBytes: data.length }));
    io.receive(hostData(1, asked?.kind === 'r2t' ? asked.tag : -1, 0, data));
    expect(io.answers()).toMatchObject([{ kind: 'done', status: 0 }]);
    const [read] = io.run(blocks(READ, 2, first, count, { transferBytes: data.length }));
    expect(read?.kind === 'data' && read.data.equals(data)).toBe(true);
  });

  it('wait for memory in order, and none is lost', () => {
    const rig = new GateRig({ memoryBytes: 300 * 1024 });
    const io = rig.queue(rig.login());
    const size = 128 * 1024;
    io.send(...Array.from({ length: 10 }, (_, cid) => blocks(WRITE, cid, 0, size / 512, { transferBytes: size })));
    const done: number[] = [];
    for (let round = 0; round < 40; round++)
      for (const one of io.answers()) {
        if (one.kind === 'r2t') io.receive(hostData(one.cid, one.tag, 0, Buffer.alloc(size, one.cid)));
        if (one.kind === 'done') done.push(one.cid);
        expect(rig.budget.usedBytes).toBeLessThanOrEqual(600 * 1024);
      }
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(rig.inUse).toBe(0);
  });

  it('with a wrong digest of data are not executed, and can be repeated', () => {
    const digests = { header: true, data: true };
    const rig = new GateRig();
    const io = rig.queue(rig.login(digests), 1, {}, digests);
    const bytes = capsule(blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512, 1) }), digests);
    bytes[bytes.length - 10]! ^= 1;
    io.receive(bytes);
    expect(io.answers()).toMatchObject([{ kind: 'done', cid: 1, status: 0x22 }]);
    expect(rig.volume.seen).toEqual([]);
    expect(io.codes(blocks(WRITE, 2, 0, 1, { data: Buffer.alloc(512, 1) }))).toEqual(['#2 0']);
  });
});

describe('a connection ends, with the reason, after', () => {
  const header = Buffer.alloc(64);
  const CASES: readonly [string, (rig: GateRig) => Buffer, number][] = [
    ['an unknown PDU type', () => pdu(0x0b, Buffer.alloc(16), Buffer.alloc(0)), 1],
    ['a PDU of a controller', () => pdu(5, Buffer.alloc(16), Buffer.alloc(0)), 1],
    ['a second ICReq', () => icRequest(), 2],
    ['a header of a wrong length', () => pdu(4, Buffer.alloc(60), Buffer.alloc(0)), 1],
    ['data in front of the header', () => Object.assign(pdu(4, header, Buffer.alloc(512)), { 3: 60 }), 1],
    ['a header digest that was not agreed', () => pdu(4, header, Buffer.alloc(0), { header: true, data: false }), 1],
    ['more data than announced', () => pdu(6, Buffer.alloc(16), Buffer.alloc(1024 * 1024 + 4)), 5],
    ['data for no command', () => hostData(1, 0, 0, Buffer.alloc(512)), 1],
    ['data for a tag beyond all', () => hostData(1, 999, 0, Buffer.alloc(512)), 1],
    [
      'data in a capsule without a descriptor',
      () => capsule(blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512), patch: (sqe) => (sqe[39] = 0x5a) })),
      1,
    ],
    [
      'an offset into the data of a capsule',
      () => capsule(blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512), patch: (sqe) => (sqe[24] = 4) })),
      1,
    ],
    ['more data in a capsule than announced', () => capsule(blocks(WRITE, 1, 0, 32, { data: Buffer.alloc(16 * 1024) })), 1],
  ];

  it.each(CASES)('%s', (_, bytes, reason) => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    io.receive(bytes(rig));
    expect(io.answers()).toMatchObject([{ kind: 'term', reason }]);
    expect(io.transport.ended).toBe(true);
    io.send(blocks(WRITE, 5, 0, 1, { data: Buffer.alloc(512) }));
    io.vanish();
    expect(rig.volume.seen).toEqual([]);
    expect(rig.inUse).toBe(0);
  });

  it.each(CASES)('%s, and the host gets its header back, in whatever pieces it came', (_, bytes) => {
    const terminations = [true, false].map((isWhole) => {
      const rig = new GateRig();
      const io = rig.queue(rig.login());
      const sent = bytes(rig);
      // Another PDU comes first, so that the header is not at the beginning of the received bytes.
      const all = Buffer.concat([capsule({ opcode: FLUSH, cid: 1, nsid: 1 }), sent]);
      for (let at = 0; at < all.length; at += isWhole ? all.length : 1) io.receive(all.subarray(at, isWhole ? all.length : at + 1));
      io.transport.deliver();
      const left = io.transport.takeLeft();
      expect(left.subarray(24).equals(sent.subarray(0, left.length - 24))).toBe(true);
      return left;
    });
    expect([terminations[0]![0], terminations[0]!.length > 24, terminations[0]!.subarray(0, 24)]).toEqual([
      ...[3, true, terminations[1]!.subarray(0, 24)],
    ]);
  });

  it('data out of order', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const [asked] = io.run(blocks(WRITE, 3, 0, 64, { transferBytes: 32768 }));
    io.receive(hostData(3, asked?.kind === 'r2t' ? asked.tag : 0, 512, Buffer.alloc(512)));
    expect(io.answers()).toMatchObject([{ kind: 'term', reason: 4 }]);
    io.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('a wrong header digest', () => {
    const digests = { header: true, data: false };
    const rig = new GateRig();
    const io = rig.queue(rig.login(digests), 1, {}, digests);
    const bytes = capsule({ opcode: FLUSH, cid: 1, nsid: 1 }, digests);
    bytes[20]! ^= 1;
    io.receive(bytes);
    expect(io.answers()).toMatchObject([{ kind: 'term', reason: 3 }]);
  });

  it('another version of the transport', () => {
    const rig = new GateRig();
    const connection = rig.connection();
    connection.receive(icRequest(undefined, 1));
    expect(connection.take()).toMatchObject([{ kind: 'term', reason: 6 }]);
  });

  it('more commands than its queue can have', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login(), 1, { entries: 4 });
    io.send(...Array.from({ length: 20 }, (_, cid) => blocks(READ, cid, 0, 1, { transferBytes: 512 })));
    expect(io.take().map(({ kind }) => kind)).toContain('term');
    io.vanish();
    expect(rig.volume.seen.length).toBeLessThanOrEqual(8);
    expect(rig.inUse).toBe(0);
  });
});

it('random bytes never harm a gate', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }), fc.boolean(), (parts, isLoggedIn) => {
      const rig = new GateRig();
      const victim = isLoggedIn ? rig.queue(rig.login()) : rig.connection();
      for (const part of parts) victim.receive(Buffer.from(part));
      victim.answers();
      victim.vanish();
      expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
      expect(rig.inUse).toBe(0);
    }),
  );
});

it('nothing is executed before Connect', () => {
  const rig = new GateRig();
  const connection = rig.connection();
  connection.greet();
  expect(connection.codes(blocks(WRITE, 1, 0, 1, { data: Buffer.alloc(512) }))).toEqual(['#1 400c']);
  expect(connection.codes({ ...connectCommand({ nqn: NQN }), data: Buffer.alloc(512) })).toEqual(['#0 4182']);
  expect(rig.volume.seen).toEqual([]);
});
