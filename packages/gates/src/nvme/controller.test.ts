// Controllers: login, properties, Identify, logs, features, events. The oracle is a raw host. Resets, aborts and the keep-alive are in
// nvme-ends.test.ts.

import { describe, expect, it } from 'vitest';
import { GATE_HOST_LOGINS_MAX } from '../limits.ts';
import { discoveryLog } from './discovery.ts';
import { HOST_NQN, type Sqe } from './testing/nvme-host.ts';
import { GateRig, NQN, type RigConnection, RigNamespace } from './testing/nvme-rig.ts';
import { connectCommand } from './testing/nvme-host.ts';

function property(cid: number, offset: number, isLong = false): Sqe {
  return { opcode: 0x7f, fabricsType: 4, cid, dwords: [isLong ? 1 : 0, offset] };
}

function setConfiguration(cid: number, value: number): Sqe {
  return { opcode: 0x7f, fabricsType: 0, cid, dwords: [0, 0x14, value] };
}

function identify(cid: number, cns: number, nsid = 0): Sqe {
  return { opcode: 6, cid, nsid, dwords: [cns], transferBytes: 4096 };
}

function log(cid: number, id: number, bytes: number, more: readonly number[] = [], flags = 0): Sqe {
  return { opcode: 2, cid, nsid: 0xffff_ffff, dwords: [((bytes / 4 - 1) << 16) | flags | id, 0, ...more], transferBytes: bytes };
}

function pageOf(admin: RigConnection, command: Sqe): Buffer {
  const [data] = admin.run(command);
  if (data?.kind !== 'data') throw new Error(JSON.stringify(data));
  return data.data;
}

describe('Connect', () => {
  it('refuses hosts that are not allowed, other subsystems and wrong controllers', () => {
    const rig = new GateRig({ allowed: 'nqn.2020-01.org:other' });
    const stranger = rig.connection();
    stranger.greet();
    expect(stranger.codes(connectCommand({ nqn: NQN }))).toEqual(['#0 4184']);
    expect(stranger.codes(connectCommand({ nqn: 'nqn.2020-01.org:nothing' }))).toEqual(['#0 4182']);
    expect(stranger.codes(connectCommand({ nqn: NQN, cntlid: 5, hostNqn: 'nqn.2020-01.org:other' }))).toEqual(['#0 4182']);
    expect(stranger.codes(connectCommand({ nqn: NQN, entries: 33, hostNqn: 'nqn.2020-01.org:other' }))).toEqual(['#0 4182']);
    for (const hostNqn of ['nqn.2020-01.org:\u001b[2J', 'nqn.2020-01.org:\ufffd', `nqn.2020-01.org:${'x'.repeat(210)}`])
      expect(stranger.codes(connectCommand({ nqn: NQN, hostNqn }))).toEqual(['#0 4182']);
    expect(stranger.codes(connectCommand({ nqn: NQN, hostNqn: 'nqn.2020-01.org:other' }))).toEqual(['#0 0']);
  });

  it('admits I/O queues of the same host only, each number once, after the controller is ready', () => {
    const rig = new GateRig();
    const admin = rig.login();
    rig.queue(admin, 1);
    expect(() => rig.queue(admin, 1)).toThrow('"status":16396');
    expect(() => rig.queue(admin, 2, { hostNqn: 'nqn.2020-01.org:other' })).toThrow('"status":16770');
    expect(() => rig.queue(admin, 17)).toThrow('"status":16770');
    expect(() => rig.queue(admin, 3, { entries: 129 })).toThrow('"status":16770');
    admin.run(setConfiguration(1, 0));
    expect(() => rig.queue(admin, 4)).toThrow('"status":16396');
  });

  it('gives the controllers of each gate of a subsystem ids of their own, also after a wrap-around', () => {
    for (const number of [1, 8]) {
      const rig = new GateRig({ number });
      const first = (number - 1) * 8188 + 1;
      const stays = rig.login();
      expect(stays.cntlid).toBe(first);
      Object.assign(rig.subsystem, { lastId: 8187 });
      expect([rig.login().cntlid, rig.login().cntlid]).toEqual([first + 8187, first + 1]);
    }
  });

  it('lets a host try again whose controller has ended while it logged in: newer Linux removes the path after an answer with DNR', () => {
    const rig = new GateRig();
    const admin = rig.login();
    rig.queue(admin, 1).send({ opcode: 2, cid: 1, nsid: 1, dwords: [0, 0, 7], transferBytes: 4096 });
    // The keep-alive time runs out while a volume is still executing a command of the controller.
    rig.nowMs += 5000;
    rig.subsystem.tick();
    expect(() => rig.queue(admin, 2)).toThrow('"status":386,');
    // A controller of an earlier process.
    expect(() => rig.queue(admin, 2, { cntlid: 99 })).toThrow('"status":386,');
  });

  it('has a bound for controllers, and numbers are not used twice', () => {
    const rig = new GateRig();
    const hostOf = (at: number): { hostNqn: string } => ({ hostNqn: `nqn.2020-01.org.example:${Math.floor(at / 12)}` });
    const ids = Array.from({ length: 64 }, (_, at) => rig.login(undefined, hostOf(at)).cntlid);
    expect(new Set(ids).size).toBe(64);
    expect(() => rig.login(undefined, hostOf(70))).toThrow('"status":385');
    expect(rig.log.at(-1)).toBe('host nqn.2020-01.org.example:5 was refused: hosts have 64 logins, and more are not allowed');
  });

  it('has a bound for the controllers of one host, which leaves places to others', () => {
    const rig = new GateRig();
    const logins = Array.from({ length: GATE_HOST_LOGINS_MAX }, () => rig.login());
    expect(() => rig.login()).toThrow('"status":385');
    expect(rig.log.at(-1)).toContain('was refused: it has 12 logins at this gate, and more are not allowed');
    rig.login(undefined, { hostNqn: 'nqn.2020-01.org.example:other' });
    logins[0]!.vanish();
    rig.settle();
    rig.login();
  });
});

it('properties can be read, and only the configuration can be set', () => {
  const rig = new GateRig();
  const admin = rig.connection();
  admin.greet();
  admin.run(connectCommand({ nqn: NQN }));
  const [cap] = admin.run(property(1, 0, true));
  expect(cap).toMatchObject({ status: 0, low: 0x1401_007f, high: 0x20 });
  expect(admin.run(property(2, 8))).toMatchObject([{ status: 0, low: 0x1_0400 }]);
  expect(admin.run(property(3, 0x1c))).toMatchObject([{ status: 0, low: 0 }]);
  expect(admin.codes(identify(4, 1))).toEqual(['#4 400c']);
  expect(admin.codes(setConfiguration(5, 0x55_0001), setConfiguration(6, 0x46_0001))).toEqual(['#5 4002', '#6 0']);
  expect(admin.run(property(7, 0x1c))).toMatchObject([{ status: 0, low: 1 }]);
  const wrong = [property(8, 0x40), property(9, 0), property(10, 8, true), { ...setConfiguration(11, 1), dwords: [0, 0x1c, 0] }];
  expect(admin.codes(...wrong)).toEqual(['#8 4002', '#9 4002', '#10 4002', '#11 4002']);
});

describe('Identify', () => {
  it('has the controller, the list and the volume', () => {
    const rig = new GateRig({ blockSizeBytes: 4096 });
    const admin = rig.login();
    const controller = pageOf(admin, identify(1, 1));
    expect(controller.toString('latin1', 4, 24)).toBe('0123456789          ');
    expect(controller.readUInt16LE(78)).toBe(admin.cntlid);
    expect(controller.toString('utf8', 768, 768 + NQN.length)).toBe(NQN);
    expect([controller[77], controller.readUInt16LE(320), controller[512], controller[513], controller[111]]).toEqual([
      8, 10, 0x66, 0x44, 1,
    ]);
    expect(controller.readUInt32LE(1792)).toBe((64 + 8192) / 16);
    const list = pageOf(admin, identify(2, 2));
    expect([list.readUInt32LE(0), list.readUInt32LE(4)]).toEqual([1, 0]);
    expect(pageOf(admin, identify(3, 2, 1)).readUInt32LE(0)).toBe(0);
    const volume = pageOf(admin, identify(4, 0, 1));
    expect([volume.readBigUInt64LE(0), volume[130], volume[30], volume[99]]).toEqual([256n, 12, 1, 0]);
    expect(pageOf(admin, identify(5, 0, 9)).equals(Buffer.alloc(4096))).toBe(true);
    expect(admin.codes(identify(6, 0, 70_000), identify(7, 3, 9), identify(8, 0x77))).toEqual(['#6 400b', '#7 400b', '#8 4002']);
  });

  it('names a volume by its id', () => {
    const rig = new GateRig();
    Object.assign(rig.volume, { id: '12345678-9abc-4def-8123-456789abcdef' });
    const admin = rig.login();
    const id = Buffer.from('123456789abc4def8123456789abcdef', 'hex');
    expect(pageOf(admin, identify(1, 0, 1)).subarray(104, 120)).toEqual(id);
    const found = pageOf(admin, identify(2, 3, 1));
    expect([found[0], found[1], found.subarray(4, 20), found[20], found.subarray(24, 40), found[40]]).toEqual([2, 16, id, 3, id, 4]);
  });
});

describe('logs', () => {
  it('have offsets, and only those that are there', () => {
    const admin = new GateRig().login();
    const health = pageOf(admin, log(1, 2, 512));
    expect(pageOf(admin, log(2, 2, 8, [0])).equals(health.subarray(0, 8))).toBe(true);
    expect(pageOf(admin, log(3, 5, 16, [1024])).readUInt32LE(4)).toBe(3);
    expect(admin.codes(log(4, 0x70, 64), log(5, 2, 8, [3]), log(6, 2, 8, [1024]), log(7, 2, 128 * 1024))).toEqual([
      '#4 4109',
      '#5 4002',
      '#6 4002',
      '#7 4002',
    ]);
  });

  it('list the namespaces that have come, gone or grown, and an event says so once', () => {
    const rig = new GateRig();
    const admin = rig.login();
    admin.send({ opcode: 0x0c, cid: 100 });
    rig.subsystem.changed(1);
    expect(admin.answers()).toEqual([]);
    expect(admin.codes({ opcode: 9, cid: 1, dwords: [0x0b, 1 << 8] })).toEqual(['#1 0']);
    rig.subsystem.add(new RigNamespace(7, rig.volume, rig.order));
    rig.subsystem.changed(1);
    expect(admin.answers()).toMatchObject([{ kind: 'done', cid: 100, status: 0, low: 0x04_0002 }]);
    const kept = pageOf(admin, log(2, 4, 4096, [], 0x8000));
    const list = pageOf(admin, log(3, 4, 4096));
    expect(list.equals(kept)).toBe(true);
    expect([list.readUInt32LE(0), list.readUInt32LE(4), list.readUInt32LE(8)]).toEqual([1, 7, 0]);
    expect(pageOf(admin, log(4, 4, 4096)).readUInt32LE(0)).toBe(0);
    // The second change came while the host waited for no event.
    expect(admin.run({ opcode: 0x0c, cid: 101 })).toMatchObject([{ cid: 101, low: 0x04_0002 }]);
    rig.subsystem.remove(7);
    admin.send({ opcode: 0x0c, cid: 102 });
    // The host has not read the log since the last event.
    expect(admin.answers()).toEqual([]);
    pageOf(admin, log(5, 4, 4096, [], 0x8000));
    expect(admin.answers()).toEqual([]);
    expect(admin.run(log(6, 4, 4096))).toMatchObject([{ cid: 102 }, { kind: 'data' }, { cid: 6 }]);
  });

  it('of discovery have an entry for each address', () => {
    const entry = { nqn: NQN, address: '192.168.1.5', port: 4420, portId: 1, tls: false };
    const made = discoveryLog(3, [entry, { ...entry, address: 'fd00::1', portId: 2, tls: true }]);
    expect([made.readBigUInt64LE(0), made.readBigUInt64LE(8), made.length]).toEqual([3n, 2n, 3072]);
    expect([made[1024], made[1025], made[1026], made[2049], made.readUInt16LE(1030)]).toEqual([3, 1, 2, 2, 0xffff]);
    // TREQ and SECTYPE: no TLS, and TLS 1.3.
    expect([made[1024 + 3], made[1024 + 768], made[2048 + 3], made[2048 + 768]]).toEqual([2, 0, 1, 2]);
    expect(made.toString('latin1', 1024 + 512, 1024 + 524)).toBe('192.168.1.5 ');
    expect(made.toString('latin1', 1024 + 32, 1024 + 37)).toBe('4420 ');
  });
});

it('features: queues, events, keep-alive and the cache', () => {
  const admin = new GateRig().login();
  const get = (cid: number, feature: number, select = 0): Sqe => ({ opcode: 0x0a, cid, dwords: [feature | (select << 8)] });
  const set = (cid: number, feature: number, value: number): Sqe => ({ opcode: 9, cid, dwords: [feature, value] });
  expect(admin.run(set(1, 7, 0x0063_0003))).toMatchObject([{ status: 0, low: 0x0003_0003 }]);
  expect(admin.run(set(2, 7, 0x0063_0063))).toMatchObject([{ status: 0, low: 0x000f_000f }]);
  expect(admin.codes(set(3, 7, 0xffff_ffff), set(4, 6, 0), set(5, 6, 1), set(6, 0x99, 1))).toEqual([
    '#3 4002',
    '#4 410e',
    '#5 0',
    '#6 4002',
  ]);
  expect(admin.run(get(7, 0x0f))).toMatchObject([{ status: 0, low: 5000 }]);
  expect(admin.run(set(8, 0x0f, 3999), get(9, 0x0f))).toMatchObject([{ status: 0x4002 }, { status: 0, low: 5000 }]);
  expect(admin.run(set(8, 0x0f, 4000), get(9, 0x0f))).toMatchObject([{ status: 0 }, { status: 0, low: 4000 }]);
  expect(admin.run(get(10, 6))).toMatchObject([{ status: 0, low: 1 }]);
  expect(admin.codes(get(11, 6, 3), get(12, 0x99), set(13, 0x8000_000b, 1))).toEqual(['#11 4002', '#12 4002', '#13 410d']);
});

it('only so many events can be waited for', () => {
  const admin = new GateRig().login();
  const listen = Array.from({ length: 5 }, (_, cid) => ({ opcode: 0x0c, cid: 50 + cid }));
  expect(admin.codes(...listen)).toEqual(['#54 4105']);
  expect(admin.codes({ opcode: 8, cid: 1, dwords: [50 << 16] })).toEqual(['#50 7', '#1 0']);
});

it('the host is named in the log', () => {
  const rig = new GateRig();
  const admin = rig.login();
  admin.vanish();
  expect(rig.log).toEqual([`host ${HOST_NQN} has connected, as controller 1`, `host ${HOST_NQN} has left controller 1`]);
});
