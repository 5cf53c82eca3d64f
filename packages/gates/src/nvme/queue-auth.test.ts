// Authentication of hosts: proofs of both sides, wrong secrets, and hostile hosts. The oracle is the host's side of the tests, and secrets that
// nvme-cli has transformed. Rules: G42.

import { createDiffieHellman } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseGateSecret } from '@rsio/common/config/gate-secrets';
import type { GateSecret } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { AUTH_REST, AUTH_REST_MIN_MS, GATE_LOGIN_MS } from '../limits.ts';
import { authReceive, authSend, authSendLater, ChapHost, type ReplyOptions } from './testing/chap-host.ts';
import { type Answer, connectCommand, HOST_NQN, hostData, type Sqe } from './testing/nvme-host.ts';
import { GateRig, NQN, type RigConnection } from './testing/nvme-rig.ts';
import { primeOf } from './auth/dh-groups.ts';
import { DhTurns, type TurnOwner } from './auth/dh-turns.ts';

const KEY = Buffer.alloc(32, 'h');
const OWN = Buffer.alloc(48, 'g');
const REQUIRED = 0x4191;
const SEQUENCE = 0x400c;

function plain(key: Buffer): GateSecret {
  return { hash: 0, key };
}

function rigWith(host = plain(KEY), own: GateSecret | null = null): GateRig {
  const rig = new GateRig();
  rig.secrets = { host, own };
  return rig;
}

/** A connection that has sent Connect and must authenticate now. */
function begun(rig: GateRig, qid = 0, cntlid = 0xffff): RigConnection {
  const connection = rig.connection();
  connection.greet();
  const [done] = connection.run(connectCommand({ nqn: NQN, qid, cntlid, ...(qid > 0 ? { entries: 64 } : {}) }));
  expect(done).toMatchObject({ status: 0 });
  if (done?.kind !== 'done') throw new Error('No answer');
  expect(done.low >>> 16).toBe(2);
  connection.cntlid = done.low & 0xffff;
  return connection;
}

function statusOf(connection: RigConnection, command: Sqe): number {
  const done = connection.run(command).find((one): one is Answer & { kind: 'done' } => one.kind === 'done');
  return done?.status ?? -1;
}

function fetch(connection: RigConnection): Buffer {
  const [data] = connection.run(authReceive(9));
  if (data?.kind !== 'data') throw new Error(JSON.stringify(data));
  expect(data.data).toHaveLength(4096);
  return data.data;
}

/** The final message of the gate: `success`, or its failure. */
function prove(connection: RigConnection, host: ChapHost, options: ReplyOptions = {}, offer = host.negotiate()): string {
  expect(statusOf(connection, authSend(8, offer))).toBe(0);
  const challenge = fetch(connection);
  if (challenge.readUInt16BE(0) === 0x00f1) return `failure ${challenge[7]}`;
  expect(statusOf(connection, authSend(8, host.reply(challenge, options)))).toBe(0);
  const end = fetch(connection);
  if (end.readUInt16BE(0) === 0x00f1) return `failure ${end[7]}`;
  return host.isSuccess(end) ? 'success' : 'a wrong answer';
}

const ENABLE: Sqe = { opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] };
const READ: Sqe = { opcode: 2, cid: 5, nsid: 1, dwords: [0, 0, 0], transferBytes: 512 };

describe('a host with the secret', () => {
  it.each([1, 2, 3].flatMap((hash) => [0, 1, 2, 3, 4, 5].map((group) => [hash, group])))(
    'proves itself with hash %i and group %i',
    (hash, group) => {
      const rig = rigWith();
      const admin = begun(rig);
      const host = new ChapHost(KEY, NQN);
      expect(prove(admin, host, {}, host.negotiate([7, hash], [9, group]))).toBe('success');
      expect([rig.connected, statusOf(admin, ENABLE)]).toEqual([1, 0]);
      expect(rig.inUse).toBe(0);
    },
  );

  it('gets the group that costs least, and not the null group', () => {
    const rig = rigWith();
    const admin = begun(rig);
    admin.run(authSend(8, new ChapHost(KEY, NQN).negotiate([3, 1], [5, 0, 2])));
    expect([...fetch(admin).subarray(6, 12)]).toEqual([64, 0, 3, 2, 384 & 0xff, 384 >>> 8]);
  });

  it.each([
    [1, 32, 'DHHC-1:01:WoVsj1vWqtg6d5T99/o5V39Khoy1jPRm6tUhm+rbOeaPofB1:'],
    [2, 48, 'DHHC-1:02:uCeKCcWa3l/H/wi13HbavHsnIzuASCbbJmlApedc5cizxt51Lo+hDIbB+HmhOAbbZqojKw==:'],
    [3, 64, 'DHHC-1:03:6Dmao3dKs9rhV+Tmkp9I/o/UEPL0Uir5oZUQT8gZOaRrW9OtZKTTtZxudFG1wR3t2Jd1ThZLTjufQiA9byIAJyDkLRQ=:'],
  ])('proves itself with a secret that hash %i transforms (nvme-cli)', (hash, bytes, transformed) => {
    const rig = rigWith({ hash, key: Buffer.alloc(bytes, 'k') });
    expect(prove(begun(rig), new ChapHost(parseGateSecret(transformed)!.key, NQN))).toBe('success');
  });

  it('authenticates on each queue before it gets data', () => {
    const rig = rigWith();
    const admin = begun(rig);
    const host = new ChapHost(KEY, NQN);
    expect([statusOf(admin, ENABLE), prove(admin, host), statusOf(admin, ENABLE)]).toEqual([REQUIRED, 'success', 0]);
    const io = begun(rig, 1, admin.cntlid);
    const write: Sqe = { opcode: 1, cid: 5, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512) };
    expect([statusOf(io, READ), statusOf(io, write), rig.volume.seen]).toEqual([REQUIRED, REQUIRED, []]);
    expect([prove(io, host), rig.connected]).toEqual(['success', 2]);
    expect([statusOf(io, READ), rig.volume.seen.length]).toEqual([0, 1]);
  });

  it('may send its messages as data that the gate asks for', () => {
    const rig = rigWith();
    const io = begun(rig);
    const offer = new ChapHost(KEY, NQN).negotiate();
    const [asked] = io.run(authSendLater(8, offer.length));
    if (asked?.kind !== 'r2t') throw new Error('No R2T');
    io.receive(hostData(8, asked.tag, 0, offer));
    expect(io.answers()).toMatchObject([{ kind: 'done', status: 0 }]);
    expect(fetch(io).readUInt16BE(0)).toBe(0x0101);
    expect(rig.inUse).toBe(0);
  });

  it('authenticates again, and is cut off if it then fails', () => {
    const rig = rigWith();
    const admin = begun(rig);
    expect([prove(admin, new ChapHost(KEY, NQN)), prove(admin, new ChapHost(KEY, NQN)), rig.connected]).toEqual(['success', 'success', 1]);
    const other = new ChapHost(Buffer.alloc(32, 'x'), NQN);
    admin.run(authSend(8, other.negotiate()));
    admin.run(authSend(8, other.reply(fetch(admin))));
    expect(admin.transport.destroyed).toBe(true);
  });
});

describe('a gate with a secret of its own', () => {
  it.each([0, 2])('proves itself to a host that asks (group %i)', (group) => {
    const rig = rigWith(plain(KEY), plain(OWN));
    const admin = begun(rig);
    const host = new ChapHost(KEY, NQN);
    expect(prove(admin, host, { gateKey: OWN }, host.negotiate([2], [group]))).toBe('success');
    expect([rig.connected, statusOf(admin, ENABLE)]).toEqual([0, REQUIRED]);
    expect([statusOf(admin, authSend(8, host.success2())), rig.connected, statusOf(admin, ENABLE)]).toEqual([0, 1, 0]);
  });

  it('is refused by a host that has another secret for it', () => {
    const rig = rigWith(plain(KEY), plain(OWN));
    const admin = begun(rig);
    const host = new ChapHost(KEY, NQN);
    expect(prove(admin, host, { gateKey: KEY })).toBe('a wrong answer');
    expect([statusOf(admin, authSend(8, host.failure2())), statusOf(admin, ENABLE)]).toEqual([0, REQUIRED]);
    expect(rig.log).toContain(`unproven: ${HOST_NQN} own secret`);
  });

  it('cannot prove itself without one', () => {
    const rig = rigWith();
    expect(prove(begun(rig), new ChapHost(KEY, NQN), { gateKey: OWN })).toBe('failure 1');
    expect([rig.connected, rig.log]).toEqual([0, expect.arrayContaining([`unproven: ${HOST_NQN} own secret`])]);
  });
});

describe('a host is refused', () => {
  it.each<readonly [string, Buffer, ReplyOptions]>([
    ['another secret', Buffer.alloc(32, 'x'), {}],
    ['the name of another host', KEY, { hostNqn: 'nqn.2020-01.org.example:other' }],
    ['a response that has one wrong bit', KEY, { patch: (reply) => void (reply[16]! ^= 1) }],
  ])('that has %s', (_, key, options) => {
    const rig = rigWith();
    const admin = begun(rig);
    expect(prove(admin, new ChapHost(key, NQN), options)).toBe('failure 1');
    expect(rig.log).toContain(`unproven: ${HOST_NQN} secret`);
    expect([rig.connected, statusOf(admin, ENABLE), statusOf(admin, authReceive(3))]).toEqual([0, REQUIRED, SEQUENCE]);
    // It gets no second attempt on this connection.
    expect(statusOf(admin, authSend(8, new ChapHost(KEY, NQN).negotiate()))).toBe(REQUIRED);
  });

  it.each<readonly [string, number, Buffer]>([
    ['no hash that the gate has', 4, new ChapHost(KEY, NQN).negotiate([4, 0, 255])],
    ['no group that the gate has', 5, new ChapHost(KEY, NQN).negotiate([1], [6, 255])],
    ['another protocol', 2, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[8] = 2))],
    ['a secure channel', 3, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[6] = 1))],
    ['31 hashes', 6, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[10] = 31))],
    ['255 groups', 6, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[11] = 255))],
    ['more descriptors than bytes', 6, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[7] = 2))],
    ['no descriptor', 2, new ChapHost(KEY, NQN).negotiate([1], [0], (message) => void (message[7] = 0))],
    ['a message that is cut off', 6, new ChapHost(KEY, NQN).negotiate().subarray(0, 70)],
    ['a message of one byte', 6, Buffer.alloc(1)],
    ['a message without a body', 6, Buffer.from([1, 2, 0, 0, 0x34, 0x12, 0, 0])],
    ['a message of zeros', 2, Buffer.alloc(4096)],
    ['random bytes', 6, Buffer.alloc(4096, 0xa5)],
  ])('that begins with %s', (_, failure, message) => {
    const rig = rigWith();
    const admin = begun(rig);
    expect(prove(admin, new ChapHost(KEY, NQN), {}, message)).toBe(`failure ${failure}`);
    expect([rig.connected, rig.inUse, statusOf(admin, ENABLE)]).toEqual([0, 0, REQUIRED]);
  });

  it.each<readonly [string, number, (reply: Buffer) => void]>([
    ['another length of the hash', 6, (reply) => void (reply[6] = 48)],
    ['a length of the public value beyond its end', 6, (reply) => void reply.writeUInt16LE(0xffff, 10)],
    ['no public value', 6, (reply) => void reply.writeUInt16LE(0, 10)],
    ['another transaction', 6, (reply) => void (reply[4]! ^= 1)],
    ['a challenge that makes a key', 6, (reply) => void (reply[8] = 1)],
    ['the public value 1', 5, (reply) => void reply.fill(0, 80).writeUInt8(1, reply.length - 1)],
    ['the public value 0', 5, (reply) => void reply.fill(0, 80)],
    ['a public value above the prime', 5, (reply) => void reply.fill(0xff, 80)],
    ['another kind', 7, (reply) => void (reply[1] = 4)],
  ])('whose reply has %s', (_, failure, patch) => {
    const rig = rigWith();
    const admin = begun(rig);
    const host = new ChapHost(KEY, NQN);
    expect(prove(admin, host, { patch }, host.negotiate([1], [1]))).toBe(`failure ${failure}`);
    expect([rig.connected, statusOf(admin, ENABLE)]).toEqual([0, REQUIRED]);
  });

  it('that replays the reply of another connection', () => {
    const rig = rigWith();
    const host = new ChapHost(KEY, NQN);
    const [first, second] = [begun(rig), begun(rig)];
    first.run(authSend(8, host.negotiate()));
    const seen = host.reply(fetch(first));
    first.run(authSend(8, seen));
    expect(host.isSuccess(fetch(first))).toBe(true);
    second.run(authSend(8, host.negotiate()));
    fetch(second);
    second.run(authSend(8, seen));
    expect([fetch(second)[7], rig.connected]).toEqual([1, 1]);
  });

  it('that sends its reply twice, or before it fetches the challenge, or continues without fetching the end', () => {
    const rig = rigWith();
    const host = new ChapHost(KEY, NQN);
    const [twice, early, late] = [begun(rig), begun(rig), begun(rig)];
    twice.run(authSend(8, host.negotiate()));
    const reply = host.reply(fetch(twice));
    expect([statusOf(twice, authSend(8, reply)), statusOf(twice, authSend(8, reply)), fetch(twice)[7]]).toEqual([0, 0, 7]);
    early.run(authSend(8, host.negotiate()));
    expect([statusOf(early, authSend(8, reply)), fetch(early)[7]]).toEqual([0, 7]);
    late.run(authSend(8, host.negotiate()));
    late.run(authSend(8, host.reply(fetch(late))));
    expect([statusOf(late, ENABLE), rig.connected]).toEqual([REQUIRED, 0]);
  });

  it('that sends messages while one is being judged, which ends in nothing', () => {
    const rig = rigWith();
    const host = new ChapHost(KEY, NQN);
    const admin = begun(rig);
    admin.send(authSend(1, host.negotiate()), authSend(2, host.negotiate()), authReceive(3), ENABLE);
    expect(rig.computations).toHaveLength(1);
    expect(admin.answers().map((one) => one.kind === 'done' && [one.cid, one.status])).toEqual([[2, SEQUENCE], [3, SEQUENCE], [1, REQUIRED], [1, 0]]); // biome-ignore format: pairs
    expect(prove(begun(rig), host)).toBe('success');
  });

  it('that vanishes during a computation, which is then not made', () => {
    const rig = rigWith();
    const admin = begun(rig);
    admin.send(authSend(1, new ChapHost(KEY, NQN).negotiate()));
    admin.vanish();
    expect([rig.computations, rig.inUse, rig.finished]).toEqual([[], 0, 1]);
  });

  it.each<readonly [string, Sqe, number]>([
    ['another security protocol', authSend(8, Buffer.alloc(72), (sqe) => void (sqe[43] = 0xe8)), 0x4002],
    ['another length in the command', authSend(8, Buffer.alloc(72), (sqe) => void (sqe[44] = 71)), 0x400f],
    ['more bytes than any message has', authSend(8, Buffer.alloc(4100)), 0x4002],
    ['more bytes than any message has, later', authSendLater(8, 0x10000), 0x4002],
    ['no bytes', authSendLater(8, 0), 0x4002],
    ['no bytes to receive', authReceive(8, 0), 0x4002],
    ['a message to receive that is not there', authReceive(8), SEQUENCE],
  ])('that sends a command with %s', (_, command, status) => {
    const rig = rigWith();
    const admin = begun(rig);
    expect([statusOf(admin, command), rig.inUse, prove(admin, new ChapHost(KEY, NQN))]).toEqual([status, 0, 'success']);
  });

  it('that has too little room for the challenge, which stays', () => {
    const rig = rigWith();
    const admin = begun(rig);
    const host = new ChapHost(KEY, NQN);
    admin.run(authSend(8, host.negotiate()));
    expect(statusOf(admin, authReceive(9, 64))).toBe(0x4002);
    admin.run(authSend(8, host.reply(fetch(admin))));
    expect(host.isSuccess(fetch(admin))).toBe(true);
  });
});

it('without secrets, nobody authenticates, and messages of an authentication are refused on both queues', () => {
  const rig = new GateRig();
  const admin = rig.login();
  const io = rig.queue(admin);
  expect([statusOf(admin, authSend(8, Buffer.alloc(72))), statusOf(io, authSend(8, Buffer.alloc(72)))]).toEqual([0x4001, 0x400b]);
  expect([statusOf(io, authReceive(8)), statusOf(io, READ), rig.connected]).toEqual([0x400b, 0, 2]);
});

it('OpenSSL knows each group, so that its private values are short', () => {
  const bytes = [1, 2, 3, 4, 5].map((group) => {
    const pair = createDiffieHellman(primeOf(group)!, 2);
    pair.generateKeys();
    return [pair.getPrime().length, pair.verifyError, pair.getPrivateKey().length <= 50];
  });
  expect(bytes).toEqual([256, 384, 512, 768, 1024].map((length) => [length, 0, true]));
  expect(primeOf(1)?.toString('hex')).toMatch(/^f{16}adf85458a2bb4a9aafdc5620273d3cf1.*886b423861285c97f{16}$/);
});

describe('computations', () => {
  const owner = { source: 'a', failed: () => undefined };

  it('leave most of the time to I/O, and those of ended connections are not made', () => {
    const clock = new FakeClock();
    let workedMs = 0;
    const turns = new DhTurns({ after: (ms, fire) => clock.after(ms, fire), monotonicMs: () => clock.monotonicMs() + workedMs });
    const made: number[] = [];
    const gone = { source: 'a', failed: () => undefined };
    for (const at of [1, 2]) turns.run(owner, 1, () => void (made.push(at), (workedMs += 20)));
    turns.run(gone, 1, () => void made.push(3));
    turns.run(owner, 1, () => void made.push(4));
    turns.forget(gone);
    expect(made).toEqual([]);
    clock.advance(0);
    expect(made).toEqual([1]);
    clock.advance(AUTH_REST * 20 - 1);
    expect(made).toEqual([1]);
    clock.advance(1);
    expect(made).toEqual([1, 2]);
    clock.advance(AUTH_REST * 20);
    expect(made).toEqual([1, 2, 4]);
    turns.run(owner, 1, () => void made.push(5));
    clock.advance(AUTH_REST_MIN_MS);
    expect(made).toEqual([1, 2, 4, 5]);
    turns.close();
  });

  it('of one source delay those of another by one, however many there are', () => {
    const clock = new FakeClock();
    const turns = new DhTurns(clock);
    const made: string[] = [];
    const from = (source: string, name: string): void => turns.run({ source, failed: () => undefined }, 1, () => void made.push(name));
    for (let at = 0; at < 30; at++) from('flood', `f${at}`);
    clock.advance(0);
    from('good', 'g0');
    from('good', 'g1');
    for (let at = 0; at < 4; at++) clock.advance(AUTH_REST_MIN_MS);
    expect(made).toEqual(['f0', 'f1', 'g0', 'f2', 'g1']);
    turns.close();
  });

  it.each<[string, number, (at: number) => string, boolean]>([
    ['12 connections from the address of the host', 12, () => 'host', false],
    ['12 connections from the address of the host that come anew each time', 12, () => 'host', true],
    ['12 connections from 12 addresses', 12, (at) => `a${at}`, false],
    ['as many connections as there can be, each from an address of its own, that come anew each time', 64, (at) => `a${at}`, true],
  ])('with the costliest group do not stop a login: %s', (_, count, sourceOf, comesAnew) => {
    const clock = new FakeClock();
    let workedMs = 0;
    const nowMs = (): number => clock.monotonicMs() + workedMs;
    const turns = new DhTurns({ after: (ms, fire) => clock.after(ms, fire), monotonicMs: nowMs });
    const compute = (at: TurnOwner, costMs: number, then: () => void): void =>
      turns.run(at, costMs / 5, () => {
        workedMs += costMs;
        then();
      });
    const flood = (at: number, one: TurnOwner): void =>
      compute(one, 80, () => flood(at, comesAnew ? { source: sourceOf(at), failed: () => undefined } : one));
    for (let at = 0; at < count; at++) flood(at, { source: sourceOf(at), failed: () => undefined });
    clock.advance(10_000);
    const beganMs = nowMs();
    let tookMs = Infinity;
    const host = { source: 'host', failed: () => undefined };
    compute(host, 5, () => compute(host, 5, () => (tookMs = nowMs() - beganMs)));
    clock.advance(2 * GATE_LOGIN_MS);
    expect(tookMs).toBeLessThan(GATE_LOGIN_MS / 2);
    turns.close();
  });

  it('that fail end their own connection only', () => {
    const clock = new FakeClock();
    const turns = new DhTurns(clock);
    const seen: string[] = [];
    const wrong = (): never => {
      throw new Error('wrong');
    };
    turns.run({ source: 'a', failed: (thrown) => seen.push(String(thrown)) }, 1, wrong);
    turns.run(owner, 1, () => void seen.push('next'));
    clock.advance(AUTH_REST_MIN_MS);
    expect(seen).toEqual(['Error: wrong', 'next']);
    turns.close();
  });
});
