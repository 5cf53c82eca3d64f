// Commands that must not be repeated once they have changed something, and changes of several paths in their order. The oracle is the content of
// the volume: what a host was told was not executed is never found there later. Rules: D1.

import { describe, expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { GATE_BUSY_MS } from '../limits.ts';
import { cdb10, cdb16, cdb6, type RigHost, ScsiRig } from './testing/scsi-rig.ts';

const compareAndWrite = (before: string, byte: string): [Buffer, { out: Buffer }] => [
  cdb16(0x89, 0, 0).fill(1, 13, 14),
  { out: Buffer.concat([Buffer.alloc(512, before), Buffer.alloc(512, byte)]) },
];
const orWrite = (byte: number): [Buffer, { out: Buffer }] => [cdb16(0x8b, 0, 1), { out: Buffer.alloc(512, byte) }];
const write = (byte: string): [Buffer, { out: Buffer }] => [cdb10(0x2a, 0, 1), { out: Buffer.alloc(512, byte) }];

describe('COMPARE AND WRITE', () => {
  it('that is slow is answered when it has ended, and never called busy', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(...compareAndWrite('\0', 'a'));
    for (let round = 0; round < 4; round++) {
      rig.nowMs += GATE_BUSY_MS + 1;
      rig.target.tick();
      expect(host.answerTo(tag)).toBeNull();
    }
    rig.settle();
    expect([host.answerTo(tag)?.short, rig.unit.volume.content[0]]).toEqual(['good', 'a'.charCodeAt(0)]);
    // The repetition of a host that had been told busy would miscompare.
    expect(host.send(...compareAndWrite('\0', 'a')).short).toBe('e/1d00');
  });

  it('is not called standby either, when its gate tells hosts to use another one', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    const tag = host.start(...compareAndWrite('\0', 'a'));
    rig.unit.access = 'standby';
    rig.nowMs += 1;
    rig.target.tick();
    expect(host.answerTo(tag)).toBeNull();
    rig.settle();
    expect(host.answerTo(tag)?.short).toBe('good');
  });

  it.each(['OUTCOME_UNKNOWN', 'STALE', 'OUT_OF_MEMORY'] as const)('with an unknown outcome (%s) closes the connection', (name) => {
    const rig = new ScsiRig();
    const host = rig.host();
    rig.unit.volume.fail = STATUS[name];
    host.start(...compareAndWrite('\0', 'a'));
    rig.settle();
    expect(host.closedFor).toBe('nobody knows how much was executed of a command that must not be repeated');
  });
});

describe('ORWRITE', () => {
  it('is busy while it has changed nothing, and then changes nothing', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(...orWrite(0x0f));
    rig.nowMs += GATE_BUSY_MS + 1;
    rig.target.tick();
    expect(host.answerTo(tag)?.short).toBe('busy');
    rig.settle();
    expect([rig.unit.volume.content[0], host.under.size]).toEqual([0, 0]);
  });

  it('that writes is answered when it has ended', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(...orWrite(0x0f));
    rig.complete(1);
    rig.nowMs += GATE_BUSY_MS + 1;
    rig.target.tick();
    expect(host.answerTo(tag)).toBeNull();
    rig.settle();
    expect([host.answerTo(tag)?.short, rig.unit.volume.content[0]]).toEqual(['good', 0x0f]);
  });
});

describe('changes of two paths', () => {
  const two = (): { rig: ScsiRig; old: ReturnType<ScsiRig['host']>; other: ReturnType<ScsiRig['host']> } => {
    const rig = new ScsiRig({ isOrdered: true });
    return { rig, old: rig.host('a'), other: rig.host('b') };
  };

  it.each([
    ['WRITE', write('o')],
    ['COMPARE AND WRITE', compareAndWrite('n', 'o')],
    ['ORWRITE', orWrite(0xff)],
    ['WRITE SAME', [cdb10(0x41, 0, 1), { out: Buffer.alloc(512, 'o') }]],
    ['an ordered WRITE', [cdb10(0x2a, 0, 1), { out: Buffer.alloc(512, 'o'), attribute: 'ordered' }]],
  ] as const)('%s waits for a proof that is later than the change of the other path', (_, [cdb, options]) => {
    const { rig, old, other } = two();
    const { moment } = old.path;
    expect(other.send(...write('n')).short).toBe('good');
    const tag = old.start(cdb, options);
    rig.settle();
    old.path.proves(moment);
    rig.settle();
    expect([old.answerTo(tag), old.asked > 0, rig.unit.volume.content[0]]).toEqual([null, true, 'n'.charCodeAt(0)]);
    // The other path does not wait for what is held.
    expect(other.send(...write('n')).short).toBe('good');
    old.path.proves(old.path.moment);
    rig.settle();
    expect(old.answerTo(tag)?.short).toBe('good');
  });

  it('reads and flushes do not wait, nor do changes of other blocks', () => {
    const { rig, old, other } = two();
    for (const one of [old, other]) {
      one.path.proves(one.path.moment);
      one.send(cdb10(0x2a, 1000, 1), { out: Buffer.alloc(512) });
    }
    other.send(...write('n'));
    old.path.proves(old.path.moment);
    other.path.proves(other.path.moment);
    other.send(...write('m'));
    expect([old.send(cdb10(0x28, 0, 1)).short, old.send(cdb10(0x35, 0, 0)).short]).toEqual(['good', 'good']);
    expect(old.send(cdb10(0x2a, 64, 1), { out: Buffer.alloc(512) }).short).toBe('good');
    expect(rig.unit.volume.content[0]).toBe('m'.charCodeAt(0));
  });

  const ranges = (...blocks: readonly number[]): Buffer => {
    const list = Buffer.alloc(8 + 16 * blocks.length);
    list.writeUInt16BE(list.length - 2, 0);
    list.writeUInt16BE(list.length - 8, 2);
    for (const [index, block] of blocks.entries()) {
      list.writeUInt32BE(block, 12 + 16 * index);
      list.writeUInt32BE(1, 16 + 16 * index);
    }
    return list;
  };
  const unmap = (...blocks: readonly number[]): [Buffer, { out: Buffer }] => {
    const out = ranges(...blocks);
    return [cdb10(0x42, 0, out.length), { out }];
  };
  const orderedUnmap = (...blocks: readonly number[]): [Buffer, { out: Buffer; attribute: 'ordered' }] => {
    const [cdb, { out }] = unmap(...blocks);
    return [cdb, { out, attribute: 'ordered' }];
  };
  /** Copies one block within the unit. */
  const copy = (host: RigHost, from: number, to: number): [Buffer, { out: Buffer }] => {
    const out = Buffer.alloc(16 + 32 + 28);
    out.writeUInt16BE(32, 2);
    out.writeUInt32BE(28, 8);
    out.set([0xe4, 0, 0, 0, 1, 3, 0, 8], 16);
    host.send(cdb6(0x12, 1, 0x83, 4, 0)).data.copy(out, 24, 8, 16);
    out.writeUIntBE(512, 16 + 29, 3);
    out.set([2, 0, 0, 24], 48);
    for (const [at, value] of [[10, 1], [18, from], [26, to]] as const) out.writeUInt16BE(value, 48 + at); // biome-ignore format: pairs
    return [cdb16(0x83, 0, out.length), { out }];
  };
  const elsewhere = [
    ['ORWRITE', [cdb16(0x8b, 100, 1), { out: Buffer.alloc(512, 'e') }]],
    ['WRITE AND VERIFY', [cdb10(0x2e, 100, 1), { out: Buffer.alloc(512, 'e') }]],
    ['an ordered WRITE', [cdb10(0x2a, 100, 1), { out: Buffer.alloc(512, 'e'), attribute: 'ordered' }]],
    ['a WRITE', [cdb10(0x2a, 100, 1), { out: Buffer.alloc(512, 'e') }]],
  ] as const;

  // Regression: what was held kept the lock of the whole unit for up to 10 s, and other hosts waited without a word.
  it.each(elsewhere)('%s of another host runs elsewhere while UNMAP, EXTENDED COPY or an ordered UNMAP are held', (_, [cdb, options]) => {
    const { rig, old, other } = two();
    const copied = copy(old, 50, 0);
    other.send(...write('n'));
    const tags = [old.start(...unmap(60, 0)), old.start(...copied), old.start(...orderedUnmap(60, 0))];
    rig.settle();
    expect(other.send(cdb, options).short).toBe('good');
    expect([rig.unit.volume.content[100 * 512], rig.unit.volume.content[0]]).toEqual(['e'.charCodeAt(0), 'n'.charCodeAt(0)]);
    expect(tags.map((tag) => old.answerTo(tag))).toEqual([null, null, null]);
    old.path.proves(old.path.moment);
    rig.settle();
    expect([tags.map((tag) => old.answerTo(tag)?.short), rig.unit.volume.content[0]]).toEqual([['good', 'good', 'good'], 0]);
  });

  it('what has got the lock and must wait for a proof by then gives the lock back', () => {
    const { rig, old, other } = two();
    for (const one of [old, other]) one.path.proves(one.path.moment);
    const first = other.start(cdb10(0x2a, 0, 1), { out: Buffer.alloc(512, 'a'), attribute: 'ordered' });
    const second = other.start(...write('b'));
    old.path.proves(old.path.moment);
    const ordered = old.start(cdb10(0x2a, 0, 1), { out: Buffer.alloc(512, 'o'), attribute: 'ordered' });
    rig.settle();
    expect([first, second].map((tag) => other.answerTo(tag)?.short)).toEqual(['good', 'good']);
    expect([old.answerTo(ordered), other.send(...write('c')).short]).toEqual([null, 'good']);
    old.path.proves(old.path.moment);
    rig.settle();
    expect([old.answerTo(ordered)?.short, rig.unit.volume.content[0]]).toEqual(['good', 'o'.charCodeAt(0)]);
  });

  it('an UNMAP that is overtaken between its steps waits, and keeps nothing from others', () => {
    const { rig, old, other } = two();
    for (const one of [old, other]) {
      one.path.proves(one.path.moment);
      one.send(cdb10(0x2a, 1000, 1), { out: Buffer.alloc(512) });
    }
    const tag = old.start(...unmap(0, 64));
    other.send(cdb10(0x2a, 64, 1), { out: Buffer.alloc(512, 'n') });
    const [, [cdb, options]] = elsewhere[2];
    expect([old.answerTo(tag), other.send(cdb, options).short]).toEqual([null, 'good']);
    expect(rig.unit.volume.content[64 * 512]).toBe('n'.charCodeAt(0));
    old.path.proves(old.path.moment);
    rig.settle();
    expect([old.answerTo(tag)?.short, rig.unit.volume.content[64 * 512]]).toEqual(['good', 0]);
  });

  it('an abort ends what is held, and it is never executed', () => {
    const { rig, old, other } = two();
    other.send(...write('n'));
    old.start(...write('o'));
    expect(old.under.size).toBe(1);
    expect(old.manage('abort task set')).toMatchObject({ answer: 'complete' });
    old.path.proves(old.path.moment);
    rig.settle();
    expect([old.under.size, rig.unit.volume.content[0]]).toEqual([0, 'n'.charCodeAt(0)]);
  });

  it('the end of a session ends what is held', () => {
    const { rig, old, other } = two();
    other.send(...write('n'));
    old.start(...write('o'));
    old.end();
    old.path.proves(old.path.moment);
    rig.settle();
    expect([old.under.size, rig.unit.volume.content[0]]).toEqual([0, 'n'.charCodeAt(0)]);
  });

  it('RESERVE, RELEASE and MODE SELECT wait for those of another path', () => {
    const { rig, old, other } = two();
    expect(other.send(cdb6(0x16)).short).toBe('good');
    expect(other.send(cdb6(0x17)).short).toBe('good');
    const tag = old.start(cdb6(0x16));
    expect([old.answerTo(tag), rig.unit.reservations?.reservedBy]).toEqual([null, null]);
    old.path.proves(old.path.moment);
    expect(old.answerTo(tag)?.short).toBe('good');
  });
});
