// Commands about units: how hosts see units, modes, sense data, unit attentions, access states, RESERVE. The oracle is the standard's
// layout, read byte by byte.

import { describe, expect, it } from 'vitest';
import { COMMANDS } from './command-table.ts';
import { lunNumber, writeLun } from './lun.ts';
import { ScsiTarget } from './target.ts';
import { cdb10, cdb12, cdb16, cdb6, prIn, RigHost, ScsiRig, TARGET_NAME } from './testing/scsi-rig.ts';

const INVALID_FIELD = '5/2400';
const BLOCK = 512;

function page(host: RigHost, code: number): Buffer {
  const { data } = host.send(cdb6(0x12, 1, code, 4, 0));
  expect(data[1]).toBe(code);
  expect(data.readUInt16BE(2)).toBe(data.length - 4);
  return data.subarray(4);
}

/** Designators of page 83h by association and type. */
function designators(host: RigHost): Map<number, string> {
  const found = new Map<number, string>();
  const bytes = page(host, 0x83);
  for (let at = 0; at < bytes.length; at += 4 + bytes[at + 3]!)
    found.set(bytes[at + 1]! & 0x3f, bytes.subarray(at + 4, at + 4 + bytes[at + 3]!).toString('latin1'));
  return found;
}

describe('INQUIRY', () => {
  it('names the unit by the id of its volume alone', () => {
    const [one, other] = [new ScsiRig(), new ScsiRig({ hasPartner: true })];
    const [names, same] = [designators(one.host('a')), designators(other.host('b', 2))];
    for (const type of [0x01, 0x03, 0x0a]) expect(names.get(type)).toBe(same.get(type));
    expect(names.get(0x01)).toBe('RSIO    00112233445566778899aabbccddeeff');
    expect(Buffer.from(names.get(0x03) ?? '', 'latin1')[0]! >>> 4).toBe(3);
    expect(names.get(0x18)).toMatch(`${TARGET_NAME},t,0x0001\0`);
    expect(Buffer.from(same.get(0x14) ?? '', 'latin1').readUInt32BE(0)).toBe(2);
    one.newUnit(1, 'ffffffff-4455-6677-8899-aabbccddeeff');
    const { data } = one.host('c').send(cdb6(0x12, 1, 0x80, 1, 0), { lun: 1 });
    expect(data.subarray(4).toString()).toBe('ffffffff445566778899aabbccddeeff');
  });

  it('shows the limits that the engine keeps', () => {
    const host = new ScsiRig().host();
    expect([...page(host, 0)]).toEqual([0x00, 0x80, 0x83, 0x8f, 0xb0, 0xb1, 0xb2]);
    const limits = page(host, 0xb0);
    expect(limits.length).toBe(60);
    expect([limits[0], limits[1], limits.readUInt32BE(4), limits.readUInt32BE(16), limits.readUInt32BE(20)]).toEqual([
      1, 1, 8192, 1_048_576, 256,
    ]);
    expect(limits.readBigUInt64BE(32)).toBe(32_768n);
    expect(page(host, 0xb1).readUInt16BE(0)).toBe(1);
    expect([...page(host, 0xb2)]).toEqual([0, 0xe4, 2, 0]);
    expect([...page(new ScsiRig({ canDiscard: false }).host(), 0xb2)]).toEqual([0, 0, 0, 0]);
  });

  it.each([
    ['a page without EVPD', cdb6(0x12, 0, 0x80, 0, 255), INVALID_FIELD],
    ['an unknown page', cdb6(0x12, 1, 0xc5, 0, 255), INVALID_FIELD],
    ['little room', cdb6(0x12, 0, 0, 0, 5), 'good'],
  ])('with %s', (_, cdb, short) => {
    expect(new ScsiRig().host().send(cdb).short).toBe(short);
  });

  it('of a unit that is not there says so', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    expect(host.send(cdb6(0x12, 0, 0, 0, 96), { lun: 7 }).data[0]).toBe(0x7f);
    expect(host.send(cdb6(0x00), { lun: 7 }).short).toBe('5/2500');
    expect(host.send(cdb6(0xff), { lun: -1 }).short).toBe('5/2500');
    expect(host.send(cdb6(0x03, 0, 0, 0, 18), { lun: 7 }).data.readUInt16BE(12)).toBe(0x2500);
    expect(host.send(cdb6(0x12, 0, 0, 0, 96)).data[5]! & 0x30).toBe(0);
    expect(new ScsiRig({ hasPartner: true }).host().send(cdb6(0x12, 0, 0, 0, 96)).data[5]! & 0x30).toBe(0x30);
  });
});

describe('capacities and lists', () => {
  it('READ CAPACITY points to the longer command', () => {
    const host = new ScsiRig().host();
    expect(host.send(cdb10(0x25, 0, 0)).data.toString('hex')).toBe('000007ff00000200');
    const { data } = host.send(cdb16(0x9e, 0, 32, 0x10));
    expect([data.readBigUInt64BE(0), data.readUInt32BE(8), data[14]]).toEqual([2047n, 512, 0xc0]);
    for (const room of [0, 1, 15]) expect(host.send(cdb16(0x9e, 0, room, 0x10)).data.length).toBe(room);
    expect(host.send(cdb10(0x25, 5, 0)).short).toBe(INVALID_FIELD);
  });

  it('REPORT LUNS lists the units at any address', () => {
    const rig = new ScsiRig();
    rig.newUnit(300, '1'.repeat(32));
    const { data } = rig.host().send(cdb12(0xa0, 0, 4096), { lun: 9 });
    expect(data.toString('hex')).toBe('00000010000000000000000000000000412c000000000000');
    expect(rig.host('b').send(cdb12(0xa0, 0, 8)).short).toBe(INVALID_FIELD);
  });

  it('units are addressed in one level', () => {
    const bytes = Buffer.alloc(8);
    for (const lun of [0, 1, 255, 256, 16_383]) {
      writeLun(bytes, 0, lun);
      expect(lunNumber(bytes, 0)).toBe(lun);
    }
    for (const hex of ['0100000000000000', '8000000000000000', 'c101000000000000', '0000000100000000'])
      expect(lunNumber(Buffer.from(hex, 'hex'), 0)).toBe(-1);
    expect(lunNumber(Buffer.from('4005000000000000', 'hex'), 0)).toBe(5);
  });

  it('REPORT SUPPORTED OPERATION CODES has what is executed, and each command alone', () => {
    const host = new ScsiRig().host();
    const codes = (options: number, opcode = 0, action = 0, room = 65_535): ReturnType<RigHost['send']> => {
      const cdb = cdb12(0xa3, 0, room, 0x0c);
      cdb[2] = options;
      cdb[3] = opcode;
      cdb.writeUInt16BE(action, 4);
      return host.send(cdb);
    };
    const all = codes(0).data;
    expect(all.readUInt32BE(0)).toBe(all.length - 4);
    expect((all.length - 4) / 8).toBe(COMMANDS.length);
    expect(codes(0x80).data.length).toBe(4 + 20 * COMMANDS.length);
    for (const { opcode, action, usage } of COMMANDS) {
      const wrong = codes(action < 0 ? 2 : 1, opcode, Math.max(action, 0));
      expect([wrong.short, wrong.pointer]).toEqual([INVALID_FIELD, 2]);
      const { data } = codes(action < 0 ? 1 : 2, opcode, Math.max(action, 0));
      expect([data[1], data.readUInt16BE(2), data[4]]).toEqual([3, usage.length, opcode]);
      if (action >= 0) expect(data[5]! & 0x1f).toBe(action);
      const cdb = Buffer.alloc(16);
      cdb[0] = opcode;
      if (action >= 0) cdb[1] = action;
      expect(host.send(cdb, { out: Buffer.alloc(0) }).short).not.toBe('5/2000');
    }
    expect([...codes(1, 0xff).data]).toEqual([0, 1, 0, 0]);
    expect(host.send(cdb12(0xa3, 0, 4, 0x0d)).data[0]).toBe(0b1101_1010);
  });

  it.each([
    ['an unknown opcode', cdb6(0xc0), '5/2000'],
    ['an unknown service action', cdb16(0x9e, 0, 0, 0x1f), INVALID_FIELD],
  ])('%s is refused', (_, cdb, short) => {
    expect(new ScsiRig().host().send(cdb).short).toBe(short);
  });
});

describe('modes', () => {
  /** A list of MODE SELECT (6) with the control page. */
  function control(two: number, four: number): Buffer {
    return Buffer.from([0, 0, 0, 0, 0x0a, 10, two, 0x10, four, 0, 0, 0, 0xff, 0xff, 0, 0]);
  }
  const select = (list: Buffer): [Buffer, { out: Buffer }] => [cdb6(0x15, 0x10, 0, 0, list.length), { out: list }];

  it('MODE SENSE has the pages in both lengths', () => {
    const host = new ScsiRig().host();
    const short = host.send(cdb6(0x1a, 0, 0x3f, 0, 255)).data;
    expect([short[0], short[2], short[3]]).toEqual([short.length - 1, 0x10, 8]);
    expect(short.readUIntBE(9, 3)).toBe(512);
    const cdb = cdb10(0x5a, 0, 4096, 0x10);
    cdb[2] = 0x3f;
    const long = host.send(cdb).data;
    expect([long.readUInt16BE(0), long[3], long[4], long.readUInt16BE(6)]).toEqual([long.length - 2, 0x10, 1, 16]);
    expect([long.readBigUInt64BE(8), long.readUInt32BE(20)]).toEqual([2048n, 512]);
    expect(host.send(cdb6(0x1a, 8, 0x08, 0, 255)).data.toString('hex')).toBe(`1700100008120400${'00'.repeat(16)}`);
    expect(host.send(cdb6(0x1a, 0, 0x05, 0, 255)).short).toBe(INVALID_FIELD);
    expect(host.send(cdb6(0x1a, 0, 0xc8, 0, 255)).short).toBe('5/2400');
    expect(new ScsiRig({ readonly: true }).host().send(cdb6(0x1a, 8, 0x0a, 0, 255)).data[2]).toBe(0x90);
  });

  it('D_SENSE changes the form of sense data, and other hosts are told', () => {
    const rig = new ScsiRig();
    const [host, other] = [rig.host('a'), rig.host('b')];
    expect(host.send(...select(control(0x04, 0))).short).toBe('good');
    expect(other.send(cdb6(0)).short).toBe('6/2a01');
    host.start(cdb10(0x28, 0, 1, 0x20));
    expect(host.answers.at(-1)?.short).toBe(INVALID_FIELD);
    // Descriptor form: the pointer to the field follows the header.
    expect(host.send(cdb6(0x1a, 8, 0x0a, 0, 255)).data[6]).toBe(0x04);
    expect(host.send(cdb6(0x03, 1, 0, 0, 255)).data[0]).toBe(0x72);
  });

  it('SWP refuses writes until a reset', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    expect(host.send(...select(control(0, 0x08))).short).toBe('good');
    expect(host.send(cdb10(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) }).short).toBe('7/2700');
    expect(host.send(cdb6(0x1a, 8, 0x0a, 0, 255)).data[2]).toBe(0x90);
    expect(host.manage('lun reset').answer).toBe('complete');
    expect([host.send(cdb6(0)).short, host.send(cdb6(0)).short]).toEqual(['6/2903', 'good']);
    expect(host.send(cdb10(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) }).short).toBe('good');
  });

  it.each([
    ['a value that cannot be changed', control(0, 0x40), '5/2600'],
    ['an unknown page', Buffer.from([0, 0, 0, 0, 0x05, 2, 0, 0]), '5/2600'],
    ['a page that is cut', control(4, 0).subarray(0, 12), '5/1a00'],
    ['another block size', Buffer.from([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0]), '5/2600'],
    ['the same block size', Buffer.from([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0]), 'good'],
    ['no list', Buffer.alloc(0), 'good'],
  ])('MODE SELECT with %s', (_, list, short) => {
    const host = new ScsiRig().host();
    expect(host.send(...select(list)).short).toBe(short);
    expect(host.send(cdb6(0x1a, 8, 0x0a, 0, 255)).data[6]).toBe(0);
  });

  it('MODE SELECT keeps nothing over a reset, and has pages', () => {
    const host = new ScsiRig().host();
    expect(host.send(cdb6(0x15, 0x11, 0, 0, 16), { out: control(4, 0) }).short).toBe(INVALID_FIELD);
    expect(host.send(cdb6(0x15, 0x10, 0, 0, 16), { out: control(4, 0).subarray(0, 8) }).short).toBe('5/0e03');
  });
});

describe('unit attentions', () => {
  it('are told once, in order, and not to INQUIRY, REPORT LUNS and REQUEST SENSE with the command', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    rig.target.lostWrites(0);
    rig.target.changed(0);
    rig.target.changed(0);
    expect(host.send(cdb6(0x12, 0, 0, 0, 96)).short).toBe('good');
    expect(host.send(cdb12(0xa0, 0, 64)).short).toBe('good');
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe('6/2900');
    expect(host.send(cdb6(0x03, 0, 0, 0, 18)).data.readUInt16BE(12)).toBe(0x2a09);
    expect(host.send(cdb6(0)).short).toBe('good');
  });

  it('tell of units that appear and go', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    rig.newUnit(1, '2'.repeat(32));
    expect([host.send(cdb6(0)).short, host.send(cdb6(0), { lun: 1 }).short]).toEqual(['6/3f0e', '6/2900']);
    rig.target.hide(1);
    expect([host.send(cdb6(0)).short, host.send(cdb6(0), { lun: 1 }).short]).toEqual(['6/3f0e', '5/2500']);
  });

  it('are bounded', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    for (let round = 0; round < 100; round++) {
      rig.target.lostWrites(0);
      rig.target.accessChanged(0);
    }
    expect([host.send(cdb6(0)).short, host.send(cdb6(0)).short, host.send(cdb6(0)).short]).toEqual(['6/2900', '6/2a06', 'good']);
  });
});

describe('two gates', () => {
  function setGroups(...groups: readonly (readonly [state: number, group: number])[]): [Buffer, { out: Buffer }] {
    const list = Buffer.alloc(4 + 4 * groups.length);
    for (const [index, [state, group]] of groups.entries()) {
      list[4 + 4 * index] = state;
      list.writeUInt16BE(group, 6 + 4 * index);
    }
    return [cdb12(0xa4, 0, list.length, 0x0a), { out: list }];
  }

  it('a standby refuses I/O, and is not moved by it', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    rig.unit.access = 'standby';
    for (const cdb of [cdb10(0x28, 0, 1), cdb6(0), prIn(0), cdb6(0x16)]) expect(host.send(cdb).short).toBe('2/040b');
    for (const cdb of [cdb6(0x12, 0, 0, 0, 96), cdb10(0x25, 0, 0), cdb6(0x1a, 0, 0x3f, 0, 255), cdb12(0xa0, 0, 64)])
      expect(host.send(cdb).short).toBe('good');
    expect(rig.unit.orders).toBe(0);
    expect(rig.unit.volume.seen).toEqual([]);
    expect(host.send(cdb12(0xa3, 0, 64, 0x0a)).data.toString('hex')).toBe('0000000c028500010002000100000001');
  });

  it('SET TARGET PORT GROUPS orders the volume here, and nothing else', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    rig.unit.access = 'standby';
    expect(host.send(...setGroups([2, 2])).short).toBe('good');
    expect(rig.unit.orders).toBe(0);
    expect(host.send(...setGroups([0, 2])).short).toBe('5/2600');
    expect(host.send(...setGroups([2, 1])).short).toBe('5/670a');
    expect(host.send(...setGroups([0, 1], [2, 2])).short).toBe('good');
    expect(rig.unit.orders).toBe(1);
    rig.unit.access = 'transitioning';
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe('2/040a');
    expect(host.send(cdb12(0xa3, 0, 64, 0x2a)).data[8]).toBe(0x0f);
    rig.unit.canOrder = false;
    expect(host.send(...setGroups([0, 1])).short).toBe('5/670a');
  });

  it('I/O in a volume that is lost is answered at once with the state', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    const tag = host.start(cdb10(0x2a, 0, 1), { out: Buffer.alloc(BLOCK) });
    rig.target.tick();
    expect(host.answerTo(tag)).toBe(null);
    rig.unit.access = 'standby';
    rig.nowMs += 250;
    rig.target.tick();
    expect(host.answerTo(tag)?.short).toBe('2/040b');
    expect(host.under.size).toBe(1);
    rig.settle();
    expect(host.under.size).toBe(0);
  });

  it('the later requests of a command are admitted one by one', () => {
    const rig = new ScsiRig({ hasPartner: true, sizeBytes: 4 * 1024 * 1024 });
    const host = rig.host('a');
    const same = host.start(cdb10(0x41, 0, 8000), { out: Buffer.alloc(BLOCK, 1) });
    rig.unit.access = 'standby';
    rig.settle();
    expect([host.answerTo(same)?.short, rig.unit.volume.seen.length]).toEqual(['2/040b', 1]);
    const single = new ScsiRig({ sizeBytes: 4 * 1024 * 1024 });
    const [one, other] = [single.host('a'), single.host('b')];
    const again = one.start(cdb10(0x41, 0, 8000), { out: Buffer.alloc(BLOCK, 1) });
    other.send(cdb6(0x16));
    expect([one.answerTo(again)?.short, single.unit.volume.seen.length]).toEqual(['conflict', 1]);
  });

  it('one gate waits 20 s, and then is busy', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(cdb10(0x2f, 0, 1000));
    rig.nowMs += 20_000;
    rig.target.tick();
    expect(host.answerTo(tag)).toBe(null);
    rig.nowMs += 1;
    rig.target.tick();
    expect(host.answerTo(tag)?.short).toBe('busy');
    rig.settle();
    expect([host.under.size, rig.unit.volume.seen.length]).toEqual([0, 1]);
  });

  it('a unit goes on when its volume comes here', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    // The other gate did not know of the modes.
    host.send(cdb6(0x15, 0x10, 0, 0, 16), { out: Buffer.from('000000000a0a041000000000ffff0000', 'hex') });
    rig.target.show(rig.unit);
    const other = rig.host('b');
    expect([0, 1, 2].map(() => host.send(cdb6(0)).short)).toEqual(['6/2900', '6/2a06', 'good']);
    expect(other.send(cdb6(0)).short).toBe('good');
    rig.target.show(rig.unit);
    expect([0, 1].map(() => host.send(cdb6(0)).short)).toEqual(['6/2a06', 'good']);
  });
});

describe('RESERVE and RELEASE', () => {
  it('hold for the hosts of all gates that show the volume', () => {
    const rig = new ScsiRig();
    const second = new ScsiTarget({ hasPartner: false, member: 1, targetName: 'iqn.2026-01.example:second', version: '1.0', ports: () => [1], nowMs: () => 0 }); // biome-ignore format: long
    second.show(rig.unit);
    const host = rig.host('a');
    expect(host.send(cdb6(0x16)).short).toBe('good');
    const other = new RigHost(Object.assign(Object.create(rig), { target: second }) as ScsiRig, 'b', 1);
    other.send(cdb6(0));
    for (const cdb of [cdb6(0), cdb6(0x16), cdb10(0x28, 0, 1)]) expect(other.send(cdb).short).toBe('conflict');
    // A host of NVMe has no nexus.
    expect([rig.unit.reservations?.admits('a'.repeat(32), false), rig.unit.reservations?.isReservedFor(null)]).toEqual([false, true]);
    rig.target.hide(0);
    expect(other.send(cdb10(0x28, 0, 1)).short).toBe('good');
  });

  it('are not known where a gate on another machine can have the volume, or where nothing keeps reservations', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    for (const opcode of [0x16, 0x17]) expect(host.send(cdb6(opcode)).short).toBe('5/2000');
    const codes = (): number[] => {
      const { data } = host.send(cdb12(0xa3, 0, 4096, 0x0c));
      return Array.from({ length: data.readUInt32BE(0) / 8 }, (_, at) => data[4 + 8 * at]!);
    };
    expect([codes().includes(0x16), codes().includes(0x17), codes().includes(0x5f)]).toEqual([false, false, true]);
    const single = new ScsiRig();
    single.unit.reservations = null;
    expect(single.host().send(cdb6(0x16)).short).toBe('5/2000');
  });

  it('keep other hosts out until the end of the nexus, a release or a reset', () => {
    const rig = new ScsiRig();
    const [host, other] = [rig.host('a'), rig.host('b')];
    expect([host.send(cdb6(0x16)).short, host.send(cdb6(0x16)).short, other.send(cdb6(0x16)).short]).toEqual(['good', 'good', 'conflict']);
    expect(other.send(cdb6(0x17)).short).toBe('good');
    for (const cdb of [cdb6(0x1a, 0, 0x3f, 0, 255), cdb6(0), cdb10(0x28, 0, 1), prIn(0)]) expect(other.send(cdb).short).toBe('conflict');
    expect(other.send(cdb6(0x12, 0, 0, 0, 96)).short).toBe('good');
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe('good');
    host.end();
    expect(other.send(cdb6(0x16)).short).toBe('good');
    const third = rig.host('c');
    third.manage('target warm reset');
    third.send(cdb6(0));
    expect(third.send(cdb6(0x16)).short).toBe('good');
    expect(third.send(cdb6(0x17)).short).toBe('good');
    expect(third.send(cdb6(0x16, 0x10)).short).toBe(INVALID_FIELD);
  });
});
