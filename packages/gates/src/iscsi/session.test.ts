// Commands of one session: all ways in which their data is sent, their order, their bounds, their end. The oracles are a raw initiator and
// the volume. Rules: D1.

import { describe, expect, it } from 'vitest';
import {
  GATE_AHS_MAX_BYTES,
  GATE_COPY_MAX_BYTES,
  GATE_IMMEDIATE_MAX,
  GATE_PING_MS,
  GATE_QUIESCE_MS,
  GATE_SESSION_COMMANDS,
  GATE_PROOF_MS,
  GATE_TRANSFER_MS,
  GATE_UNSENT_MAX,
} from '../limits.ts';
import { loginPdu, read10, type TargetPdu, write10 } from './testing/iscsi-host.ts';
import { IscsiRig, LUN, type RigHost, TARGET } from './testing/iscsi-rig.ts';

const KIB = 1024;
const NO_TAG = 0xffff_ffff;

function pattern(bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 7 + (at >>> 8)) & 0xff));
}

/** The data of all Data-In PDUs, whose numbers and offsets must follow each other. */
function dataOf(answers: readonly TargetPdu[]): Buffer {
  const parts = answers.filter(({ opcode }) => opcode === 0x25);
  let offset = 0;
  for (const [at, { head, data }] of parts.entries()) {
    expect([head.readUInt32BE(36), head.readUInt32BE(40)]).toEqual([at, offset]);
    offset += data.length;
  }
  return Buffer.concat(parts.map(({ data }) => data));
}

function statusOf({ opcode, head, flags }: TargetPdu): string {
  const residual = head.readUInt32BE(44);
  const kind = (flags & 4) === 0 ? ((flags & 2) === 0 ? '' : ` under ${residual}`) : ` over ${residual}`;
  return `${opcode === 0x21 ? 'response' : 'data'} ${head[3]}${kind}`;
}

function r2tOf(answer: TargetPdu | undefined): { tag: number; offset: number; bytes: number } {
  expect(answer?.opcode).toBe(0x31);
  const { head } = answer!;
  return { tag: head.readUInt32BE(20), offset: head.readUInt32BE(40), bytes: head.readUInt32BE(44) };
}

describe('a read', () => {
  it.each([
    [512, {}, 1],
    [64 * KIB, { MaxRecvDataSegmentLength: '8192' }, 8],
    [300 * KIB, { MaxRecvDataSegmentLength: '262144' }, 2],
    [300 * KIB, { MaxRecvDataSegmentLength: '1000', HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' }, 309],
    [GATE_COPY_MAX_BYTES + 512, { MaxRecvDataSegmentLength: '262144', MaxBurstLength: '4096', DataDigest: 'CRC32C' }, 17],
  ])('of %i bytes comes in order, with its status in the last PDU: %o', (bytes, keys, pdus) => {
    const rig = new IscsiRig();
    pattern(bytes).copy(rig.volume.content, 1024);
    const host = rig.ready(keys);
    const answers = host.send(host.command(read10(2, bytes / 512), { bytes }));
    expect(dataOf(answers).equals(pattern(bytes))).toBe(true);
    expect(answers).toHaveLength(pdus);
    expect(statusOf(answers.at(-1)!)).toBe('data 0');
    // The last PDU, and each that ends a burst, is marked.
    expect(answers.at(-1)!.flags & 0x81).toBe(0x81);
    if ('MaxBurstLength' in keys) expect(answers.every(({ flags }) => (flags & 0x80) !== 0)).toBe(true);
    host.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('says how much less or more there is than its host expects', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    expect(host.send(host.command(read10(0, 1), { bytes: 1024 })).map(statusOf)).toEqual(['data 0 under 512']);
    expect(host.send(host.command(read10(0, 2), { bytes: 512 })).map(statusOf)).toEqual(['data 0 over 512']);
  });

  it('numbers answers in the order of their bytes, large and small', () => {
    const rig = new IscsiRig();
    const host = rig.ready({ MaxRecvDataSegmentLength: '262144' });
    const bytes = 200 * KIB;
    const mixed = [512, bytes, 512, bytes, 512].map((one) => host.command(read10(0, one / 512), { bytes: one }));
    const answers = host.send(Buffer.concat(mixed)).filter(({ flags }) => (flags & 1) !== 0);
    const numbers = answers.map(({ head }) => head.readUInt32BE(24));
    expect(numbers).toEqual(numbers.map((_, at) => numbers[0]! + at));
    expect(answers).toHaveLength(5);
  });
});

describe('a write', () => {
  it('has its data in its command', () => {
    const rig = new IscsiRig();
    const host = rig.ready({ DataDigest: 'CRC32C', HeaderDigest: 'CRC32C' });
    const data = pattern(4 * KIB);
    expect(host.send(host.command(write10(8, 8), { bytes: data.length, data })).map(statusOf)).toEqual(['response 0']);
    expect(rig.volume.content.subarray(4096, 8192).equals(data)).toBe(true);
    host.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('is asked for its data, one burst after another', () => {
    const rig = new IscsiRig();
    const host = rig.ready({ MaxBurstLength: '8192' });
    const data = pattern(20 * KIB);
    let [answer] = host.send(host.command(write10(0, 40), { bytes: data.length, tag: 77 }));
    for (const [offset, bytes] of [
      [0, 8192],
      [8192, 8192],
      [16_384, 4096],
    ] as const) {
      const asked = r2tOf(answer);
      expect(asked).toMatchObject({ offset, bytes });
      const [first, second] = [offset, offset + bytes / 2].map((at, sn) =>
        host.dataOut(77, asked.tag, at, data.subarray(at, at + bytes / 2), { sn, isFinal: sn === 1 }),
      );
      [answer] = host.send(Buffer.concat([first!, second!]));
    }
    expect(statusOf(answer!)).toBe('response 0');
    expect(rig.volume.content.subarray(0, data.length).equals(data)).toBe(true);
    expect(rig.volume.seen.filter((one) => one.startsWith('write'))).toEqual(['write 0+20480']);
  });

  it('sends its first burst unasked, and is asked for the rest', () => {
    const rig = new IscsiRig();
    const host = rig.ready({ InitialR2T: 'No', FirstBurstLength: '4096' });
    const data = pattern(6 * KIB);
    host.receive(host.command(write10(0, 12), { bytes: data.length, tag: 77, flags: 0x20, data: data.subarray(0, 1024) }));
    const [answer] = host.send(host.dataOut(77, NO_TAG, 1024, data.subarray(1024, 4096)));
    const asked = r2tOf(answer);
    expect(asked).toMatchObject({ offset: 4096, bytes: 2048 });
    expect(host.send(host.dataOut(77, asked.tag, 4096, data.subarray(4096))).map(statusOf)).toEqual(['response 0']);
    expect(rig.volume.content.subarray(0, data.length).equals(data)).toBe(true);
  });

  it('writes no more than its command says, and says how much was too much', () => {
    const rig = new IscsiRig();
    const host = rig.ready({ InitialR2T: 'No' });
    const data = Buffer.alloc(10_000, 'x');
    expect(host.send(host.command(write10(0, 1), { bytes: data.length, data })).map(statusOf)).toEqual(['response 0 under 9488']);
    expect(rig.volume.content.indexOf(0)).toBe(512);
  });

  it('with a number of its data that is missing is aborted, when all of it is here', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const [answer] = host.send(host.command(write10(0, 2), { bytes: 1024, tag: 77 }));
    const { tag } = r2tOf(answer);
    expect(host.send(host.dataOut(77, tag, 0, Buffer.alloc(512, 'y'), { sn: 1, isFinal: false }))).toEqual([]);
    const [done] = host.send(host.dataOut(77, tag, 512, Buffer.alloc(512, 'y'), { sn: 2 }));
    expect([statusOf(done!), done!.data.toString('hex', 4, 5), done!.data.toString('hex', 14, 16)]).toEqual([
      'response 2 under 1024',
      '0b',
      '4b00',
    ]);
    expect(rig.volume.seen.some((one) => one.startsWith('write'))).toBe(false);
    expect(host.send(host.command(write10(0, 1), { bytes: 512, data: pattern(512) })).map(statusOf)).toEqual(['response 0']);
  });

  it.each([
    ['with an offset that is wrong', (host: RigHost, tag: number) => host.dataOut(77, tag, 512, Buffer.alloc(512))],
    ['beyond what was asked for', (host: RigHost, tag: number) => host.dataOut(77, tag, 0, Buffer.alloc(2048))],
    ['that ends early', (host: RigHost, tag: number) => host.dataOut(77, tag, 0, Buffer.alloc(512))],
    ['that does not end', (host: RigHost, tag: number) => host.dataOut(77, tag, 0, Buffer.alloc(1024), { isFinal: false })],
    ['with another tag', (host: RigHost, tag: number) => host.dataOut(77, tag + 1, 0, Buffer.alloc(1024))],
  ])('%s ends the session', (_, data) => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const { tag } = r2tOf(host.send(host.command(write10(0, 2), { bytes: 1024, tag: 77 }))[0]);
    host.receive(data(host, tag));
    expect(host.transport.destroyed).toBe(true);
    host.vanish();
    expect([rig.finished, rig.inUse, rig.volume.content.some((byte) => byte !== 0)]).toEqual([1, 0, false]);
  });

  it('without memory for data that comes unasked gets BUSY, and nothing of it is kept', () => {
    const rig = new IscsiRig({ memoryBytes: 128 * KIB });
    const host = rig.ready({ InitialR2T: 'No' });
    const data = pattern(60 * KIB);
    const commands = Array.from({ length: 8 }, () => host.command(write10(0, 120), { bytes: data.length, data }));
    const answers = host.send(Buffer.concat(commands));
    const statuses = answers.map(statusOf);
    expect(new Set(statuses)).toEqual(new Set(['response 0', 'response 8 under 61440']));
    host.vanish();
    expect(rig.inUse).toBe(0);
  });
});

describe('memory', () => {
  it('a host that reads nothing keeps only its own answers, and is cut off; another one goes on', () => {
    const rig = new IscsiRig({ memoryBytes: 512 * KIB });
    const [greedy, good] = [rig.ready(), rig.ready({}, { isid: '400001370001' })];
    const all = Array.from({ length: GATE_SESSION_COMMANDS }, () => greedy.command(read10(0, 100), { bytes: 51_200 }));
    greedy.receive(Buffer.concat(all));
    rig.settle();
    expect(rig.budget.usedBytes).toBeLessThanOrEqual(512 * KIB + 64 * KIB);
    for (let round = 0; round < 3; round++)
      expect(good.send(good.command(read10(0, 8), { bytes: 4096 })).map(statusOf)).toEqual(['data 0']);
    for (let at = 0; at <= GATE_TRANSFER_MS + 1000; at += 1000) {
      rig.nowMs += 1000;
      good.send(good.bytes({ opcode: 0, isImmediate: true, tag: NO_TAG }));
      greedy.receive(greedy.bytes({ opcode: 0, isImmediate: true, tag: NO_TAG }));
      greedy.connection.tick(rig.nowMs);
      good.connection.tick(rig.nowMs);
    }
    expect([greedy.transport.destroyed, good.transport.destroyed]).toEqual([true, false]);
    greedy.vanish();
    good.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('a host that takes none of its answers to pings is cut off', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    for (let at = 0; at < GATE_UNSENT_MAX + 2 && !host.transport.destroyed; at++)
      host.receive(host.bytes({ opcode: 0, isImmediate: true, tag: at, words: { 20: NO_TAG } }));
    expect(host.transport.destroyed).toBe(true);
    expect(rig.log.join()).toContain('does not take its answers');
  });
});

describe('numbers of commands', () => {
  it('outside of the window are ignored', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const tooHigh = host.command(read10(0, 1), { bytes: 512, words: { 20: 512, 24: host.cmdSn + GATE_SESSION_COMMANDS + 1 } });
    host.cmdSn--;
    const tooLow = host.command(read10(0, 1), { bytes: 512, words: { 20: 512, 24: host.cmdSn - 1 } });
    host.cmdSn--;
    expect(host.send(Buffer.concat([tooHigh, tooLow]))).toEqual([]);
    expect(host.send(host.command(read10(0, 1), { bytes: 512 })).map(statusOf)).toEqual(['data 0']);
  });

  it('that leave one out end the session', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.cmdSn++;
    host.receive(host.command(read10(0, 1), { bytes: 512 }));
    expect(host.transport.destroyed).toBe(true);
  });

  it('allow as many commands as a session has, and the window opens when they are answered', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const before = host.cmdSn;
    host.receive(Buffer.concat(Array.from({ length: GATE_SESSION_COMMANDS }, () => host.command(read10(0, 1), { bytes: 512 }))));
    expect(host.send(host.command(read10(0, 1), { bytes: 512 }))).toHaveLength(GATE_SESSION_COMMANDS);
    const [last] = host.send(host.bytes({ opcode: 0, isImmediate: true, tag: 5, words: { 20: NO_TAG } }));
    expect(last!.head.readUInt32BE(28)).toBe(before + GATE_SESSION_COMMANDS);
    expect(last!.head.readUInt32BE(32)).toBe(before + 2 * GATE_SESSION_COMMANDS - 1);
  });

  it('are not needed for some commands, and those are few', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const bytes = Array.from({ length: GATE_IMMEDIATE_MAX + 1 }, (_, at) =>
      host.command(read10(0, 1), { bytes: 512, isImmediate: true, tag: at }),
    );
    const answers = host.send(Buffer.concat(bytes));
    expect(answers.filter(({ opcode }) => opcode === 0x25)).toHaveLength(GATE_IMMEDIATE_MAX);
    expect(answers.filter(({ opcode, head }) => opcode === 0x3f && head[2] === 6)).toHaveLength(1);
  });
});

describe('rule D1', () => {
  it('a silent host is pinged, and is never read again after its time', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.answersPings = false;
    rig.nowMs += GATE_PING_MS;
    host.connection.tick(rig.nowMs);
    const [ping] = host.answers();
    expect([ping?.opcode, ping?.tag]).toEqual([0x20, NO_TAG]);
    rig.nowMs += GATE_PROOF_MS;
    host.receive(host.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'o') }));
    rig.settle();
    expect(host.transport.destroyed).toBe(true);
    expect(rig.volume.seen.some((one) => one.startsWith('write'))).toBe(false);
  });

  it('a host that answers the ping stays', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    for (let round = 0; round < 5; round++) {
      rig.nowMs += GATE_PING_MS;
      host.connection.tick(rig.nowMs);
      host.answers();
    }
    expect(host.send(host.command(read10(0, 1), { bytes: 512 })).map(statusOf)).toEqual(['data 0']);
  });

  it('a host that sends pings of its own and commands, but answers no ping of the gate, does not stay', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.answersPings = false;
    for (let round = 0; round < 2 * (GATE_PROOF_MS / GATE_PING_MS) && !host.transport.destroyed; round++) {
      rig.nowMs += GATE_PING_MS / 2;
      host.connection.tick(rig.nowMs);
      host.send(host.bytes({ opcode: 0, isImmediate: true, tag: 9, words: { 20: NO_TAG } }));
      host.send(host.command(read10(0, 1), { bytes: 512 }));
    }
    expect([host.transport.destroyed, rig.cut]).toEqual([true, 1]);
    expect(rig.log.at(-1)).toBe('closed: its host has answered no ping for 8 s');
  });

  it('a write behind a newer one of another path waits for the answer to a ping that was sent later, by its tag', () => {
    const rig = new IscsiRig();
    const [old, other] = [rig.ready(), rig.ready({}, { isid: '400001370001' })];
    const write = (host: typeof old, byte: string): Buffer => host.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, byte) });
    old.send(write(old, 'a'));
    old.answersPings = false;
    // A ping is under way when the other path writes.
    rig.nowMs += GATE_PING_MS;
    old.connection.tick(rig.nowMs);
    const tagOf = (pdu: TargetPdu | undefined): number => pdu?.head.readUInt32BE(20) ?? 0;
    const early = tagOf(old.answers()[0]);
    expect(other.send(write(other, 'b')).map(statusOf)).toEqual(['response 0']);
    expect(old.send(write(old, 'z'))).toEqual([]);
    old.pong(early);
    const [late] = old.answers();
    expect(rig.volume.content[0]).toBe('b'.charCodeAt(0));
    // The answer to the early ping again proves nothing.
    old.pong(early);
    expect(old.answers()).toEqual([]);
    // A newer write of the other path, of the same block: one more round trip. Other blocks do not matter.
    other.send(write(other, 'c'));
    old.pong(tagOf(late));
    const [last] = old.answers();
    expect(rig.volume.content[0]).toBe('c'.charCodeAt(0));
    expect(other.send(other.command(write10(1, 1), { bytes: 512, data: Buffer.alloc(512, 'n') })).map(statusOf)).toEqual(['response 0']);
    old.pong(tagOf(last));
    expect(old.answers().map(statusOf)).toEqual(['response 0']);
    expect(rig.volume.content[0]).toBe('z'.charCodeAt(0));
  });

  it('what waits for a host that answers nothing is never executed, and its session is closed unread', () => {
    const rig = new IscsiRig();
    const [old, other] = [rig.ready(), rig.ready({}, { isid: '400001370001' })];
    old.answersPings = false;
    const { tag } = r2tOf(old.send(old.command(write10(0, 1), { bytes: 512, tag: 78 }))[0]);
    other.send(other.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'b') }));
    old.receive(old.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'a') }));
    old.answers();
    rig.nowMs += GATE_PROOF_MS - 1;
    for (const host of [old, other]) host.connection.tick(rig.nowMs);
    other.answers();
    expect(old.transport.destroyed).toBe(false);
    // Data that was asked for proves the path, but only up to the request.
    old.receive(old.dataOut(78, tag, 0, Buffer.alloc(512, 'x')));
    rig.settle();
    rig.nowMs += 2;
    old.connection.tick(rig.nowMs);
    old.vanish();
    expect([old.transport.destroyed, rig.volume.content[0], rig.cut]).toEqual([true, 'b'.charCodeAt(0), 1]);
    other.vanish();
    expect(rig.inUse).toBe(0);
  });
});

describe('requests', () => {
  it('a ping comes back with its data', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const [answer] = host.send(host.bytes({ opcode: 0, isImmediate: true, tag: 9, words: { 20: NO_TAG }, data: Buffer.from('hello') }));
    expect([answer!.opcode, answer!.tag, answer!.data.toString()]).toEqual([0x20, 9, 'hello']);
  });

  it('an abort is answered when the volume has ended the task, which gets no answer', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.receive(host.command(write10(0, 1), { bytes: 512, tag: 77, data: Buffer.alloc(512, 'x') }));
    host.receive(host.bytes({ opcode: 2, flags: 0x81, isImmediate: true, lun: LUN, tag: 5, words: { 20: 77 } }));
    rig.turn();
    expect(host.take()).toEqual([]);
    const answers = host.answers();
    expect(answers.map(({ opcode, head }) => [opcode, head[2]])).toEqual([[0x22, 0]]);
    // A task that waits for its data is aborted at once, and its data is dropped.
    const { tag } = r2tOf(host.send(host.command(write10(4, 1), { bytes: 512, tag: 78 }))[0]);
    const [taken] = host.send(host.bytes({ opcode: 2, flags: 0x81, isImmediate: true, lun: LUN, tag: 6, words: { 20: 78 } }));
    expect([taken!.opcode, taken!.head[2]]).toEqual([0x22, 0]);
    expect(host.send(host.dataOut(78, tag, 0, Buffer.alloc(512, 'z')))).toEqual([]);
    expect(rig.volume.content.subarray(2048, 2560).some((byte) => byte !== 0)).toBe(false);
    const [none] = host.send(host.bytes({ opcode: 2, flags: 0x81, isImmediate: true, lun: LUN, tag: 7, words: { 20: 99 } }));
    expect(none!.head[2]).toBe(1);
    host.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('a reset of the unit drops data of another host that is arriving', () => {
    const rig = new IscsiRig();
    const [one, other] = [rig.ready(), rig.ready({}, { isid: '400001370001' })];
    const { tag } = r2tOf(other.send(other.command(write10(0, 2), { bytes: 1024, tag: 77 }))[0]);
    const bytes = other.dataOut(77, tag, 0, Buffer.alloc(1024, 'w'));
    other.receive(bytes.subarray(0, 500));
    const [answer] = one.send(one.bytes({ opcode: 2, flags: 0x85, isImmediate: true, lun: LUN, tag: 5 }));
    expect([answer?.opcode, answer?.head[2]]).toEqual([0x22, 0]);
    other.receive(bytes.subarray(500));
    rig.settle();
    expect(rig.volume.content.some((byte) => byte !== 0)).toBe(false);
    one.vanish();
    other.vanish();
    expect(rig.inUse).toBe(0);
  });

  it('a logout is answered when its I/O has ended', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.receive(host.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'x') }));
    host.receive(host.bytes({ opcode: 6, flags: 0x80, isImmediate: true, tag: 5 }));
    rig.turn();
    expect(host.take()).toEqual([]);
    const answers = host.answers();
    expect(answers.map(({ opcode, head }) => [opcode, head[2]])).toEqual([[0x26, 0]]);
    expect(host.transport.ended).toBe(true);
    host.vanish();
    expect([rig.finished, rig.inUse]).toEqual([1, 0]);
  });

  it('a logout whose I/O does not end is not answered', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.receive(host.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'x') }));
    host.receive(host.bytes({ opcode: 6, flags: 0x80, isImmediate: true, tag: 5 }));
    rig.nowMs += GATE_QUIESCE_MS + 1;
    host.connection.tick(rig.nowMs);
    expect([host.transport.destroyed, host.take()]).toEqual([true, []]);
  });

  it.each([
    ['SNACK', { opcode: 0x10 }, 5],
    ['an opcode that is none', { opcode: 0x1f, isImmediate: true }, 5],
    ['a text that is none', { opcode: 4, isImmediate: true, words: { 20: NO_TAG }, data: Buffer.from('nonsense') }, 4],
  ] as const)('%s is rejected, with its header', (_, fields, reason) => {
    const rig = new IscsiRig();
    const host = rig.ready();
    const bytes = host.bytes({ tag: 5, ...fields });
    const [answer] = host.send(bytes);
    expect([answer!.opcode, answer!.head[2], answer!.data.equals(bytes.subarray(0, 48))]).toEqual([0x3f, reason, true]);
  });

  it('a login in a session, and a digest that is wrong, end it', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    host.receive(loginPdu({ stage: 1, next: 3, keys: { TargetName: TARGET } }));
    expect(host.transport.destroyed).toBe(true);
    for (const key of ['HeaderDigest', 'DataDigest']) {
      const careful = rig.ready({ [key]: 'CRC32C' }, { isid: `4000013700${key.length}` });
      const bytes = careful.command(write10(0, 1), { bytes: 512, data: Buffer.alloc(512, 'x') });
      bytes[key === 'HeaderDigest' ? 40 : 100]! ^= 1;
      careful.receive(bytes);
      expect(careful.transport.destroyed).toBe(true);
    }
    rig.settle();
    expect(rig.volume.seen.some((one) => one.startsWith('write'))).toBe(false);
  });

  it('additional headers are read over, and too many of them end the session', () => {
    const rig = new IscsiRig();
    const host = rig.ready();
    expect(host.send(host.command(read10(0, 1), { bytes: 512, ahs: Buffer.alloc(16) })).map(statusOf)).toEqual(['data 0']);
    const most = host.command(read10(0, 1), { bytes: 512, ahs: Buffer.alloc(GATE_AHS_MAX_BYTES) });
    expect(host.send(most).map(statusOf)).toEqual(['data 0']);
    host.receive(host.command(read10(0, 1), { bytes: 512, ahs: Buffer.alloc(GATE_AHS_MAX_BYTES + 4) }));
    expect(host.transport.destroyed).toBe(true);
  });
});

describe('two gates', () => {
  it('a host orders the volume to this gate, and the order is kept until it may be taken over', () => {
    const rig = new IscsiRig({ config: { member: 2 } });
    const host = rig.ready();
    rig.unit.isElsewhere = true;
    const become = (ana: 'optimized' | 'non-optimized' | 'inaccessible' | 'change'): void => {
      rig.unit.ana = ana;
      rig.protocol.target.anaChanged(LUN);
    };
    become('inaccessible');
    host.send(host.command([0, 0, 0, 0, 0, 0]));
    const standby = host.send(host.command(read10(0, 1), { bytes: 512 })).at(-1)!;
    expect([statusOf(standby).slice(0, 10), standby.data.toString('hex', 14, 16)]).toEqual(['response 2', '040b']);
    // SET TARGET PORT GROUPS: group 2 becomes active.
    const list = Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]);
    host.send(host.command([0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], { bytes: 8, flags: 0xa0, data: list }));
    expect(rig.unit.asked).toBe(0);
    become('non-optimized');
    expect(rig.unit.asked).toBe(1);
    become('change');
    become('optimized');
    for (let round = 0; round < 4; round++) host.send(host.command([0, 0, 0, 0, 0, 0]));
    expect(host.send(host.command(read10(0, 1), { bytes: 512 })).map(statusOf)).toEqual(['data 0']);
  });
});
