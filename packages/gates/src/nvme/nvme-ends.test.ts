// Ends of commands, connections and controllers: aborts, resets, keep-alive, late volumes, vanished hosts. The oracles are a raw host and the
// list of requests of the volume.

import { describe, expect, it } from 'vitest';
import { GATE_LARGE_LOGS_MAX } from '../limits.ts';
import { capsule, hostData, type Sqe } from './testing/nvme-host.ts';
import { GateRig, type RigConnection } from './testing/nvme-rig.ts';

function write(cid: number, data: Buffer): Sqe {
  return { opcode: 1, cid, nsid: 1, dwords: [0, 0, data.length / 512 - 1], data };
}

function abort(cid: number, of: number): Sqe {
  return { opcode: 8, cid, dwords: [1 | (of << 16)] };
}

const RESET: Sqe = { opcode: 0x7f, fabricsType: 0, cid: 9, dwords: [0, 0x14, 0x46_0000] };
const SHUTDOWN: Sqe = { opcode: 0x7f, fabricsType: 0, cid: 9, dwords: [0, 0x14, 0x46_4001] };
const STATUS_READ: Sqe = { opcode: 0x7f, fabricsType: 4, cid: 10, dwords: [0, 0x1c] };

/** A host with a write that the volume has not completed yet. */
function withWrite(): { rig: GateRig; admin: RigConnection; io: RigConnection } {
  const rig = new GateRig();
  const admin = rig.login();
  const io = rig.queue(admin);
  io.send(write(5, Buffer.alloc(512, 'b')));
  expect(rig.volume.underWay).toBe(1);
  return { rig, admin, io };
}

describe('an abort', () => {
  it('is answered only when the command has ended', () => {
    const { rig, admin, io } = withWrite();
    admin.send(abort(1, 5));
    rig.turn();
    expect(admin.take()).toEqual([]);
    rig.complete();
    rig.turn();
    expect(io.take()).toMatchObject([{ cid: 5, status: 0 }]);
    rig.subsystem.tick();
    expect(admin.answers()).toMatchObject([{ cid: 1, status: 0, low: 1 }]);
  });

  it('takes a command back that nobody has yet', () => {
    const rig = new GateRig({ memoryBytes: 64 * 1024 });
    const admin = rig.login();
    const io = rig.queue(admin);
    const large = (cid: number): Sqe => ({ opcode: 1, cid, nsid: 1, dwords: [0, 0, 63], transferBytes: 32 * 1024 });
    io.send(large(1), large(2), large(3));
    rig.turn();
    const asked = io.take();
    expect(asked.map(({ kind }) => kind)).toEqual(['r2t']);
    expect(admin.codes(abort(4, 3))).toEqual(['#4 0']);
    expect(io.answers()).toMatchObject([{ cid: 3, status: 7 }]);
    // The gate has already asked for the data of the first command, so this command goes on.
    expect(admin.codes(abort(5, 1))).toEqual([]);
    const tag = asked[0]?.kind === 'r2t' ? asked[0].tag : 0;
    io.receive(hostData(1, tag, 0, Buffer.alloc(32 * 1024)));
    expect(io.answers().map((one) => `${one.kind} ${'cid' in one ? one.cid : ''}`)).toEqual(['done 1', 'r2t 2']);
    rig.subsystem.tick();
    expect(admin.answers()).toMatchObject([{ cid: 5, low: 1 }]);
  });

  it('is of the command that has the number now, and not of a later one', () => {
    const { rig, admin, io } = withWrite();
    admin.send(abort(1, 5));
    rig.complete();
    rig.turn();
    expect(io.take()).toMatchObject([{ cid: 5, status: 0 }]);
    io.send(write(5, Buffer.alloc(512, 'c')));
    rig.subsystem.tick();
    rig.turn();
    expect(admin.take()).toMatchObject([{ cid: 1, status: 0, low: 1 }]);
    expect(rig.volume.underWay).toBe(1);
  });

  it('that would wait too long closes the connections without an answer', () => {
    const { rig, admin, io } = withWrite();
    admin.send(abort(1, 5));
    rig.nowMs += 4_000;
    admin.run({ opcode: 0x18, cid: 2 });
    // `run` lets the volume complete its commands, so the write is sent again.
    io.send(write(6, Buffer.alloc(512, 'c')));
    admin.send(abort(3, 6));
    for (let step = 0; step < 11; step++) {
      rig.nowMs += 1_000;
      io.send({ opcode: 0x7a, cid: 20 + step });
      rig.turn();
      rig.subsystem.tick();
    }
    expect([admin.transport.destroyed, io.transport.destroyed]).toEqual([true, true]);
    expect(admin.take().filter((one) => one.kind === 'done' && one.cid === 3)).toEqual([]);
  });

  it('of a command that is gone says so', () => {
    const rig = new GateRig();
    const admin = rig.login();
    rig.queue(admin);
    expect(admin.run(abort(1, 77), { opcode: 8, cid: 2, dwords: [9] })).toMatchObject([{ cid: 1, low: 1 }, { cid: 2, low: 1 }]); // biome-ignore format: pairs
  });
});

describe.each([
  ['a reset', RESET, 0],
  ['a shutdown', SHUTDOWN, 9],
])('%s', (_, command, status) => {
  it('is answered only when the volume has nothing of the controller', () => {
    const { rig, admin, io } = withWrite();
    admin.send(command);
    rig.turn();
    expect([admin.take(), io.transport.destroyed]).toEqual([[], true]);
    io.transport.failWrites();
    io.connection.closed();
    rig.turn();
    expect(admin.take()).toEqual([]);
    rig.complete();
    expect(admin.answers()).toMatchObject([{ cid: 9, status: 0 }]);
    expect(admin.run(STATUS_READ)).toMatchObject([{ low: status }]);
    expect(rig.inUse).toBe(0);
    expect(rig.finished).toBe(1);
  });

  it('that would wait too long is not answered', () => {
    const { rig, admin, io } = withWrite();
    admin.send(command);
    io.connection.closed();
    for (let step = 0; step < 11; step++) {
      rig.nowMs += 1_000;
      admin.send({ opcode: 0x18, cid: 30 + step });
      rig.turn();
      rig.subsystem.tick();
    }
    expect(admin.transport.destroyed).toBe(true);
    admin.vanish();
    expect([rig.finished, rig.inUse, rig.subsystem.controllers.size]).toEqual([2, 0, 0]);
  });
});

it('a controller that waits for its I/O, or is shut down, takes no other configuration and no queue', () => {
  const { rig, admin, io } = withWrite();
  admin.send(SHUTDOWN, { ...RESET, cid: 12, dwords: [0, 0x14, 0x46_0000] });
  rig.turn();
  expect(admin.take()).toMatchObject([{ cid: 12, status: 0x400c }]);
  io.vanish();
  rig.complete();
  expect(admin.answers()).toMatchObject([{ cid: 9, status: 0 }]);
  expect(admin.run(STATUS_READ)).toMatchObject([{ low: 9 }]);
  expect(() => rig.queue(admin, 2)).toThrow('"status":16396');
});

it('a controller can be used again after a reset', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const io = rig.queue(admin);
  io.vanish();
  admin.run(RESET, { ...RESET, cid: 11, dwords: [0, 0x14, 0x46_0001] });
  expect(rig.queue(admin).codes(write(1, Buffer.alloc(512)))).toEqual(['#1 0']);
});

it('a silent host loses its controller, and nothing that arrives later is executed', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const io = rig.queue(admin);
  rig.nowMs += 4_900;
  rig.subsystem.tick();
  expect(admin.transport.destroyed).toBe(false);
  rig.nowMs += 200;
  rig.subsystem.tick();
  expect([admin.transport.destroyed, io.transport.destroyed]).toEqual([true, true]);
  io.send(write(1, Buffer.alloc(512)));
  io.vanish();
  admin.vanish();
  expect(rig.volume.seen).toEqual([]);
  expect(rig.log.at(-1)).toContain('has left controller 1');
});

it('a command that arrives after the keep-alive time is not executed, whether or not the gate has looked', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const io = rig.queue(admin);
  rig.nowMs += 5_000;
  io.send(write(1, Buffer.alloc(512)));
  expect([admin.transport.destroyed, io.transport.destroyed, rig.volume.seen]).toEqual([true, true, []]);
  io.vanish();
  admin.vanish();
  expect([rig.finished, rig.inUse]).toEqual([2, 0]);
});

it('a host whose login a short pause of the gate would end is refused, with the reason (D1)', () => {
  const rig = new GateRig();
  expect(() => rig.login(undefined, { keepAliveMs: 3_999 })).toThrow('"status":16770');
  expect(rig.log.at(-1)).toContain('was refused: its keep-alive time is 3999 ms, and allowed are 4000 ms or more, or 0');
  expect(rig.subsystem.controllers.size).toBe(0);
});

it('a host that has turned its keep-alive off stays', () => {
  const rig = new GateRig();
  const admin = rig.login(undefined, { keepAliveMs: 0 });
  rig.nowMs += 1e9;
  rig.subsystem.tick();
  expect(admin.transport.destroyed).toBe(false);
});

it('a command that its volume does not complete is answered with an interruption, and its buffer stays', () => {
  const { rig, admin, io } = withWrite();
  for (let cid = 30; cid < 36; cid++) {
    rig.nowMs += 4_000;
    admin.send({ opcode: 0x18, cid });
  }
  io.connection.tick(rig.nowMs);
  rig.turn();
  expect(io.take()).toMatchObject([{ cid: 5, status: 0x21 }]);
  expect(rig.inUse).toBeGreaterThan(0);
  io.connection.tick(rig.nowMs + 25_000);
  // The host repeats it with the same number, and the volume completes both.
  expect(io.codes(write(5, Buffer.alloc(512, 'c')))).toEqual(['#5 0']);
  expect(rig.volume.seen).toEqual(['write 0+512', 'write 0+512']);
  admin.answers();
  expect(rig.inUse).toBe(0);
});

it('logins that end at once leave nothing behind', () => {
  const rig = new GateRig();
  for (let at = 0; at < 10; at++) {
    const admin = rig.login();
    const io = rig.queue(admin);
    io.send({ opcode: 2, cid: 1, nsid: 1, dwords: [0, 0, 7], transferBytes: 4096 });
    for (const one of at % 2 === 0 ? [admin, io] : [io, admin]) one.vanish();
  }
  expect([rig.finished, rig.subsystem.controllers.size, rig.inUse]).toEqual([20, 0, 0]);
});

it('a host that vanishes leaves nothing behind', () => {
  const { rig, admin, io } = withWrite();
  io.send({ opcode: 1, cid: 6, nsid: 1, dwords: [0, 0, 63], transferBytes: 32 * 1024 });
  rig.turn();
  const [asked] = io.take();
  io.receive(hostData(6, asked?.kind === 'r2t' ? asked.tag : 0, 0, Buffer.alloc(1024)));
  io.send({ opcode: 2, cid: 7, nsid: 1, dwords: [0, 0, 255], transferBytes: 128 * 1024 });
  io.vanish();
  admin.vanish();
  expect([rig.finished, rig.inUse, rig.subsystem.controllers.size]).toEqual([2, 0, 0]);
  expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
  expect(rig.volume.seen).toEqual(['write 0+512', 'read 0+131072']);
});

describe('a host that was silent while the gate was busy (D1)', () => {
  const ranges = (count: number): Buffer => {
    const data = Buffer.alloc(16 * count);
    for (let range = 0; range < count; range++) {
      data.writeUInt32LE(1, 16 * range + 4);
      data.writeUInt32LE(range, 16 * range + 8);
    }
    return data;
  };
  const discard: Sqe = { opcode: 9, cid: 3, nsid: 1, dwords: [2, 4], data: ranges(3) };

  it('gets no further range discarded after its keep-alive time', () => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    io.send(discard);
    rig.nowMs += 5_000;
    rig.complete(1);
    expect([rig.volume.seen, admin.transport.destroyed, io.transport.destroyed]).toEqual([['discard 0+512'], true, true]);
    io.vanish();
    admin.vanish();
    expect([rig.finished, rig.inUse]).toEqual([2, 0]);
  });

  it.each([
    ['in a capsule', 8, 1024],
    ['that was asked for', 64, 32 * 1024],
  ])('gets nothing written if the end of its data arrives after its keep-alive time: %s', (_, blocks, bytes) => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    const data = Buffer.alloc(512 * blocks);
    let pdu = capsule(write(1, data));
    if (blocks === 64) {
      const [asked] = io.run({ opcode: 1, cid: 1, nsid: 1, dwords: [0, 0, 63], transferBytes: 32 * 1024 });
      pdu = hostData(1, asked?.kind === 'r2t' ? asked.tag : 0, 0, data);
    }
    io.receive(pdu.subarray(0, bytes));
    rig.nowMs += 5_100;
    io.receive(pdu.subarray(bytes));
    expect([rig.volume.seen, admin.transport.destroyed, io.transport.destroyed]).toEqual([[], true, true]);
    io.vanish();
    admin.vanish();
    expect([rig.finished, rig.inUse]).toEqual([2, 0]);
  });
});

it('a host that takes no answers cannot make a gate keep more of them than its bound', () => {
  const rig = new GateRig({ memoryBytes: 1024 * 1024 });
  const io = rig.queue(rig.login());
  for (let round = 0; round < 200 && !io.transport.ended; round++) {
    io.send({ opcode: 2, cid: round, nsid: 1, dwords: [0, 0, 127], transferBytes: 64 * 1024 });
    rig.settle();
  }
  expect(io.transport.waitingBytes).toBeLessThan(1024 * 1024 + 128 * 1024);
  expect(rig.budget.usedBytes).toBeGreaterThan(900 * 1024);
  io.vanish();
  expect(rig.budget.usedBytes).toBe(0);
});

it('a host that takes no answers cannot make a gate keep more than a few large logs', () => {
  const rig = new GateRig();
  const admin = rig.login();
  for (let cid = 0; cid < 100; cid++) {
    admin.send({ opcode: 2, cid, dwords: [(16_383 << 16) | 1, 0], transferBytes: 65_536 });
    rig.turn();
  }
  expect(rig.batches.inUse).toBeLessThanOrEqual(GATE_LARGE_LOGS_MAX + 1);
  const answers = admin.answers();
  expect(answers.filter((one) => one.kind === 'data')).toHaveLength(GATE_LARGE_LOGS_MAX);
  // The host may repeat the other commands.
  expect(answers.flatMap((one) => (one.kind === 'done' && one.status !== 0 ? [one.status] : []))).toEqual(Array(84).fill(0x21));
  expect(admin.codes({ opcode: 2, cid: 3, dwords: [(16_383 << 16) | 1, 0], transferBytes: 65_536 })).toEqual(['#3 0']);
  expect(rig.inUse).toBe(0);
});

it('a host that takes no answers cannot have any number of them', () => {
  const rig = new GateRig();
  const io = rig.queue(rig.login(), 1, { entries: 8 });
  for (let cid = 0; cid < 500; cid++) {
    io.send({ opcode: 0x7a, cid, nsid: 1 });
    rig.settle();
  }
  expect(io.transport.ended).toBe(true);
  expect(io.transport.waitingBytes).toBeLessThan(1024);
});

it('data in the capsule of a command without data is refused, and no memory is lost', () => {
  const rig = new GateRig();
  const io = rig.queue(rig.login());
  const verify: Sqe = { opcode: 0x0c, cid: 1, nsid: 1, dwords: [0, 0, 7], data: Buffer.alloc(512) };
  const before = rig.data.pooledBytes;
  const read: Sqe = { ...verify, opcode: 2, cid: 2, dwords: [0, 0, 0] };
  expect(io.codes(verify, read, { ...verify, opcode: 0x08, cid: 3 })).toEqual(['#1 4002', '#2 4002', '#3 4002']);
  expect([rig.inUse, rig.volume.seen, rig.data.pooledBytes]).toEqual([0, [], before]);
});

describe('a host that stops in the middle', () => {
  function pass(rig: GateRig, admin: RigConnection, io: RigConnection, ms: number): void {
    for (let step = 0; step < ms / 1000; step++) {
      rig.nowMs += 1_000;
      admin.run({ opcode: 0x18, cid: 1 });
      io.connection.tick(rig.nowMs);
      admin.connection.tick(rig.nowMs);
      rig.subsystem.tick();
    }
  }

  it('and owes data is cut off', () => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    io.run({ opcode: 1, cid: 1, nsid: 1, dwords: [0, 0, 63], transferBytes: 32 * 1024 });
    pass(rig, admin, io, 20_000);
    // Other commands do not count as the data that the host owes.
    io.run({ opcode: 0, cid: 2, nsid: 1 });
    expect(io.transport.destroyed).toBe(false);
    pass(rig, admin, io, 20_000);
    expect([io.transport.destroyed, admin.transport.destroyed, rig.log.at(-1)]).toEqual([
      ...[true, true, 'closed: one of its I/O queues has ended'],
    ]);
  });

  it('and takes no answers is cut off', () => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    io.send({ opcode: 2, cid: 1, nsid: 1, dwords: [0, 0, 255], transferBytes: 128 * 1024 });
    rig.settle();
    pass(rig, admin, io, 40_000);
    expect([io.transport.destroyed, rig.log.includes('closed: its host has taken no answers for 30 s')]).toEqual([true, true]);
  });

  it('and leaves its own fault unread has its socket destroyed', () => {
    const rig = new GateRig();
    const admin = rig.login();
    const io = rig.queue(admin);
    io.receive(Buffer.alloc(8, 0xff));
    expect([io.transport.ended, io.transport.destroyed]).toEqual([true, false]);
    pass(rig, admin, io, 40_000);
    expect(io.transport.destroyed).toBe(true);
  });

  it('is not cut off while its volume is slow', () => {
    const { rig, admin, io } = withWrite();
    for (let step = 0; step < 60; step++) {
      rig.nowMs += 1_000;
      admin.send({ opcode: 0x18, cid: 1 });
      rig.turn();
      admin.take();
      io.take();
      io.connection.tick(rig.nowMs);
      admin.connection.tick(rig.nowMs);
    }
    expect([io.transport.destroyed, admin.transport.destroyed]).toEqual([false, false]);
  });
});
