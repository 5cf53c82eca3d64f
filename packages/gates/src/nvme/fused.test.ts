// Fused Compare and Write: pairs, separated pairs, and what hosts see of failures. The oracles are a raw host, and the content of a volume in
// memory. volumes/partial-blocks.test.ts has the order of changes in a real volume.

import { describe, expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { hostData, type Sqe } from './testing/nvme-host.ts';
import { GateRig, type RigConnection } from './testing/nvme-rig.ts';

const [OLD, NEW] = [Buffer.alloc(512), Buffer.alloc(512, 'n')];
const [FIRST, SECOND] = [0x41, 0x42];
const FAILED = '9';
const MISSING = 'a';

function compare(cid: number, data = OLD, more: Partial<Sqe> = {}): Sqe {
  return { opcode: 5, cid, nsid: 1, flags: FIRST, dwords: [4, 0, 0], data, ...more };
}

function write(cid: number, data = NEW, more: Partial<Sqe> = {}): Sqe {
  return { opcode: 1, cid, nsid: 1, flags: SECOND, dwords: [4, 0, 0], data, ...more };
}

const READ: Sqe = { opcode: 2, cid: 90, nsid: 1, dwords: [4, 0, 0], transferBytes: 512 };
const without = ({ data, ...rest }: Sqe): Sqe => ({ ...rest, transferBytes: data!.length });

function scene(): { rig: GateRig; admin: RigConnection; io: RigConnection } {
  const rig = new GateRig();
  const admin = rig.login(undefined, { keepAliveMs: 0 });
  return { rig, admin, io: rig.queue(admin) };
}

const content = (rig: GateRig): string => rig.volume.content.toString('latin1', 2048, 2049);

it('are announced for one block', () => {
  const { admin } = scene();
  const [page] = admin.run({ opcode: 6, cid: 1, dwords: [1], transferBytes: 4096 });
  expect(page?.kind === 'data' && [page.data.readUInt16LE(522), page.data.readUInt16LE(532)]).toEqual([1, 0]);
});

it('write if the block is as expected, in one request of the volume', () => {
  const { rig, io } = scene();
  expect(io.codes(compare(1), write(2))).toEqual(['#1 0', '#2 0']);
  expect([content(rig), rig.volume.seen]).toEqual(['n', ['write 2048+512']]);
  expect(io.codes(compare(3), write(4, OLD))).toEqual(['#3 4285', `#4 ${FAILED}`]);
  expect([content(rig), rig.inUse]).toEqual(['n', 0]);
  // The objects are used again.
  expect(io.codes({ ...compare(1, NEW), flags: 0x40 }, { ...write(2, OLD), flags: 0x40 })).toEqual(['#1 0', '#2 0']);
});

it.each([
  ['first', true, false],
  ['second', false, true],
  ['data of both', true, true],
])('wait for the data that the host was asked for: %s', (_, isFirstAsked, isSecondAsked) => {
  const { rig, io } = scene();
  const commands = [isFirstAsked ? without(compare(1)) : compare(1), isSecondAsked ? without(write(2)) : write(2)];
  const asked = io.run(...commands);
  expect(rig.volume.seen).toEqual([]);
  const found: string[] = [];
  for (const one of asked.toReversed())
    if (one.kind === 'r2t') {
      expect(found).toEqual([]);
      io.receive(hostData(one.cid, one.tag, 0, one.cid === 1 ? OLD : NEW));
      for (const done of io.answers()) if (done.kind === 'done') found.push(`${done.cid} ${done.status}`);
    }
  expect([found, content(rig), rig.inUse]).toEqual([['1 0', '2 0'], 'n', 0]);
});

describe('that are no pair', () => {
  const CASES: readonly [string, readonly Sqe[], readonly string[]][] = [
    ['a first with another command behind it', [compare(1), READ, write(3)], [`#1 ${MISSING}`, `#3 ${MISSING}`, '#90 0']],
    ['a second alone', [write(3)], [`#3 ${MISSING}`]],
    ['two firsts', [compare(1), compare(2), write(3)], [`#1 ${MISSING}`, '#2 0', '#3 0']],
    ['other blocks', [compare(1), write(2, NEW, { dwords: [5, 0, 0] })], ['#1 4002', `#2 ${FAILED}`]],
    ['a wrong first', [compare(1, Buffer.alloc(1024)), write(2)], ['#1 400f', `#2 ${FAILED}`]],
    ['a wrong second', [compare(1), write(2, Buffer.alloc(1024))], [`#1 ${FAILED}`, '#2 400f']],
    ['two blocks', [compare(1, Buffer.alloc(1024), { dwords: [4, 0, 1] }), write(2, Buffer.alloc(1024), { dwords: [4, 0, 1] })], ['#1 4014', `#2 ${FAILED}`]],
    ['both in the wrong order', [{ ...write(1), flags: FIRST }, { ...compare(2), flags: SECOND }], ['#1 4002', `#2 ${FAILED}`]],
    ['the reserved value', [{ ...write(1), flags: 0x43 }], ['#1 4002']],
  ]; // biome-ignore format: table

  it.each(CASES)('%s', (_, commands, codes) => {
    const { rig, io } = scene();
    expect(io.codes(...commands).toSorted()).toEqual(codes);
    expect(rig.inUse).toBe(0);
    if (!codes.includes('#2 0')) expect(content(rig)).toBe('\0');
  });

  it('a second that fails while the data of the first is on its way', () => {
    const { rig, io } = scene();
    const asked = io.run(without(compare(1)), write(2, Buffer.alloc(1024)));
    expect(asked).toMatchObject([{ kind: 'r2t', cid: 1 }, { cid: 2, status: 0x400f }]); // biome-ignore format: pairs
    io.receive(hostData(1, asked[0]?.kind === 'r2t' ? asked[0].tag : 0, 0, OLD));
    expect(io.answers()).toMatchObject([{ cid: 1, status: 9 }]);
    expect([content(rig), rig.inUse]).toEqual(['\0', 0]);
  });

  it('one that the host has aborted', () => {
    const rig = new GateRig({ memoryBytes: 16 * 1024 });
    const admin = rig.login();
    const io = rig.queue(admin);
    io.send({ opcode: 1, cid: 9, nsid: 1, dwords: [100, 0, 31], transferBytes: 16 * 1024 }, without(compare(1)), write(2));
    rig.turn();
    const [blocker] = io.take();
    expect(admin.codes({ opcode: 8, cid: 50, dwords: [1 | (1 << 16)] })).toEqual(['#50 0']);
    expect(io.answers()).toMatchObject([{ cid: 1, status: 7 }, { cid: 2, status: 9 }]); // biome-ignore format: pairs
    io.receive(hostData(9, blocker?.kind === 'r2t' ? blocker.tag : 0, 0, Buffer.alloc(16 * 1024)));
    expect(io.answers()).toMatchObject([{ cid: 9, status: 0 }]);
    expect([content(rig), rig.inUse]).toEqual(['\0', 0]);
  });
});

describe('in a volume', () => {
  it('that fails: the write is not called aborted, because it may have been executed', () => {
    const { rig, io } = scene();
    rig.volume.fail = STATUS.UNSUPPORTED;
    expect(io.codes(compare(1), write(2))).toEqual([`#1 ${FAILED}`, '#2 4001']);
  });

  it.each(['OUTCOME_UNKNOWN', 'STALE', 'OUT_OF_MEMORY'] as const)(
    'with an unknown outcome (%s) get no answer after which they are repeated',
    (name) => {
      const { rig, io } = scene();
      rig.volume.fail = STATUS[name];
      expect(io.codes(compare(1), write(2))).toEqual([]);
      expect([io.transport.destroyed, rig.log.at(-1)]).toEqual([true, 'closed: nobody knows whether its compare and write was executed']);
      io.vanish();
      expect(rig.inUse).toBe(0);
    },
  );

  it('that is slow are answered when they have ended, and never called interrupted, whatever the state of the volume', () => {
    const { rig, io } = scene();
    io.send(compare(1), write(2));
    for (let round = 0; round < 3; round++) {
      rig.nowMs += 20_001;
      io.connection.tick(rig.nowMs);
      rig.namespace.ana = 'inaccessible';
      rig.turn();
      expect(io.take()).toEqual([]);
    }
    expect(io.answers()).toMatchObject([{ cid: 1, status: 0 }, { cid: 2, status: 0 }]); // biome-ignore format: pairs
    expect([content(rig), rig.inUse]).toEqual(['n', 0]);
  });

  it('keep their memory when the host vanishes', () => {
    const { rig, admin, io } = scene();
    io.send(compare(1), write(2));
    io.connection.close('test');
    io.connection.closed();
    expect([rig.finished, rig.data.inUse > 0]).toEqual([0, true]);
    rig.settle();
    expect([rig.finished, content(rig), rig.inUse]).toEqual([1, 'n', 0]);
    admin.vanish();
  });

  it('half of a pair that never comes leaves nothing behind', () => {
    const { rig, io } = scene();
    io.send(compare(1));
    rig.settle();
    io.vanish();
    expect([rig.finished, rig.volume.seen, rig.inUse]).toEqual([1, [], 0]);
  });
});
