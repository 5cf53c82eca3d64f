// Namespaces with states (ANA): what Identify and the log say, the event, and the answers of I/O in each state. The oracle is a raw host that
// reads offsets of the specification.

import { describe, expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { discoveryLog, portIdOf } from './discovery.ts';
import type { Sqe } from './testing/nvme-host.ts';
import { GateRig, NQN, type RigConnection, RigNamespace } from './testing/nvme-rig.ts';
import type { AnaState } from '../ports/gate-namespace.ts';

const LISTEN: Sqe = { opcode: 0x0c, cid: 100 };
const ENABLE: Sqe = { opcode: 9, cid: 99, dwords: [0x0b, (1 << 8) | (1 << 11)] };
const READ: Sqe = { opcode: 2, cid: 1, nsid: 1, dwords: [0, 0, 0], transferBytes: 512 };

function anaLog(bytes: number, flags = 0): Sqe {
  return { opcode: 2, cid: 50, nsid: 0xffff_ffff, dwords: [((bytes / 4 - 1) << 16) | flags | 0x0c], transferBytes: bytes };
}

function dataOf(from: RigConnection, command: Sqe): Buffer {
  const [data] = from.run(command);
  if (data?.kind !== 'data') throw new Error(JSON.stringify(data));
  return data.data;
}

function turnTo(rig: GateRig, ana: AnaState): void {
  rig.namespace.ana = ana;
  rig.subsystem.anaChanged(1);
}

describe('the log of states', () => {
  it('has a group for each namespace, and counts changes', () => {
    const rig = new GateRig();
    const admin = rig.login();
    rig.subsystem.add(Object.assign(new RigNamespace(9, new MemoryVolume(), rig.order), { ana: 'non-optimized' }));
    const log = dataOf(admin, anaLog(16 + 2 * 36));
    expect([log.readBigUInt64LE(0), log.readUInt16LE(8)]).toEqual([2n, 2]);
    expect([log.readUInt32LE(16), log.readUInt32LE(20), log.readBigUInt64LE(24), log[32], log.readUInt32LE(48)]).toEqual([1, 1, 1n, 1, 1]);
    expect([log.readUInt32LE(52), log.readUInt32LE(56), log.readBigUInt64LE(60), log[68], log.readUInt32LE(84)]).toEqual([9, 1, 2n, 2, 9]);
    turnTo(rig, 'change');
    expect([...dataOf(admin, anaLog(48)).subarray(0, 48)].map((one) => one || '').join(' ')).toMatch(/^3 {8}2 .*15 /);
    expect(dataOf(admin, anaLog(48))[32]).toBe(0xf);
    turnTo(rig, 'inaccessible');
    expect(dataOf(admin, anaLog(48))[32]).toBe(3);
  });

  it('leaves the namespaces out if the host wants only groups', () => {
    const rig = new GateRig();
    rig.subsystem.add(new RigNamespace(9, new MemoryVolume(), rig.order));
    const log = dataOf(rig.login(), anaLog(16 + 2 * 32, 0x100));
    expect([log.readUInt32LE(16), log.readUInt32LE(20), log.readUInt32LE(48), log.readUInt32LE(52)]).toEqual([1, 0, 9, 0]);
  });

  it('can be read in parts up to the length that hosts expect', () => {
    const rig = new GateRig();
    const admin = rig.login();
    const part = anaLog(4096);
    const at = (offset: number): Sqe => ({ ...part, dwords: [...part.dwords!, 0, offset] });
    expect(dataOf(admin, at(0)).readUInt32LE(16)).toBe(1);
    expect(dataOf(admin, at(32_768)).equals(Buffer.alloc(4096))).toBe(true);
    expect(admin.codes(at(40_960))).toEqual(['#50 4002']);
  });

  it('fits into one answer with as many namespaces as a gate may have, as long as hosts ask for', () => {
    const rig = new GateRig();
    for (let nsid = 2; nsid <= 1024; nsid++) rig.subsystem.add(new RigNamespace(nsid, rig.volume, rig.order));
    // Linux asks for the header, NANAGRPID groups and MNAN ids.
    const log = dataOf(rig.login(), anaLog(16 + 1024 * 32 + 1024 * 4));
    expect([log.readUInt16LE(8), log.readUInt32LE(16 + 1023 * 36)]).toEqual([1024, 1024]);
  });
});

it('Identify announces states, for controllers with volumes only', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const page = dataOf(admin, { opcode: 6, cid: 1, dwords: [1], transferBytes: 4096 });
  expect([page[76], page[342], page[343], page.readUInt32LE(344), page.readUInt32LE(348), page.readUInt32LE(92)]).toEqual([
    0xb, 85, 0x57, 65_535, 1024, 0x10_0900,
  ]);
  rig.subsystem.add(new RigNamespace(77, new MemoryVolume(), rig.order));
  expect(dataOf(admin, { opcode: 6, cid: 1, nsid: 77, dwords: [0], transferBytes: 4096 }).readUInt32LE(92)).toBe(77);
});

describe('the event of a changed state', () => {
  it('comes if the host has enabled it, once until the host has read the log', () => {
    const rig = new GateRig();
    const admin = rig.login();
    turnTo(rig, 'change');
    expect(admin.run(LISTEN)).toEqual([]);
    admin.run(ENABLE);
    turnTo(rig, 'optimized');
    expect(admin.answers()).toMatchObject([{ cid: 100, status: 0, low: 0x0c_03_02 }]);
    turnTo(rig, 'change');
    expect(admin.run(LISTEN, anaLog(52, 0x8000))).toMatchObject([{ kind: 'data' }, { cid: 50 }]);
    expect(admin.run(anaLog(52))).toMatchObject([{ cid: 100, low: 0x0c_03_02 }, { kind: 'data' }, { cid: 50 }]);
    expect(admin.run(LISTEN, anaLog(52))).toMatchObject([{ kind: 'data' }, { cid: 50 }]);
  });

  it('and that of changed namespaces do not hide each other', () => {
    const rig = new GateRig();
    const admin = rig.login();
    admin.run(ENABLE);
    rig.subsystem.add(new RigNamespace(5, new MemoryVolume(), rig.order));
    expect(admin.run(LISTEN, { ...LISTEN, cid: 101 }, { ...LISTEN, cid: 102 })).toMatchObject([
      { cid: 100, low: 0x04_00_02 },
      { cid: 101, low: 0x0c_03_02 },
    ]);
  });

  it('is forgotten by a reset', () => {
    const rig = new GateRig();
    const admin = rig.login();
    admin.run(ENABLE);
    turnTo(rig, 'change');
    admin.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0000] });
    admin.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] });
    expect(admin.run(LISTEN)).toEqual([]);
  });
});

describe('I/O', () => {
  it.each([
    ['non-optimized', 0x303],
    ['change', 0x303],
    ['inaccessible', 0x302],
  ] as const)('of a namespace that is %s asks for it, and gets a status of the path without DNR', (ana, status) => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    turnTo(rig, ana);
    const write: Sqe = { opcode: 1, cid: 2, nsid: 1, dwords: [0, 0, 63], transferBytes: 32 * 1024 };
    const ranges: Sqe = { opcode: 9, cid: 3, nsid: 1, dwords: [0, 4], data: Buffer.alloc(16) };
    const code = status.toString(16);
    expect(io.codes(READ, write, ranges, { opcode: 0, cid: 4, nsid: 1 })).toEqual([1, 2, 3, 4].map((cid) => `#${cid} ${code}`));
    expect([rig.namespace.asked, rig.volume.seen, rig.inUse]).toEqual([4, [], 0]);
    // An invalid command never makes a volume move to this gate.
    expect(io.codes({ opcode: 0x7a, cid: 5, nsid: 1 })).toEqual(['#5 4001']);
    expect(rig.namespace.asked).toBe(4);
    expect(dataOf(admin, { opcode: 6, cid: 1, nsid: 1, dwords: [0], transferBytes: 4096 }).readBigUInt64LE(0)).toBe(2048n);
    turnTo(rig, 'optimized');
    expect(io.codes(READ)).toEqual(['#1 0']);
  });

  it('whose data arrives when the namespace is optimized no longer does not reach the volume, nor do further ranges', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const data = Buffer.alloc(32);
    for (const at of [4, 20]) data.writeUInt32LE(1, at);
    io.send({ opcode: 9, cid: 3, nsid: 1, dwords: [1, 4], data });
    turnTo(rig, 'non-optimized');
    expect(io.answers()).toMatchObject([{ cid: 3, status: 0x303 }]);
    expect(rig.volume.seen).toEqual(['discard 0+512']);
  });

  it('of another object for the same namespace goes to that one', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const standby = Object.assign(new RigNamespace(1, new MemoryVolume(), rig.order), { ana: 'non-optimized' });
    rig.subsystem.add(standby);
    expect(io.codes(READ)).toEqual(['#1 303']);
    expect([standby.asked, rig.namespace.asked]).toEqual([1, 0]);
    rig.subsystem.add(rig.namespace);
    expect(io.codes(READ)).toEqual(['#1 0']);
    const other = new MemoryVolume();
    Object.assign(other, { id: 'other' });
    expect(() => rig.subsystem.add(new RigNamespace(1, other, rig.order))).toThrow('the same volume');
  });

  it('of a namespace that goes away ends so that the host tries another path', () => {
    const rig = new GateRig();
    const io = rig.queue(rig.login());
    const data = Buffer.alloc(32);
    for (const at of [4, 20]) data.writeUInt32LE(1, at);
    io.send(READ, { opcode: 9, cid: 3, nsid: 1, dwords: [1, 4], data });
    rig.subsystem.remove(1);
    rig.volume.fail = STATUS.STALE;
    rig.complete(1);
    rig.volume.fail = STATUS.OK;
    expect(io.answers()).toMatchObject([{ cid: 1, status: 0x302 }, { cid: 3, status: 0x302 }]); // biome-ignore format: pairs
    expect(io.codes(READ, { ...READ, nsid: 2 })).toEqual(['#1 302', '#1 400b']);
  });

  it('that its volume has is answered when another path can help, and the volume then completes it without a further answer', () => {
    const rig = new GateRig({ hasPartner: true });
    const io = rig.queue(rig.login());
    const tick = (): unknown => {
      rig.nowMs += 250;
      io.connection.tick(rig.nowMs);
      rig.turn();
      return io.take();
    };
    io.send(READ, { opcode: 1, cid: 2, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512) });
    expect(tick()).toEqual([]);
    turnTo(rig, 'inaccessible');
    expect(tick()).toMatchObject([{ cid: 1, status: 0x302 }, { cid: 2, status: 0x302 }]); // biome-ignore format: pairs
    expect([tick(), io.answers(), rig.inUse, rig.volume.seen]).toEqual([[], [], 0, ['read 0+512', 'write 0+512']]);
    turnTo(rig, 'optimized');
    expect(io.codes(READ)).toEqual(['#1 0']);
  });

  it('of a namespace that this gate does not show yet, and another may have, is not refused for good', () => {
    const io = (hasPartner: boolean): RigConnection => {
      const rig = new GateRig({ hasPartner });
      return rig.queue(rig.login());
    };
    expect(io(true).codes({ ...READ, nsid: 9 }, { ...READ, nsid: 0xffff_ffff })).toEqual(['#1 302', '#1 400b']);
    expect(io(false).codes({ ...READ, nsid: 9 })).toEqual(['#1 400b']);
  });

  it.each([
    [false, 0x21],
    [true, 0x302],
  ])('that its volume does not complete ends with a code that another path can help, if there is one: %s', (hasPartner, status) => {
    const rig = new GateRig({ hasPartner });
    const io = rig.queue(rig.login(undefined, { keepAliveMs: 0 }));
    io.send(READ);
    rig.nowMs += 20_001;
    io.connection.tick(rig.nowMs);
    rig.turn();
    expect(io.take()).toMatchObject([{ cid: 1, status }]);
    rig.volume.fail = STATUS.OUTCOME_UNKNOWN;
    expect(io.codes({ ...READ, cid: 2 })).toEqual([`#2 ${status.toString(16)}`]);
  });
});

it('addresses of different gates have different numbers in the discovery log', () => {
  const entry = { nqn: NQN, address: '192.168.1.5', port: 4420 };
  const log = discoveryLog(1, [
    { ...entry, portId: portIdOf(1, 1), tls: false },
    { ...entry, portId: portIdOf(2, 0), tls: false },
  ]);
  expect([log.readUInt16LE(1024 + 4), log.readUInt16LE(2048 + 4)]).toEqual([1, 32]);
});

it('a gate with partners does not let a command fail because it does not know the namespace yet', () => {
  const rig = new GateRig({ hasPartner: true });
  const io = rig.queue(rig.login());
  expect(io.codes({ ...READ, nsid: 7 })).toEqual(['#1 302']);
  const alone = new GateRig();
  expect(alone.queue(alone.login()).codes({ ...READ, nsid: 7 })).toEqual(['#1 400b']);
});

it('a volume whose server says a size that is no number of blocks ends no login', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const volume = Object.assign(new MemoryVolume({ blockSizeBytes: 4096 }), { sizeBytes: 4096 + 512 });
  rig.subsystem.add(new RigNamespace(3, volume, rig.order));
  expect(dataOf(admin, { opcode: 6, cid: 1, nsid: 3, dwords: [0], transferBytes: 4096 }).readBigUInt64LE(0)).toBe(1n);
});
