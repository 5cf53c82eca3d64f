// Negotiation option by option, compared with golden bytes and with answers decoded by testing/nbd-client.ts; and arbitrary option data in
// arbitrary pieces. The transmission phase is tested in nbd-connection.test.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NBD_CONTEXTS_LISTED_MAX, NBD_CONTEXTS_SELECTED_MAX, NBD_OPTION_MAX_BYTES } from '../limits.ts';
import { exportName } from './wire/export-names.ts';
import { type HandshakeStep, NbdHandshake } from './nbd-handshake.ts';
import { NbdOptionDecoder, type OptionSink } from './wire/nbd-option-decoder.ts';
import { greeting, transmissionFlags } from './wire/nbd-option-replies.ts';
import { MemoryVolume } from './testing/memory-volume.ts';
import { contexts, named, optionAnswers, optionBytes, u32 } from './testing/nbd-client.ts';

const ACK = 1;
const ERR = { UNSUP: 0x80000001, INVALID: 0x80000003, UNKNOWN: 0x80000006, TOO_BIG: 0x80000009 };

const oracle = new MemoryVolume({ sizeBytes: 1024 * 1024 });
const archive = new MemoryVolume({ name: 'archive', universe: 1, readonly: true, sizeBytes: 8192, blockSizeBytes: 4096 });

function handshake(): NbdHandshake {
  return new NbdHandshake({ list: () => [oracle, archive] });
}

function types(step: HandshakeStep): number[] {
  return step.reply === null ? [] : optionAnswers(step.reply).map((answer) => answer.type);
}

/** Returns a short text for a step, because a comparison of steps would compare the contents of their volumes. */
function next(step: HandshakeStep): string {
  if (typeof step.next === 'string') return step.next;
  const { volume, isStructured: structured, contexts: selected, mayUseAnyRange: anyRange } = step.next;
  return `${exportName(volume)}${structured ? ' structured' : ''}${selected.map(({ name }) => ` ${name.replace('base:', '')}`).join('')}${anyRange ? '' : ' whole blocks'}`;
}

describe('greeting and transmission flags', () => {
  it('match their golden bytes', () => {
    expect(greeting().toString('hex')).toBe('4e42444d41474943' + '49484156454f5054' + '0003');
  });

  it('offer the abilities of the volume', () => {
    expect(transmissionFlags(oracle, false)).toBe(0b1101_0110_1101);
    expect(transmissionFlags(oracle, true)).toBe(0b1101_1110_1101);
    expect(transmissionFlags(archive, false)).toBe(0b101_0000_1111);
    expect(transmissionFlags(new MemoryVolume({ canDiscard: false }), false)).toBe(0b1101_0100_1101);
  });
});

describe('NbdHandshake', () => {
  it('refuses flags that it did not offer', () => {
    expect(handshake().clientFlags(3).next).toBe('option');
    expect(handshake().clientFlags(4).next).toBe('close');
  });

  it('answers EXPORT_NAME with size, flags and the padding unless the client declines it', () => {
    const padded = handshake();
    padded.clientFlags(1);
    const step = padded.option(1, Buffer.from('osl/oracle'));
    expect(step.reply?.toString('hex')).toBe(`00000000001000000d6d${'00'.repeat(124)}`);
    expect(next(step)).toBe('osl/oracle');
    const bare = handshake();
    bare.clientFlags(3);
    expect(bare.option(1, Buffer.from('oracle')).reply?.length).toBe(10);
  });

  it('closes on EXPORT_NAME of an unknown export, because that option has no error reply', () => {
    expect(handshake().option(1, Buffer.from('nothing'))).toEqual({ reply: null, next: 'close' });
    expect(handshake().option(1, null)).toEqual({ reply: null, next: 'close' });
  });

  it('lists every volume once under its full name', () => {
    const answers = optionAnswers(handshake().option(3, Buffer.alloc(0)).reply ?? Buffer.alloc(0));
    expect(answers.map((answer) => answer.type)).toEqual([2, 2, ACK]);
    const name = (data: Buffer): string => data.toString('utf8', 4, 4 + data.readUInt32BE(0));
    expect(answers.slice(0, 2).map((answer) => name(answer.data))).toEqual(['osl/oracle', 'osl/archive@1']);
    expect(types(handshake().option(3, Buffer.from('x')))).toEqual([ERR.INVALID]);
  });

  it('reports size, block sizes, name and description', () => {
    const step = handshake().option(6, named('osl/archive@1', [1, 2, 3]));
    const infos = optionAnswers(step.reply ?? Buffer.alloc(0)).slice(0, -1);
    expect(infos.map((answer) => answer.data.toString('hex', 0, 2))).toEqual(['0000', '0003', '0001', '0002']);
    expect(infos[0]?.data.toString('hex')).toBe('0000' + '0000000000002000' + '050f');
    expect(infos[1]?.data.toString('hex')).toBe('0003' + '00001000' + '00001000' + '02000000');
    expect(infos[2]?.data.toString('utf8', 2)).toBe('osl/archive@1');
    expect(infos[3]?.data.toString('utf8', 2)).toBe('Volume archive of namespace osl, universe 1, read-only');
    expect(step.next).toBe('option');
  });

  it('starts the transmission with GO, and names the attached volumes if the export does not exist', () => {
    const shaking = handshake();
    expect(next(shaking.option(7, named('oracle')))).toBe('osl/oracle');
    const refused = optionAnswers(handshake().option(7, named('nothing')).reply ?? Buffer.alloc(0));
    expect(refused.map((answer) => answer.type)).toEqual([ERR.UNKNOWN]);
    expect(refused[0]?.data.toString()).toBe('No export "nothing": attached are osl/oracle, osl/archive@1');
  });

  it("holds a client that asked for an export's block sizes to those of this export, and to no others", () => {
    const shaking = handshake();
    expect(next(shaking.option(6, named('oracle', [3])))).toBe('option');
    expect(next(shaking.option(7, named('osl/archive@1', [])))).toBe('osl/archive@1');
    expect(next(shaking.option(7, named('oracle', [])))).toBe('osl/oracle whole blocks');
  });

  it('refuses names and queries whose lengths do not add up', () => {
    for (const data of [Buffer.alloc(0), u32(7, 0), Buffer.concat([named('oracle'), Buffer.alloc(1)]), u32(0xffffffff, 0, 0)]) {
      expect(types(handshake().option(7, data))).toEqual([ERR.INVALID]);
    }
    const long = contexts('oracle', ['base:allocation']);
    for (const data of [Buffer.alloc(3), long.subarray(0, -1), Buffer.concat([long, Buffer.alloc(1)]), u32(0, 0xffffffff)]) {
      expect(types(handshake().option(9, data))).toEqual([ERR.INVALID]);
    }
  });

  it('selects base:allocation for the requested export, after structured replies', () => {
    const query = contexts('oracle', ['base:allocation', 'qemu:dirty-bitmap:x']);
    const shaking = handshake();
    expect(types(shaking.option(10, query))).toEqual([ERR.INVALID]);
    expect(types(shaking.option(8, Buffer.alloc(0)))).toEqual([ACK]);
    expect(types(shaking.option(10, query))).toEqual([4, ACK]);
    expect(next(shaking.option(7, named('osl/oracle')))).toBe('osl/oracle structured allocation');
    expect(next(shaking.option(7, named('osl/archive@1')))).toBe('osl/archive@1 structured');
    expect(types(shaking.option(10, contexts('oracle', ['base:'])))).toEqual([ACK]);
    expect(next(shaking.option(7, named('oracle')))).toBe('osl/oracle structured');
  });

  it('lists contexts by wildcard, by name and without any query', () => {
    for (const queries of [[], ['base:'], ['base:allocation', 'x:y']]) {
      expect(types(handshake().option(9, contexts('oracle', queries)))).toEqual([4, ACK]);
    }
    expect(types(handshake().option(9, contexts('oracle', ['qemu:'])))).toEqual([ACK]);
    expect(types(handshake().option(9, contexts('nothing', [])))).toEqual([ERR.UNKNOWN]);
  });

  it('lists and selects the older snapshots of a snapshot as dirty bitmaps, a bounded number of them', () => {
    const olderSnapshots = Array.from({ length: NBD_CONTEXTS_LISTED_MAX + 2 }, (_, index) => ({ name: `s${index}`, id: `id${index}` }));
    const snapshot = new MemoryVolume({ name: 'oracle@now', readonly: true, olderSnapshots });
    const shaking = new NbdHandshake({ list: () => [oracle, snapshot] });
    shaking.clientFlags(3);
    shaking.option(8, Buffer.alloc(0));
    const names = (option: number, queries: readonly string[]): string[] =>
      optionAnswers(shaking.option(option, contexts('osl/oracle@now', queries)).reply ?? Buffer.alloc(0)).flatMap(({ type, data }) =>
        type === 4 ? [data.toString('latin1', 4)] : [],
      );
    const last = `qemu:dirty-bitmap:s${NBD_CONTEXTS_LISTED_MAX + 1}`;
    expect(names(9, [])).toHaveLength(1 + NBD_CONTEXTS_LISTED_MAX);
    expect(names(9, ['qemu:'])).toHaveLength(NBD_CONTEXTS_LISTED_MAX);
    expect(names(9, [last, 'qemu:dirty-bitmap:x'])).toEqual([last]);
    expect(names(10, ['qemu:dirty-bitmap:s1', last, 'qemu:dirty-bitmap:x', 'qemu:', 'base:allocation', last])).toEqual([
      'qemu:dirty-bitmap:s1',
      last,
      'base:allocation',
    ]);
    expect(next(shaking.option(7, named('osl/oracle@now', [3])))).toBe(
      `osl/oracle@now structured qemu:dirty-bitmap:s1 ${last} allocation whole blocks`,
    );
    expect(
      names(
        10,
        olderSnapshots.map(({ name }) => `qemu:dirty-bitmap:${name}`),
      ),
    ).toHaveLength(NBD_CONTEXTS_SELECTED_MAX);
  });

  it('refuses unknown options, and excess data of known ones', () => {
    for (const option of [4, 5, 11, 12345]) expect(types(handshake().option(option, Buffer.alloc(0)))).toEqual([ERR.UNSUP]);
    expect(types(handshake().option(7, null))).toEqual([ERR.TOO_BIG]);
    expect(next(handshake().option(2, null))).toBe('close');
  });
});

class OptionRecorder implements OptionSink {
  readonly events: string[] = [];

  clientFlags(flags: number): void {
    this.events.push(`flags ${flags}`);
  }

  option(option: number, data: Buffer | null): void {
    this.events.push(`${option} ${data === null ? 'too long' : data.toString('latin1')}`);
  }

  badOption(): void {
    this.events.push('bad');
  }
}

describe('NbdOptionDecoder', () => {
  const stream = Buffer.concat([
    u32(3),
    optionBytes(8),
    optionBytes(7, Buffer.from('some data')),
    optionBytes(9, Buffer.alloc(NBD_OPTION_MAX_BYTES + 1)),
    optionBytes(2),
  ]);
  const events = ['flags 3', '8 ', '7 some data', '9 too long', '2 '];

  function feedAll(decoder: NbdOptionDecoder, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at = decoder.feed(bytes, at, bytes.length);
  }

  it('gives the same events whole, byte by byte and in any cuts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 })), fc.boolean(), (cuts, single) => {
        const sink = new OptionRecorder();
        const decoder = new NbdOptionDecoder(sink);
        let at = 0;
        for (const cut of single ? new Array<number>(stream.length).fill(1) : [...cuts, stream.length]) {
          feedAll(decoder, stream.subarray(at, at + cut));
          at += cut;
        }
        expect(sink.events).toEqual(events);
      }),
      { numRuns: 30 },
    );
  });

  it('takes one event at a time', () => {
    const sink = new OptionRecorder();
    const decoder = new NbdOptionDecoder(sink);
    expect(decoder.feed(stream, 0, stream.length)).toBe(4);
    expect(decoder.feed(stream, 4, stream.length)).toBe(20);
    expect(sink.events).toEqual(['flags 3', '8 ']);
  });

  it('decodes nothing after a bad option', () => {
    const sink = new OptionRecorder();
    feedAll(new NbdOptionDecoder(sink), Buffer.concat([u32(1), Buffer.alloc(16, 7), optionBytes(2)]));
    expect(sink.events).toEqual(['flags 1', 'bad']);
  });
});
