// EXTENDED COPY within a unit, and what hosts ask about copies. The oracle is the volume: its content, and the requests that it has seen. A
// copy whose list is wrong must not reach the volume.

import { describe, expect, it } from 'vitest';
import { cdb16, cdb6, type RigHost, ScsiRig } from './testing/scsi-rig.ts';

const BLOCK = 512;
const MIB = 1024 * 1024;
type Segment = readonly [from: number, to: number, blocks: number, target?: number];

/** The parameter list of a copy within the unit that `host` sees. */
function copyList(host: RigHost, segments: readonly Segment[], { targets = 1, id = 1, discards = false, type = 0xe4 } = {}): Buffer {
  const name = host.send(cdb6(0x12, 1, 0x83, 4, 0)).data.subarray(8, 16);
  const target = Buffer.alloc(32);
  target.set([type, 0, 0, 0, 1, 3, 0, 8]);
  name.copy(target, 8);
  target.writeUIntBE(BLOCK, 29, 3);
  const described = segments.map(([from, to, blocks, index = 0]) => {
    const bytes = Buffer.alloc(28);
    bytes.set([2, 0, 0, 24]);
    bytes.writeUInt16BE(index, 6);
    bytes.writeUInt16BE(blocks, 10);
    bytes.writeBigUInt64BE(BigInt(from), 12);
    bytes.writeBigUInt64BE(BigInt(to), 20);
    return bytes;
  });
  const head = Buffer.alloc(16);
  head[0] = id;
  head[1] = discards ? 0x18 : 0;
  head.writeUInt16BE(32 * targets, 2);
  head.writeUInt32BE(28 * segments.length, 8);
  return Buffer.concat([head, ...Array.from({ length: targets }, () => target), ...described]);
}

function copy(list: Buffer): [Buffer, { out: Buffer }] {
  return [cdb16(0x83, 0, list.length), { out: list }];
}

function results(action: number, id = 0): Buffer {
  const cdb = cdb16(0x84, 0, 8192, action);
  cdb[2] = id;
  return cdb;
}

describe('EXTENDED COPY', () => {
  it('copies segments piece by piece', () => {
    const rig = new ScsiRig({ sizeBytes: 8 * MIB });
    const host = rig.host();
    const { content } = rig.unit.volume;
    for (let at = 0; at < 2 * MIB; at++) content[at] = (at * 5 + (at >> 9)) & 0xff;
    const before = Buffer.from(content.subarray(0, 2 * MIB));
    expect(
      host.send(
        ...copy(
          copyList(host, [
            [0, 5000, 3000],
            [7, 9000, 0],
            [3, 10_000, 1],
          ]),
        ),
      ).short,
    ).toBe('good');
    expect(content.subarray(5000 * BLOCK, 8000 * BLOCK).equals(before.subarray(0, 3000 * BLOCK))).toBe(true);
    expect(content.subarray(10_000 * BLOCK, 10_001 * BLOCK).equals(before.subarray(3 * BLOCK, 4 * BLOCK))).toBe(true);
    expect(content[9000 * BLOCK]).toBe(0);
  });

  it.each<[string, (host: RigHost) => Buffer, string]>([
    ['no list', () => Buffer.alloc(0), 'good'],
    ['a list that is cut', (host) => copyList(host, [[0, 9, 1]]).subarray(0, -1), '5/1a00'],
    ['targets that are cut', (host) => copyList(host, [[0, 9, 1]]).subarray(0, 47), '5/1a00'],
    ['an unknown type of target', (host) => copyList(host, [[0, 9, 1]], { type: 0xe0 }), '5/2607'],
    ['too many targets', (host) => copyList(host, [[0, 9, 1]], { targets: 3 }), '5/2606'],
    [
      'too many segments',
      (host) =>
        copyList(
          host,
          Array.from({ length: 17 }, () => [0, 9, 1] as const),
        ),
      '5/2608',
    ],
    [
      'lists that are too long',
      (host) =>
        copyList(
          host,
          Array.from({ length: 18 }, () => [0, 9, 1] as const),
          { targets: 3 },
        ),
      '5/1a00',
    ],
    ['an unknown type of segment', (host) => copyList(host, [[0, 9, 1]]).fill(3, 48, 49), '5/2609'],
    ['a target that is not in the list', (host) => copyList(host, [[0, 9, 1, 1]]), 'a/0d02'],
    ['another device', (host) => copyList(host, [[0, 9, 1]]).fill(1, 28, 29), 'a/0d02'],
    ['another block size', (host) => copyList(host, [[0, 9, 1]]).fill(1, 46, 47), '5/2600'],
    [
      'a range behind the end',
      (host) =>
        copyList(host, [
          [0, 9, 1],
          [0, 2047, 2],
        ]),
      'a/0000',
    ],
  ])('with %s', (_, made, short) => {
    const rig = new ScsiRig();
    const host = rig.host();
    expect(host.send(...copy(made(host))).short).toBe(short);
    expect(rig.unit.volume.seen).toEqual([]);
  });

  it('keeps results of lists with an identifier, once', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    expect(host.send(results(0, 1)).short).toBe('5/2400');
    host.send(...copy(copyList(host, [[0, 9, 1]])));
    expect(host.send(results(0, 1)).data.subarray(0, 5).toString('hex')).toBe('0000000801');
    expect(host.send(results(0, 1)).short).toBe('5/2400');
    host.send(...copy(copyList(host, [[0, 9, 1]], { discards: true })));
    expect(host.send(results(0, 1)).short).toBe('5/2400');
    for (let id = 0; id < 20; id++) host.send(...copy(copyList(host, [[0, 9, 1]], { id })));
    expect([host.send(results(0, 3)).short, host.send(results(0, 4)).short]).toEqual(['5/2400', 'good']);
  });

  it('tells its limits', () => {
    const host = new ScsiRig().host();
    const { data } = host.send(results(3));
    expect([data.readUInt32BE(0), data.readUInt16BE(8), data.readUInt16BE(10), data[43], data[44], data[45]]).toEqual([
      42, 2, 16, 2, 2, 0xe4,
    ]);
    expect(
      host
        .send(cdb6(0x12, 1, 0x8f, 4, 0))
        .data.subarray(4, 16)
        .toString('hex'),
    ).toBe('000100080783010084020003');
  });
});
