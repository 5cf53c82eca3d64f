// Tests the engine of AoE gates with a host that shares no code with it: discovery, ATA commands, what is refused, ages of writes, bounds.
// Rules: D1, N15.

import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, describe, expect, it } from 'vitest';
import { AOE_QUERIES_MAX, AOE_QUERIES_MS, AOE_VOLUME_COMMANDS_MAX, AOE_WRITE_AGE_MS } from '../limits.ts';
import { EngineScene } from './testing/engine-scene.ts';
import {
  ata,
  ataOf,
  config,
  configOf,
  EVERYONE,
  frame,
  GATE,
  HOST,
  mask,
  OTHER,
  readSectors,
  reserve,
  writeSectors,
} from './testing/raw-initiator.ts';

const ABORTED = { status: 0x41, error: 0x04, data: Buffer.alloc(0) };
let scene: EngineScene;

beforeEach(() => {
  scene = new EngineScene();
});

function pattern(bytes: number, seed = 0): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 9) + seed) & 255));
}

function writable(): ReturnType<EngineScene['add']> {
  scene.engine.hasUnsafeWrites = true;
  return scene.add(0);
}

describe('discovery', () => {
  it('a query to all is answered once for each volume, with its address', async () => {
    scene.add(0);
    scene.add(3);
    const answers = await scene.ask(config(0, '', { to: EVERYONE, shelf: 0xffff, slot: 0xff, tag: 99 }));
    expect(answers).toMatchObject([
      { to: HOST, from: GATE, flags: 'R', error: 0, address: '7.0', command: 1, tag: 99 },
      { to: HOST, from: GATE, flags: 'R', error: 0, address: '7.3', command: 1, tag: 99 },
    ]);
    expect(configOf(answers[0]!)).toEqual({ buffers: AOE_VOLUME_COMMANDS_MAX, sectors: 17, text: '' });
  });

  it.each([
    [7, 0xff, ['7.0', '7.3']],
    [0xffff, 3, ['7.3']],
    [7, 3, ['7.3']],
    [7, 1, []],
    [8, 0xff, []],
    [8, 0, []],
  ])('the address %s.%s means %j', async (shelf, slot, addresses) => {
    scene.add(0);
    scene.add(3);
    expect((await scene.ask(config(0, '', { to: EVERYONE, shelf, slot }))).map(({ address }) => address)).toEqual(addresses);
  });

  it('a query to all changes nothing, and is no other command', async () => {
    writable();
    const all = { to: EVERYONE, shelf: 0xffff, slot: 0xff };
    for (const one of [
      config(3, 'x', all),
      config(4, 'x', all),
      config(4, 'x', { to: EVERYONE }),
      mask(1, [[1, OTHER]], all),
      reserve(1, [HOST], all),
    ])
      expect(await scene.ask(one)).toEqual([]);
    expect(await scene.ask(writeSectors(0, pattern(512), all))).toEqual([]);
    expect(await scene.ask(writeSectors(0, pattern(512), { to: EVERYONE }))).toEqual([]);
    expect(await scene.ask(readSectors(0, 1, { shelf: 0xffff }))).toEqual([]);
    expect(scene.kept).toEqual([]);
  });

  it('queries to all are bounded in each second', () => {
    scene.add(0);
    const query = config(0, '', { to: EVERYONE, shelf: 0xffff, slot: 0xff });
    for (let count = 0; count < AOE_QUERIES_MAX + 5; count++) scene.give(query);
    expect(scene.replies()).toHaveLength(AOE_QUERIES_MAX);
    scene.clock.advance(AOE_QUERIES_MS);
    scene.give(query);
    expect(scene.replies()).toHaveLength(1);
    expect(scene.engine.counts.dropped).toBe(5);
  });

  it('a volume that comes or grows is announced to all, unless only some hosts get answers', () => {
    const { target } = scene.add(3);
    scene.engine.announce(target);
    expect(scene.replies()).toMatchObject([{ to: EVERYONE, from: GATE, flags: 'R', address: '7.3', command: 1, tag: 0 }]);
    scene.engine.hosts = new Set([1]);
    scene.engine.announce(target);
    expect(scene.replies()).toEqual([]);
  });
});

describe('frames that get no answer', () => {
  it.each([
    ['a response', readSectors(0, 1, { flags: 8 })],
    ['another machine', readSectors(0, 1, { to: OTHER })],
    ['from a group', readSectors(0, 1, { from: EVERYONE })],
    ['from the gate itself', readSectors(0, 1, { from: GATE })],
    ['another type', Buffer.concat([readSectors(0, 1).subarray(0, 12), Buffer.from([8, 0]), readSectors(0, 1).subarray(14)])],
    ['a short frame', readSectors(0, 1).subarray(0, 23)],
  ])('%s', async (_, bytes) => {
    scene.add(0);
    expect(await scene.ask(bytes)).toEqual([]);
  });

  it('a host that the gate does not admit', async () => {
    scene.add(0);
    scene.engine.hosts = new Set([Number.parseInt(OTHER.replaceAll(':', ''), 16)]);
    expect(await scene.ask(readSectors(0, 1))).toEqual([]);
    expect(await scene.ask(config(0, '', { to: EVERYONE, shelf: 0xffff, slot: 0xff }))).toEqual([]);
    expect(await scene.ask(readSectors(0, 1, { from: OTHER }))).toHaveLength(1);
  });

  it('any, while the gate has no card', async () => {
    scene.add(0);
    scene.engine.card = null;
    expect(await scene.ask(readSectors(0, 1))).toEqual([]);
  });
});

describe('errors of the protocol', () => {
  it.each([
    [5, 'another version', readSectors(0, 1, { version: 2 })],
    [1, 'an unknown command', frame(4, Buffer.alloc(12))],
    [1, 'a command of a vendor', frame(0xf0, Buffer.alloc(12))],
    [2, 'an ATA command without its end', readSectors(0, 1).subarray(0, 35)],
    [2, 'no sectors', readSectors(0, 0)],
    [2, 'more sectors than fit into a frame', readSectors(0, 18)],
    [2, 'a command of 48 bits without the flag', ata({ command: 0x24, sectors: 1 })],
    [2, 'a command of 28 bits with the flag', ata({ command: 0x20, sectors: 1, flags: 0x40 })],
    [2, 'a write without all its data', writeSectors(0, pattern(1024)).subarray(0, -1)],
    [2, 'a write without the flag', ata({ command: 0x34, sectors: 1, flags: 0x40, data: pattern(512) })],
    [2, 'a config string that is longer than its frame', config(3, 'abc').subarray(0, -1)],
    [2, 'a config string of 1025 bytes', config(3, 'a'.repeat(1025))],
    [2, 'a config command without its end', config(0).subarray(0, 31)],
    [2, 'an unknown config command', config(5)],
    [2, 'an unknown mask command', mask(2, [])],
    [2, 'directives that are missing', mask(1, [[1, OTHER]]).subarray(0, -1)],
    [2, 'an unknown reserve command', reserve(3, [])],
    [2, 'addresses that are missing', reserve(1, [OTHER]).subarray(0, -1)],
    [
      2,
      'too many addresses',
      reserve(
        1,
        Array.from({ length: 65 }, () => OTHER),
      ),
    ],
  ])('%s: %s', async (error, _, bytes) => {
    const { volume } = writable();
    expect(await scene.askOne(bytes)).toMatchObject({ flags: 'RE', error, address: '7.0', tag: 0x0102_0304, command: bytes[19] });
    expect(volume.seen).toEqual([]);
  });
});

describe('ATA', () => {
  it('a host reads what is there, 17 sectors in a frame of 9,000 bytes', async () => {
    const { volume } = scene.add(0);
    pattern(64 * 512).copy(volume.content);
    for (const bytes of [readSectors(3, 17), ata({ command: 0x20, lba: 3, sectors: 17 }), readSectors(3, 17)]) {
      const reply = await scene.askOne(bytes);
      expect(ataOf(reply)).toEqual({ status: 0x40, error: 0, data: volume.content.subarray(3 * 512, 20 * 512) });
      expect(reply.argument).toHaveLength(12 + 8704);
    }
    expect(volume.seen).toEqual(['read 1536+8704', 'read 1536+8704', 'read 1536+8704']);
  });

  it('a frame of 1,500 bytes has 2 sectors', async () => {
    scene.add(0);
    scene.engine.card = { ...scene.engine.card!, mtu: 1500 };
    expect(configOf(await scene.askOne(config(0))).sectors).toBe(2);
    expect((await scene.askOne(readSectors(0, 2))).flags).toBe('R');
    expect((await scene.askOne(readSectors(0, 3))).error).toBe(2);
  });

  it('addresses have 28 or 48 bits', async () => {
    const { volume } = scene.add(0);
    await scene.ask(readSectors(0x0bcd_ef01_2345, 1));
    expect(ataOf(await scene.askOne(readSectors(0xffff_ffff_ffff, 1)))).toMatchObject({ status: 0x41, error: 0x10 });
    // The upper bits of the fourth byte are not a part of the address.
    await scene.ask(ata({ command: 0x20, lba: 0xffff_f123_4567, sectors: 1 }));
    expect(volume.seen).toEqual([`read ${0x0bcd_ef01_2345 * 512}+512`, `read ${0x123_4567 * 512}+512`]);
  });

  it('IDENTIFY has the size, addresses of 48 bits, no write cache, and a checksum', async () => {
    scene.add(0, { sizeBytes: 4096 * 1000, blockSizeBytes: 4096 });
    const { status, data } = ataOf(await scene.askOne(ata({ command: 0xec, sectors: 1 })));
    const word = (at: number): number => data.readUInt16LE(2 * at);
    const swapped = (at: number, chars: number): string =>
      Buffer.from(data.subarray(2 * at, 2 * at + chars))
        .swap16()
        .toString('latin1')
        .trim();
    expect([status, data.length]).toEqual([0x40, 512]);
    expect([data.readUInt32LE(120), data.readBigUInt64LE(200)]).toEqual([8000, 8000n]);
    expect([word(83) & (1 << 10), word(86) & (1 << 10), word(85) & (1 << 5), word(106)]).toEqual([1 << 10, 1 << 10, 0, 0x6003]);
    expect([swapped(27, 40), swapped(23, 8), swapped(10, 20)]).toEqual(['RSIO gate', '1.2.3', expect.stringMatching(/^[0-9a-f]{20}$/)]);
    expect([data[510], data.reduce((sum, byte) => (sum + byte) & 255, 0)]).toEqual([0xa5, 0]);
  });

  it('without permission, a write is refused and not executed, however the gate is asked', async () => {
    const { volume } = scene.add(0);
    expect(ataOf(await scene.askOne(writeSectors(0, pattern(512))))).toEqual(ABORTED);
    expect(ataOf(await scene.askOne(ata({ command: 0x30, sectors: 1, flags: 1, data: pattern(512) })))).toEqual(ABORTED);
    expect(ataOf(await scene.askOne(ata({ command: 0x34, sectors: 1, flags: 0x43, data: pattern(512) })))).toEqual(ABORTED);
    expect(ataOf(await scene.askOne(ata({ command: 0xe7 }))).status).toBe(0x40);
    expect(volume.seen).toEqual([]);
    // A snapshot is read-only, whatever the gate permits.
    scene.engine.hasUnsafeWrites = true;
    const snapshot = scene.add(1, { readonly: true }).volume;
    expect(ataOf(await scene.askOne(writeSectors(0, pattern(512), { slot: 1 })))).toEqual(ABORTED);
    expect(snapshot.seen).toEqual([]);
  });

  it('unsafe writes are on the disk before their answer, and need not be whole blocks', async () => {
    scene.engine.hasUnsafeWrites = true;
    const { volume } = scene.add(0, { blockSizeBytes: 4096 });
    expect(ataOf(await scene.askOne(writeSectors(5, pattern(8704))))).toEqual({ status: 0x40, error: 0, data: Buffer.alloc(0) });
    expect(volume.content.subarray(5 * 512, 22 * 512).equals(pattern(8704))).toBe(true);
    expect(ataOf(await scene.askOne(ata({ command: 0xea }))).status).toBe(0x40);
    expect(volume.seen).toEqual(['write 2560+8704 fua', 'flush 0+0']);
  });

  it.each([
    [STATUS.PAST_END, { status: 0x41, error: 0x10 }],
    [STATUS.IO_ERROR, { status: 0x41, error: 0x40 }],
    [STATUS.UNSUPPORTED, { status: 0x41, error: 0x04 }],
  ])('a read that ends with status %s', async (status, expected) => {
    const { volume } = scene.add(0);
    volume.fail = status;
    expect(ataOf(await scene.askOne(readSectors(0, 1)))).toEqual({ ...expected, data: Buffer.alloc(0) });
  });

  it.each([STATUS.STALE, STATUS.TAKEN, STATUS.OUTCOME_UNKNOWN, STATUS.SHUTTING_DOWN, STATUS.OUT_OF_MEMORY])(
    'nothing is said about a write that ended with status %s: the host sends it again',
    async (status) => {
      const { volume } = writable();
      volume.fail = status;
      expect(await scene.ask(writeSectors(0, pattern(512)))).toEqual([]);
    },
  );

  it('other commands are aborted', async () => {
    scene.add(0);
    for (const command of [0x00, 0x25, 0xb0, 0xef]) expect(ataOf(await scene.askOne(ata({ command })))).toEqual(ABORTED);
  });
});

describe('old frames (D1)', () => {
  it('a write that the kernel received too long ago is dropped, a read is not', async () => {
    const { volume } = writable();
    expect(await scene.ask(writeSectors(0, pattern(512)), AOE_WRITE_AGE_MS)).toHaveLength(1);
    expect(await scene.ask(writeSectors(0, pattern(512)), AOE_WRITE_AGE_MS + 1)).toEqual([]);
    // The clock was set: nothing is known about the age.
    expect(await scene.ask(writeSectors(0, pattern(512)), -AOE_WRITE_AGE_MS - 1)).toEqual([]);
    expect(await scene.ask(readSectors(0, 1), 60_000)).toHaveLength(1);
    expect(volume.seen).toEqual(['write 0+512 fua', 'read 0+512']);
    expect(scene.engine.counts.late).toBe(2);
  });

  it('a write is dropped if this process has stood still', async () => {
    const { volume } = writable();
    scene.hasStoodStill = true;
    expect(await scene.ask(writeSectors(0, pattern(512)))).toEqual([]);
    expect(await scene.ask(reserve(1, [HOST]))).toEqual([]);
    expect([volume.seen, scene.kept]).toEqual([[], []]);
  });
});

describe('bounds', () => {
  it('a volume that does not answer has a bounded number of commands, and other volumes go on', async () => {
    scene.add(0);
    const { volume } = scene.add(1);
    for (let tag = 0; tag < AOE_VOLUME_COMMANDS_MAX + 10; tag++) scene.give(readSectors(0, 1, { tag }));
    expect([scene.engine.inVolumes, scene.engine.counts.dropped]).toEqual([AOE_VOLUME_COMMANDS_MAX, 10]);
    scene.give(readSectors(0, 1, { slot: 1 }));
    expect(volume.underWay).toBe(1);
    scene.complete();
    expect(scene.replies()).toHaveLength(AOE_VOLUME_COMMANDS_MAX + 1);
    expect(scene.engine.inVolumes).toBe(0);
  });

  it('answers that the helper does not take are dropped, and the memory stays the same', async () => {
    scene.add(0);
    let release = (): void => undefined;
    scene.output.connect((_bytes, _lengthBytes, sent) => (release = sent));
    for (let round = 0; round < 10; round++) {
      for (let tag = 0; tag < AOE_VOLUME_COMMANDS_MAX; tag++) scene.give(readSectors(0, 17, { tag }));
      scene.complete();
      scene.clock.advance(0);
    }
    expect(scene.engine.counts.dropped).toBeGreaterThan(400);
    release();
    expect(await scene.ask(readSectors(0, 1))).toEqual([]);
    expect(scene.engine.inVolumes).toBe(0);
  });

  it('what a volume completes after the gate has ceased to offer it is not answered', () => {
    const { target } = scene.add(0);
    scene.give(readSectors(0, 1));
    target.isGone = true;
    scene.engine.targets.delete(0);
    scene.complete();
    expect(scene.replies()).toEqual([]);
  });
});
