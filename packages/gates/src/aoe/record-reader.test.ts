// Records of the helper, cut anywhere: each arrives whole, once and in order; a wrong length ends the reading.
// aoe-engine.test.ts tests what happens to the frames.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expect, it } from 'vitest';
import { AOE_FRAME_MAX_BYTES } from '../limits.ts';
import { RecordReader } from './record-reader.ts';

function record(text: Buffer, timeUs: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(8 + text.length);
  head.writeBigUInt64BE(BigInt(timeUs), 4);
  return Buffer.concat([head, text]);
}

function reader(): { readonly reader: RecordReader; readonly seen: string[] } {
  const seen: string[] = [];
  const made = new RecordReader({
    record: (bytes, start, end, timeUs) => seen.push(`${timeUs} ${bytes.toString('latin1', start, end)}`),
    broken: () => seen.push('broken'),
  });
  return { reader: made, seen };
}

it('records arrive whole and in order, however they are cut', () => {
  const texts = Array.from({ length: 30 }, (_, index) => 'x'.repeat(index * index).padEnd(index === 7 ? AOE_FRAME_MAX_BYTES : 0, 'y'));
  const all = Buffer.concat(texts.map((text, index) => record(Buffer.from(text), 2 ** 40 + index)));
  for (let seed = 1; seed <= 50; seed++) {
    const random = new SeededRandom(seed);
    const { reader: one, seen } = reader();
    for (let at = 0; at < all.length; ) {
      const end = Math.min(all.length, at + random.pick([1, 3, 20, 400, 9_000, 60_000]));
      const part = Buffer.from(all.subarray(at, end));
      one.receive(part, part.length);
      part.fill(0);
      at = end;
    }
    expect(seen).toEqual(texts.map((text, index) => `${2 ** 40 + index} ${text}`));
  }
});

it.each([0, 7, 8 + AOE_FRAME_MAX_BYTES + 1, 2 ** 32 - 1])('a record of the length %s ends the reading, whole or in parts', (length) => {
  const bad = Buffer.alloc(40);
  bad.writeUInt32BE(length);
  const both = Buffer.concat([record(Buffer.from('good'), 1), bad, record(Buffer.from('late'), 2)]);
  const whole = reader();
  whole.reader.receive(both, both.length);
  const parts = reader();
  for (const byte of both) parts.reader.receive(Buffer.from([byte]), 1);
  expect([whole.seen, parts.seen]).toEqual([
    ['1 good', 'broken'],
    ['1 good', 'broken'],
  ]);
});

it('after the end, nothing is passed on, not even the rest of what is being read', () => {
  const seen: string[] = [];
  const one = new RecordReader({
    record: (bytes, start, end) => {
      seen.push(bytes.toString('latin1', start, end));
      one.end();
    },
    broken: () => seen.push('broken'),
  });
  const both = Buffer.concat([record(Buffer.from('a'), 1), record(Buffer.from('b'), 1)]);
  one.receive(both, both.length);
  one.receive(both, both.length);
  expect(seen).toEqual(['a']);
});
