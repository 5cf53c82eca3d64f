// Reservations of hosts: the commands on the wire, the order of saving, answering and I/O, and the notices. The oracle is a raw host; the
// test saves the states. The rules themselves are tested in reservation-rules.test.ts.

import { describe, expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import { GATE_RESERVATIONS_WAITING_MAX } from '../limits.ts';
import { hostData, type Sqe } from './testing/nvme-host.ts';
import { GateRig, type RigConnection } from './testing/nvme-rig.ts';
import type { ReservationState } from '@rsio/rsiod/notes/reservation-state';
import { NO_RESERVATIONS } from '../reservations/reservation-rules.ts';
import { Reservations } from '../reservations/reservations.ts';

const [REGISTER, REPORT, ACQUIRE, RELEASE] = [0x0d, 0x0e, 0x11, 0x15];
const CONFLICT = '4083';
/** The server refuses to save, and has the old record. */
const STALE = new RsError('E_TAKEN', 'stale', { status: STATUS.STALE });
const KEEP_ALIVE: Sqe = { opcode: 0x18, cid: 900 };

interface Host {
  readonly admin: RigConnection;
  readonly io: RigConnection;
}

/** A gate whose test decides when a state is saved; `isAuto` saves at once. */
class Scene {
  readonly rig = new GateRig();
  readonly saved: ReservationState[] = [];
  readonly open: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly reservations: Reservations;
  isAuto = true;
  private readonly admins: RigConnection[] = [];

  constructor(state: ReservationState | null = null) {
    this.reservations = new Reservations(state, (next) => {
      this.saved.push(next);
      return this.isAuto ? Promise.resolve() : new Promise((resolve, reject) => void this.open.push({ resolve, reject }));
    });
    this.rig.namespace.reservations = this.reservations;
    this.rig.subsystem.add(this.rig.namespace);
  }

  host(digit: string): Host {
    const who = { hostId: Buffer.alloc(16, Number.parseInt(digit.repeat(2), 16)), hostNqn: `nqn.2020-01.org:${digit}`, keepAliveMs: 0 };
    const admin = this.rig.login(undefined, who);
    this.admins.push(admin);
    return { admin, io: this.rig.queue(admin, 1, who) };
  }

  /** Sends commands, and returns the codes of the answers that arrive. */
  async codes({ io }: Host, ...commands: readonly Sqe[]): Promise<string[]> {
    io.send(...commands);
    return this.answered(io);
  }

  async answered(io: RigConnection): Promise<string[]> {
    const found: string[] = [];
    for (let round = 0; round < 5; round++) {
      await Promise.resolve();
      await Promise.resolve();
      io.connection.tick(this.rig.nowMs);
      // The same identifier again: the host has received the answer before, which proves its path (rule D1).
      for (const admin of this.admins) if (admin !== io) admin.run(KEEP_ALIVE);
      for (const one of io.answers()) if (one.kind === 'done') found.push(one.status.toString(16));
    }
    return found;
  }
}

function keys(...numbers: readonly number[]): Buffer {
  const data = Buffer.alloc(8 * numbers.length);
  for (const [index, number] of numbers.entries()) data.writeBigUInt64LE(BigInt(number), 8 * index);
  return data;
}

const register = (key: number, current = 0, what = 0): Sqe => ({
  opcode: REGISTER,
  cid: 1,
  nsid: 1,
  dwords: [what],
  data: keys(current, key),
});
const acquire = (key: number, type: number, victim = 0, what = 0): Sqe => ({
  opcode: ACQUIRE,
  cid: 2,
  nsid: 1,
  dwords: [what | (type << 8)],
  data: keys(key, victim),
});
const release = (key: number, type: number, what = 0): Sqe => ({
  opcode: RELEASE,
  cid: 3,
  nsid: 1,
  dwords: [what | (type << 8)],
  data: keys(key),
});
const report = (bytes: number): Sqe => ({ opcode: REPORT, cid: 4, nsid: 1, dwords: [bytes / 4 - 1, 1], transferBytes: bytes });
const READ: Sqe = { opcode: 2, cid: 10, nsid: 1, dwords: [0, 0, 0], transferBytes: 512 };
const WRITE: Sqe = { opcode: 1, cid: 11, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512, 'w') };

function reported({ io }: Host, bytes = 512): Buffer {
  const [data] = io.run(report(bytes));
  if (data?.kind !== 'data') throw new Error(JSON.stringify(data));
  return data.data;
}

it('without a place to keep them, reservations are not announced', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const [page] = admin.run({ opcode: 6, cid: 1, nsid: 1, dwords: [0], transferBytes: 4096 });
  expect(page?.kind === 'data' && page.data[31]).toBe(0);
  expect(rig.queue(admin).codes(register(1), report(64))).toEqual(['#1 4001', '#4 4001']);
  expect(admin.codes({ opcode: 9, cid: 2, nsid: 1, dwords: [0x83, 1] }, { opcode: 0x0a, cid: 3, nsid: 1, dwords: [0x83] })).toEqual(['#2 400b', '#3 4002']); // biome-ignore format: pairs
});

describe('the commands', () => {
  it('register, acquire, report and release', async () => {
    const scene = new Scene();
    const [a, b] = [scene.host('a'), scene.host('b')];
    expect(await scene.codes(a, register(0x1234_5678))).toEqual(['0']);
    expect(await scene.codes(b, register(2))).toEqual(['0']);
    expect(await scene.codes(a, acquire(0x1234_5678, 1))).toEqual(['0']);
    const found = reported(b);
    expect([found.length, found.readUInt32LE(0), found[4], found.readUInt16LE(5), found[9]]).toEqual([512, 2, 1, 2, 0]);
    expect([found.readUInt16LE(64), found[66], found.readBigUInt64LE(72), found.subarray(80, 96)]).toEqual([
      ...[0xffff, 1, 0x1234_5678n, Buffer.alloc(16, 0xaa)],
    ]);
    expect([found[130], found.readBigUInt64LE(136), found.subarray(144, 160)]).toEqual([0, 2n, Buffer.alloc(16, 0xbb)]);
    expect(reported(b, 64).equals(found.subarray(0, 64))).toBe(true);
    expect(scene.saved.map(({ generation, type }) => `${generation} ${type}`)).toEqual(['1 0', '2 0', '2 1']);
    expect(await scene.codes(a, release(0x1234_5678, 1))).toEqual(['0']);
    expect(await scene.codes(a, register(0, 0x1234_5678, 1))).toEqual(['0']);
    expect(reported(b).readUInt16LE(5)).toBe(1);
    expect(await scene.codes(b, release(2, 0, 1))).toEqual(['0']);
    expect([reported(b).readUInt16LE(5), scene.rig.inUse]).toEqual([0, 0]);
  });

  it('that are wrong are refused', async () => {
    const scene = new Scene();
    const a = scene.host('a');
    await scene.codes(a, register(1));
    const WRONG: readonly [Sqe, string][] = [
      [register(2), CONFLICT],
      [register(2, 1, 3), '4002'],
      [register(2, 1, 1 << 30), '4002'],
      [{ ...register(2), data: keys(1) }, '400f'],
      [acquire(1, 0), '4002'],
      [acquire(1, 7), '4002'],
      [acquire(1, 1, 0, 3), '4002'],
      [acquire(1, 1, 0, 8), '4002'],
      [acquire(2, 1), CONFLICT],
      [release(1, 1, 8), '4002'],
      [release(1, 1, 2), '4002'],
      [{ ...report(64), dwords: [15, 0] }, '4018'],
      [{ ...register(1), nsid: 9 }, '400b'],
    ];
    for (const [command, code] of WRONG) expect(await scene.codes(a, command)).toEqual([code]);
    expect(scene.saved.length).toBe(1);
    const nobody = scene.host('0');
    expect(await scene.codes(nobody, register(1))).toEqual(['400c']);
  });

  it('that repeat keep their registration over the end of a login, and over another gate', async () => {
    const scene = new Scene();
    const a = scene.host('a');
    await scene.codes(a, register(1), acquire(1, 2));
    a.io.vanish();
    a.admin.vanish();
    const b = scene.host('b');
    expect(await scene.codes(b, READ)).toEqual([CONFLICT]);
    expect(await scene.codes(scene.host('a'), READ, acquire(1, 2))).toEqual(['0', '0']);
    const other = new Scene(scene.saved.at(-1)!);
    expect(await other.codes(other.host('b'), READ)).toEqual([CONFLICT]);
    expect(await other.codes(other.host('a'), READ)).toEqual(['0']);
  });

  it('features: persistence is kept with the reservations', async () => {
    const scene = new Scene();
    const { admin, io } = scene.host('a');
    const set = (feature: number, value: number, nsid = 1): Sqe => ({ opcode: 9, cid: 1, nsid, dwords: [feature, value] });
    const get = (feature: number, nsid = 1): Sqe => ({ opcode: 0x0a, cid: 2, nsid, dwords: [feature] });
    admin.send(set(0x83, 1));
    expect(await scene.answered(admin)).toEqual(['0']);
    expect(admin.run(get(0x83))).toMatchObject([{ status: 0, low: 1 }]);
    expect([scene.saved[0]?.ptpl, reported({ admin, io })[9]]).toEqual([true, 1]);
    await scene.codes({ admin, io }, { ...register(5), dwords: [2 * 2 ** 30] });
    expect(admin.run(get(0x83))).toMatchObject([{ status: 0, low: 0 }]);
    expect(admin.codes(set(0x82, 0x0e), set(0x82, 0x10), set(0x83, 1, 5))).toEqual(['#1 0', '#1 4002', '#1 400b']);
    expect(admin.run(get(0x82))).toMatchObject([{ status: 0, low: 0x0e }]);
    expect(admin.codes(get(0x82, 5), get(0x83, 5))).toEqual(['#2 4002', '#2 4002']);
    // The gate that offers the volume keeps the reservations.
    scene.rig.namespace.ana = 'non-optimized';
    expect(admin.codes(set(0x83, 1))).toEqual(['#1 303']);
    expect(await scene.codes({ admin, io }, register(7), report(64))).toEqual(['303', '303']);
    expect([scene.rig.namespace.asked, scene.saved.length]).toEqual([3, 2]);
  });
});

describe('every I/O command, by type and by host', () => {
  const range = Buffer.alloc(16);
  range.writeUInt32LE(1, 4);
  const dsm = (attributes: number): Sqe => ({ opcode: 9, cid: 1, nsid: 1, dwords: [0, attributes], data: range });
  const READS: readonly Sqe[] = [
    READ,
    { ...WRITE, opcode: 5, data: Buffer.alloc(512) },
    { opcode: 0x0c, cid: 1, nsid: 1, dwords: [0, 0, 0] },
  ];
  const WRITES: readonly Sqe[] = [
    { ...WRITE, data: Buffer.alloc(512) },
    { opcode: 8, cid: 1, nsid: 1, dwords: [0, 0, 0] },
    ...[dsm(4), dsm(1), { opcode: 0, cid: 1, nsid: 1 }],
  ];

  it.each([
    [1, 'rw', 'r', 'r'],
    [2, 'rw', '', ''],
    [3, 'rw', 'rw', 'r'],
    [4, 'rw', 'rw', ''],
    [5, 'rw', 'rw', 'r'],
    [6, 'rw', 'rw', ''],
  ])('type %i', async (type, ...cells) => {
    const scene = new Scene();
    const hosts = [scene.host('a'), scene.host('b'), scene.host('c')];
    await scene.codes(hosts[0]!, register(1));
    await scene.codes(hosts[1]!, register(2));
    await scene.codes(hosts[0]!, acquire(1, type));
    for (const [index, host] of hosts.entries()) {
      const expected = (may: string): string => (cells[index]!.includes(may) ? '0' : CONFLICT);
      expect(await scene.codes(host, ...READS)).toEqual(READS.map(() => expected('r')));
      expect(await scene.codes(host, ...WRITES)).toEqual(WRITES.map(() => expected('w')));
    }
    expect(scene.rig.inUse).toBe(0);
  });
});

describe('a change', () => {
  async function twoHosts(): Promise<{ scene: Scene; a: Host; b: Host }> {
    const scene = new Scene();
    const [a, b] = [scene.host('a'), scene.host('b')];
    await scene.codes(a, register(1));
    await scene.codes(b, register(2));
    return { scene, a, b };
  }

  it('is answered when it is saved; until then, I/O needs the permission of both states', async () => {
    const { scene, a, b } = await twoHosts();
    scene.isAuto = false;
    expect(await scene.codes(a, acquire(1, 2))).toEqual([]);
    expect(await scene.codes(b, READ)).toEqual([CONFLICT]);
    scene.open[0]?.resolve();
    expect(await scene.answered(a.io)).toEqual(['0']);
    expect(await scene.codes(a, release(1, 2))).toEqual([]);
    expect(await scene.codes(b, READ)).toEqual([CONFLICT]);
    scene.open[1]?.resolve();
    expect(await scene.answered(a.io)).toEqual(['0']);
    expect(await scene.codes(b, READ)).toEqual(['0']);
  });

  it('that could not be saved is taken back, and is saved when it is repeated, even if it seems to change nothing', async () => {
    const { scene, a, b } = await twoHosts();
    await scene.codes(a, acquire(1, 1));
    scene.isAuto = false;
    expect(await scene.codes(a, release(1, 1))).toEqual([]);
    scene.open[0]?.reject(STALE);
    expect(await scene.answered(a.io)).toEqual(['21']);
    expect(await scene.codes(b, WRITE)).toEqual([CONFLICT]);
    expect(await scene.codes(a, acquire(1, 1))).toEqual([]);
    expect(scene.saved.at(-1)).toMatchObject({ type: 1 });
    scene.open[1]?.resolve();
    expect(await scene.answered(a.io)).toEqual(['0']);
  });

  it('that may have been saved gets no answer, and until the next one is saved, I/O needs the permission of both states', async () => {
    const { scene, a, b } = await twoHosts();
    scene.isAuto = false;
    expect(await scene.codes(a, acquire(1, 1))).toEqual([]);
    scene.open[0]?.reject(new RsError('E_TIMEOUT', 'no answer'));
    expect(await scene.answered(a.io)).toEqual([]);
    expect([a.io.transport.destroyed, scene.rig.log.includes('closed: nobody knows whether its reservation was saved')]).toEqual([
      true,
      true,
    ]);
    expect([scene.reservations.state.type, await scene.codes(b, WRITE)]).toEqual([0, [CONFLICT]]);
    // The host logs in again and repeats the command.
    const again = scene.host('a');
    expect(await scene.codes(again, acquire(1, 1))).toEqual([]);
    scene.open[1]?.resolve();
    expect(await scene.answered(again.io)).toEqual(['0']);
    expect(await scene.codes(again, release(1, 1))).toEqual([]);
    scene.open[2]?.resolve();
    expect(await scene.answered(again.io)).toEqual(['0']);
    expect(await scene.codes(b, WRITE)).toEqual(['0']);
  });

  it('waits for the one before', async () => {
    const { scene, a, b } = await twoHosts();
    scene.isAuto = false;
    a.io.send(acquire(1, 1));
    b.io.send(acquire(2, 1));
    expect([await scene.answered(a.io), await scene.answered(b.io), scene.saved.length]).toEqual([[], [], 3]);
    scene.open[0]?.resolve();
    expect([await scene.answered(a.io), await scene.answered(b.io)]).toEqual([['0'], [CONFLICT]]);
  });

  it('that locks a host out is answered when the volume has nothing of that host any more', async () => {
    const { scene, a, b } = await twoHosts();
    const { rig } = scene;
    const settle = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      b.io.connection.tick(rig.nowMs);
      rig.turn();
    };
    await scene.codes(a, acquire(1, 1));
    a.io.send(WRITE);
    b.io.send(acquire(2, 1, 1, 2), report(64));
    await settle();
    expect([b.io.take(), rig.volume.underWay, scene.saved.at(-1)?.holder]).toEqual([[], 1, 'b'.repeat(32)]);
    // A new write is refused at once. The earlier write still counts, even after the end of its login.
    a.io.send({ ...WRITE, cid: 12 });
    rig.turn();
    expect(a.io.take()).toMatchObject([{ cid: 12, status: 0x4083 }]);
    a.io.connection.close('test');
    a.io.connection.closed();
    await settle();
    expect(b.io.take()).toEqual([]);
    rig.complete();
    await settle();
    expect(b.io.take()).toMatchObject([{ cid: 2, status: 0 }, { cid: 4, kind: 'data' }, { cid: 4, status: 0 }]); // biome-ignore format: order
  });

  it('counts the I/O of hosts of all gates that show the volume here', async () => {
    const { scene, a, b } = await twoHosts();
    const other = new Scene();
    other.rig.namespace.reservations = scene.reservations;
    other.rig.subsystem.add(other.rig.namespace);
    const there = other.host('a');
    await scene.codes(a, acquire(1, 1));
    there.io.send(WRITE);
    expect(await scene.codes(b, acquire(2, 1, 1, 1))).toEqual([]);
    other.rig.complete();
    expect(await scene.answered(b.io)).toEqual(['0']);
    // The status of the earlier write, and of a new one, which is refused.
    expect(await other.codes(there, WRITE)).toEqual(['0', CONFLICT]);
  });

  it('that waits too long for I/O closes the connections, and says nothing false to a repetition', async () => {
    const { scene, a, b } = await twoHosts();
    const { rig } = scene;
    const again = scene.host('b');
    await scene.codes(a, acquire(1, 1));
    a.io.send(WRITE);
    b.io.send(acquire(2, 1, 1, 1));
    rig.nowMs += 10_001;
    b.io.connection.tick(rig.nowMs);
    expect([b.io.transport.destroyed, b.admin.transport.destroyed, b.io.take()]).toEqual([true, true, []]);
    b.io.connection.closed();
    again.io.send(report(64));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    again.io.connection.tick(rig.nowMs);
    rig.turn();
    expect(again.io.take()).toEqual([]);
    rig.complete();
    expect(await scene.answered(again.io)).toEqual(['0']);
    expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
  });

  it('of a host that has gone meanwhile is not executed', async () => {
    const { scene, a, b } = await twoHosts();
    scene.isAuto = false;
    a.io.send(acquire(1, 1));
    b.io.send(release(2, 0, 1));
    b.io.vanish();
    scene.open[0]?.resolve();
    expect(await scene.answered(a.io)).toEqual(['0']);
    expect(scene.saved.map(({ type, registrants }) => `${type} ${registrants.length}`)).toEqual(['0 1', '0 2', '1 2']);
  });

  it('that comes while data is on its way, or between ranges, counts', async () => {
    const { scene, a, b } = await twoHosts();
    const [asked] = b.io.run({ ...WRITE, cid: 20, dwords: [8, 0, 63], data: Buffer.alloc(0), transferBytes: 32 * 1024 });
    b.io.send({ ...WRITE, cid: 21 });
    const data = Buffer.alloc(32);
    for (const at of [4, 20]) data.writeUInt32LE(1, at);
    b.io.send({ opcode: 9, cid: 3, nsid: 1, dwords: [1, 4], data });
    a.io.send(acquire(1, 1));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    b.io.receive(hostData(20, asked?.kind === 'r2t' ? asked.tag : 0, 0, Buffer.alloc(32 * 1024)));
    // The write in the capsule and the first range are in the volume. The second range and the large write are refused.
    expect((await scene.answered(b.io)).toSorted()).toEqual(['0', CONFLICT, CONFLICT]);
    expect(scene.rig.volume.seen).toEqual(['write 0+512', 'discard 0+512']);
    expect(await scene.answered(a.io)).toEqual(['0']);
  });
});

describe('notices', () => {
  const log = (flags = 0): Sqe => ({ opcode: 2, cid: 60, dwords: [(15 << 16) | flags | 0x80], transferBytes: 64 });
  const LISTEN: Sqe = { opcode: 0x0c, cid: 70 };
  const read = ({ admin }: Host, flags = 0): string => {
    const data = admin.run(log(flags)).find((one) => one.kind === 'data');
    if (data?.kind !== 'data') return 'nothing';
    return `${data.data.readBigUInt64LE(0)}: ${data.data[8]} of ${data.data.readUInt32LE(12)}, ${data.data[9]} more`;
  };

  it('tell a host that its registration was preempted, and are raised again for the next one', async () => {
    const scene = new Scene();
    const [a, b] = [scene.host('a'), scene.host('b')];
    await scene.codes(a, register(1), acquire(1, 3));
    await scene.codes(b, register(2));
    await scene.codes(a, release(1, 3));
    await scene.codes(a, release(1, 0, 1));
    expect(b.admin.run(LISTEN)).toMatchObject([{ cid: 70, low: 0x80_00_06 }]);
    expect(b.admin.run(LISTEN)).toEqual([]);
    expect([read(b, 0x8000), read(b)]).toEqual(['1: 2 of 1, 1 more', '1: 2 of 1, 1 more']);
    expect([read(b), read(b), read(a)]).toEqual(['2: 3 of 1, 0 more', '0: 0 of 0, 0 more', '0: 0 of 0, 0 more']);
  });

  it('can be turned off, and are bounded', async () => {
    const scene = new Scene();
    const [a, b] = [scene.host('a'), scene.host('b')];
    b.admin.run({ opcode: 9, cid: 1, nsid: 0xffff_ffff, dwords: [0x82, 0x4] });
    await scene.codes(a, register(1));
    for (let round = 0; round < 70; round++) {
      await scene.codes(b, register(2));
      await scene.codes(a, acquire(1, 3), release(1, 3), acquire(1, 1, 2, 1));
    }
    expect(read(b)).toBe('7: 1 of 1, 63 more');
    expect(scene.reservations.state).toEqual({ ...NO_RESERVATIONS, generation: 141, registrants: [expect.objectContaining({ hostNqn: 'nqn.2020-01.org:a' })] }); // biome-ignore format: long
  });
});

it('a command that changes nothing is confirmed by the server, too, because another gate may have the volume by now', async () => {
  const scene = new Scene();
  const a = scene.host('a');
  expect(await scene.codes(a, register(1), acquire(1, 1))).toEqual(['0', '0']);
  // Another gate has taken the volume over, and this one does not know it yet.
  scene.isAuto = false;
  expect(await scene.codes(a, acquire(1, 1))).toEqual([]);
  scene.open.shift()?.reject(STALE);
  expect(await scene.answered(a.io)).toEqual(['21']);
});

it('commands that wait for the I/O of a volume that does not end it are bounded over all logins', async () => {
  const scene = new Scene();
  const ended: string[] = [];
  const host = { hostId: 'a'.repeat(32), hostNqn: 'nqn.2020-01.org:a' };
  scene.reservations.gates.add({ hasRefusedIo: () => true, notify: () => undefined });
  const [dropped, action] = [() => undefined, { verb: 'report' }] as const;
  const command = { ...host, action, isWanted: () => true, dropped, ended: (outcome: string) => ended.push(outcome) } as const;
  for (let at = 0; at <= GATE_RESERVATIONS_WAITING_MAX; at++) scene.reservations.execute(command);
  expect(ended).toEqual(['interrupted']);
});
