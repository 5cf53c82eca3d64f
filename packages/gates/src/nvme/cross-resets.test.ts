// Cross-controller resets over a raw host: what Identify announces, when the answer comes, what the log and its event say, refusals and
// bounds. The oracles are the list of requests of the volume and the sockets. Rules: D1.

import { describe, expect, it } from 'vitest';
import type { Sqe } from './testing/nvme-host.ts';
import { GateRig, type RigConnection } from './testing/nvme-rig.ts';

const [OK, IN_PROGRESS, LOG_FULL, LIMIT, INVALID_CONTROLLER] = ['0', '13f', '140', '141', '411f'];
const EVENT = 0x1e_f402;

function page(admin: RigConnection, command: Sqe): Buffer {
  const [data] = admin.run(command);
  if (data?.kind !== 'data') throw new Error(JSON.stringify(data));
  return data.data;
}

function controllerPage(admin: RigConnection): Buffer {
  return page(admin, { opcode: 6, cid: 70, dwords: [1], transferBytes: 4096 });
}

/** CDW10 and CDW12 to CDW13 name a controller by its id, CIU and CIRN. */
function resetOf(lost: RigConnection, cid = 5): Sqe {
  const identified = controllerPage(lost);
  const dwords = [lost.cntlid | (identified[135]! << 16), 0, identified.readUInt32LE(136), identified.readUInt32LE(140)];
  return { opcode: 0x38, cid, dwords };
}

/** Log 1Eh: for each entry, the id, the CIU, the id of the controller that got the order, the status and the flags. */
function logOf(admin: RigConnection, flags = 0): number[][] {
  const log = page(admin, { opcode: 2, cid: 71, dwords: [(127 << 16) | flags | 0x1e, 0], transferBytes: 512 });
  return Array.from({ length: log.readUInt16LE(0) }, (_, index) => {
    const at = 8 + 8 * index;
    return [log.readUInt16LE(at), log[at + 2]!, log.readUInt16LE(at + 4), log[at + 6]!, log[at + 7]!];
  });
}

/** A host with two controllers. The volume is executing a write of the lost controller, and a second write lies unread in its socket. */
class Scene {
  readonly rig = new GateRig();
  readonly lost = this.rig.login(undefined, { keepAliveMs: 0 });
  readonly io = this.rig.queue(this.lost);
  readonly admin = this.rig.login(undefined, { keepAliveMs: 0 });
  readonly order = resetOf(this.lost);
  readonly uniquifier = this.order.dwords![0]! >>> 16;

  constructor() {
    this.write(5, 'b');
  }

  write(cid: number, letter: string): void {
    this.io.send({ opcode: 1, cid, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512, letter) });
  }

  /** Returns the gate's answers to commands while the volume completes nothing. */
  answered(...commands: readonly Sqe[]): string[] {
    this.admin.send(...commands);
    this.rig.turn();
    return this.admin.take().flatMap((one) => (one.kind === 'done' ? [`${one.status.toString(16)} ${one.low.toString(16)}`] : []));
  }

  closeSockets(): void {
    for (const one of [this.io, this.lost]) {
      one.transport.failWrites();
      one.connection.closed();
    }
  }

  pass(ms: number): void {
    this.rig.nowMs += ms;
    this.rig.subsystem.tick();
    this.rig.turn();
  }
}

it('a controller announces its instance, which a login or a reset changes, and how many it may reset', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const before = controllerPage(admin);
  expect([before.readUInt16LE(386), before[1807]]).toEqual([2000, 4]);
  const instance = (from: Buffer): string => from.toString('hex', 135, 144);
  expect([before[135], instance(controllerPage(rig.login())) === instance(before)]).toEqual([expect.toSatisfy((ciu) => ciu > 0), false]);
  admin.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0000] });
  admin.run({ opcode: 0x7f, fabricsType: 0, cid: 2, dwords: [0, 0x14, 0x46_0001] });
  const after = controllerPage(admin);
  expect([after[135], after.subarray(136, 144).equals(before.subarray(136, 144))]).toEqual([(before[135]! % 255) + 1, false]);
  expect(before.subarray(136, 144).equals(Buffer.alloc(8))).toBe(false);
});

describe('a reset of a lost controller', () => {
  it('is answered when neither a socket nor the volume has anything of it, and what lies unread is never executed', () => {
    const { rig, lost, io, order, ...scene } = new Scene();
    const { admin } = scene;
    admin.send(order);
    rig.turn();
    expect([admin.take(), io.transport.destroyed, lost.transport.destroyed]).toEqual([[], true, true]);
    io.send({ opcode: 1, cid: 6, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512, 'c') });
    io.connection.closed();
    lost.connection.closed();
    rig.subsystem.tick();
    rig.turn();
    expect([admin.take(), rig.volume.seen]).toEqual([[], ['write 0+512']]);
    rig.complete();
    rig.turn();
    io.transport.failWrites();
    expect(admin.answers()).toMatchObject([{ kind: 'done', cid: 5, status: 0, low: 1 }]);
    expect([rig.volume.seen, logOf(admin), rig.subsystem.controllers.size]).toEqual([['write 0+512'], [], 1]);
    // The controller that got the order goes on, and an instance that has ended needs no reset.
    expect(admin.run(order)).toMatchObject([{ status: 0, low: 1 }]);
    expect(rig.queue(admin).codes({ opcode: 0, cid: 1, nsid: 1 })).toEqual(['#1 0']);
    expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
  });

  it('that takes longer is answered before its end, and the log and an event say when it has ended', () => {
    const scene = new Scene();
    const { rig, admin, order, lost, uniquifier } = scene;
    expect(scene.answered({ opcode: 9, cid: 1, dwords: [0x0b, 1 << 20] })).toEqual(['0 0']);
    expect(scene.answered(order, { opcode: 0x0c, cid: 100 })).toEqual([]);
    scene.closeSockets();
    scene.pass(999);
    expect(scene.answered()).toEqual([]);
    scene.pass(1);
    expect(scene.answered()).toEqual(['0 0']);
    const entry = [lost.cntlid, uniquifier, admin.cntlid];
    // Reading the log must not let the volume go on, so the log is read here without `run`.
    admin.send({ opcode: 2, cid: 71, dwords: [(3 << 16) | 0x1e, 0], transferBytes: 16 });
    rig.turn();
    expect(admin.take().flatMap((one) => (one.kind === 'data' ? [[...one.data]] : []))).toEqual([
      [1, 0, 0, 0, 0, 0, 0, 0, lost.cntlid, 0, uniquifier, 0, admin.cntlid, 0, 0, 3],
    ]);
    rig.complete();
    expect(admin.answers()).toMatchObject([{ cid: 100, status: 0, low: EVENT }]);
    expect(logOf(admin)).toEqual([[...entry, 1, 3]]);
    expect(logOf(admin, 0x100)).toEqual([[...entry, 1, 3]]);
    expect(logOf(admin)).toEqual([]);
  });

  it('whose I/O does not end has failed after 10 s, and the controller that was asked goes on', () => {
    const scene = new Scene();
    const { rig, admin, order, lost, uniquifier } = scene;
    scene.answered(order);
    scene.closeSockets();
    for (let second = 0; second < 11; second++) scene.pass(1000);
    expect(scene.answered()).toEqual(['0 0']);
    expect(rig.log.at(-1)).toContain('controller 1 of host');
    expect(rig.log.at(-1)).toContain('still has I/O 10 s after');
    // The host may order the reset again, and the order waits again.
    expect(scene.answered({ ...order, cid: 6 })).toEqual([]);
    expect([admin.transport.destroyed, rig.volume.underWay]).toEqual([false, 1]);
    rig.complete();
    expect(admin.answers()).toMatchObject([{ cid: 6, status: 0, low: 1 }]);
    expect(logOf(admin)).toEqual([[lost.cntlid, uniquifier, admin.cntlid, 2, 3]]);
  });

  it('ends the wait when the controller that was asked is reset or lost', () => {
    const scene = new Scene();
    const { rig, admin, order } = scene;
    const other = rig.login(undefined, { keepAliveMs: 0 });
    scene.answered(order);
    expect(scene.answered({ opcode: 0x7f, fabricsType: 0, cid: 9, dwords: [0, 0x14, 0x46_0000] })).toEqual(['7 0', '0 0']);
    other.send(order);
    rig.turn();
    other.vanish();
    scene.closeSockets();
    rig.complete();
    expect([admin.answers(), rig.subsystem.controllers.size, rig.inUse]).toEqual([[], 1, 0]);
  });
});

describe('a reset is refused', () => {
  it('of the own controller, and of controllers that this gate does not give', () => {
    const { admin, order } = new Scene();
    const named = (id: number): Sqe => ({ ...order, dwords: [(order.dwords![0]! & 0xff_0000) | id, ...order.dwords!.slice(1)] });
    expect(admin.codes(resetOf(admin))).toEqual(['#5 4002']);
    for (const id of [0, 8189, 0xffff]) expect(admin.codes(named(id))).toEqual([`#5 ${INVALID_CONTROLLER}`]);
    const second = new GateRig({ number: 2 });
    const other = second.login();
    expect(other.codes(named(8188), named(16_377), named(8190))).toEqual([`#5 ${INVALID_CONTROLLER}`, `#5 ${INVALID_CONTROLLER}`, '#5 0']);
  });

  it('for the controller of another host, even with its numbers, and it lives on', () => {
    const { rig, admin } = new Scene();
    for (const who of [{ hostNqn: 'nqn.2020-01.org:other' }, { hostId: Buffer.alloc(16, 7) }]) {
      const stranger = rig.login(undefined, who);
      expect(admin.codes(resetOf(stranger))).toEqual([`#5 ${INVALID_CONTROLLER}`]);
      expect(stranger.codes({ opcode: 0x18, cid: 1 })).toEqual(['#1 0']);
    }
  });

  it('never ends the controller that has the id now: another CIU or CIRN means an instance that has ended', () => {
    const { admin, lost, order } = new Scene();
    const [first, , low, high] = order.dwords!;
    const wrong = [[first! ^ (1 << 16), 0, low!, high!], [first!, 0, low! ^ 1, high!], [first!, 0, low!, high! ^ 1]]; // biome-ignore format: a table
    for (const dwords of wrong) expect(admin.run({ ...order, dwords })).toMatchObject([{ status: 0, low: 1 }]);
    expect(lost.transport.destroyed).toBe(false);
    expect(lost.codes({ opcode: 0x18, cid: 1 })).toEqual(['#1 0']);
  });

  it('while the same one is under way, and beyond the bounds of a controller, of the gate and of the log', () => {
    const rig = new GateRig();
    // Two hosts, because one host may have fewer logins than the gate has resets. The second host orders the resets after the eighth.
    const login = (at: number): RigConnection => rig.login(undefined, { keepAliveMs: 0, hostNqn: `nqn.2020-01.org.example:${at}` });
    const sources = Array.from({ length: 5 }, (_, at) => login(at < 2 ? 1 : 2));
    const [first, second] = sources as [RigConnection, RigConnection];
    const orders = Array.from({ length: 17 }, (_, at) => resetOf(login(at < 8 ? 1 : 2)));
    const codes = (source: RigConnection, order: Sqe): string[] => {
      source.send(order);
      rig.turn();
      return source.take().flatMap((one) => (one.kind === 'done' ? [one.status.toString(16)] : []));
    };
    for (const order of orders.slice(0, 4)) expect(codes(first, order)).toEqual([]);
    expect([codes(first, orders[0]!), codes(second, orders[0]!)]).toEqual([[IN_PROGRESS], [IN_PROGRESS]]);
    expect(codes(first, orders[4]!)).toEqual([LIMIT]);
    for (let at = 4; at < 16; at++) expect(codes(sources[Math.floor(at / 4)]!, orders[at]!)).toEqual([]);
    expect(codes(sources[4]!, orders[16]!)).toEqual([LIMIT]);
    expect(codes(first, { opcode: 0x18, cid: 1 })).toEqual([OK]);
  });

  it('when the log is full, until its completed entries are removed', () => {
    const rig = new GateRig();
    const admin = rig.login(undefined, { keepAliveMs: 0 });
    for (let round = 0; round < 33; round++) {
      const lost = rig.login(undefined, { keepAliveMs: 0 });
      const order = resetOf(lost);
      if (round === 32) {
        expect(admin.codes(order)).toEqual([`#5 ${LOG_FULL}`]);
        expect(logOf(admin, 0x100)).toHaveLength(32);
      }
      admin.send(order);
      rig.nowMs += 1000;
      rig.subsystem.tick();
      lost.vanish();
      admin.answers();
    }
    expect(logOf(admin)).toHaveLength(1);
  });
});
