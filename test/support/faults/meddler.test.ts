// Tests the middleman: each kind of manipulation has exactly the effect that its name says, and the seed decides where in the stream it
// happens. Invariant: the tests use no sockets, so that a result depends on the seed alone.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, it } from 'vitest';
import { type Meddled, Meddler, type MeddlerPlan, MEDDLINGS } from './meddler.ts';

const SEED = 19;
const CHUNKS = 400;
const CHUNK_BYTES = 1000;

/** Each byte depends on its position, so that a test detects missing and repeated bytes. */
const INPUT = Buffer.from(Array.from({ length: CHUNKS * CHUNK_BYTES }, (_, at) => (at * 31 + (at >> 8)) & 0xff));

function run(plan: Partial<MeddlerPlan>, seed = SEED): { output: Buffer; ending: Meddled['ending']; meddler: Meddler } {
  const random = new SeededRandom(seed);
  const meddler = new Meddler({ kinds: MEDDLINGS, everyBytes: 20_000, ...plan }, () => random.unit());
  const hand = meddler.hand();
  const output: Buffer[] = [];
  for (let at = 0; at < INPUT.length; at += CHUNK_BYTES) {
    const { pieces, ending } = hand.pass(INPUT.subarray(at, at + CHUNK_BYTES));
    output.push(...pieces);
    if (ending !== null) return { output: Buffer.concat(output), ending, meddler };
  }
  return { output: Buffer.concat(output), ending: null, meddler };
}

describe('each kind alone', () => {
  it('flip: as many bits differ as were counted', () => {
    const { output, meddler } = run({ kinds: ['flip'] });
    expect(output.length).toBe(INPUT.length);
    const differing = output.reduce((sum, byte, at) => sum + Number(byte !== INPUT[at]), 0);
    expect(meddler.counts.flip).toBeGreaterThan(5);
    expect(differing).toBe(meddler.counts.flip);
  });

  it('drop: bytes are missing, and what follows comes', () => {
    const { output, meddler } = run({ kinds: ['drop'] });
    expect(meddler.counts.drop).toBeGreaterThan(5);
    expect(output.length).toBeLessThan(INPUT.length);
    expect(output.subarray(-1).equals(INPUT.subarray(-1))).toBe(true);
  });

  it('replay: nothing is missing, and bytes that passed come again', () => {
    const { output, meddler } = run({ kinds: ['replay'], max: 1 });
    const more = output.length - INPUT.length;
    const at = output.findIndex((byte, index) => byte !== INPUT[index]);
    expect(meddler.counts.replay).toBe(1);
    expect(more).toBeGreaterThan(0);
    expect(INPUT.subarray(0, at + CHUNK_BYTES).includes(output.subarray(at, at + 16))).toBe(true);
    expect(output.subarray(at + more).equals(INPUT.subarray(at))).toBe(true);
  });

  it('cut: the output is a prefix', () => {
    const { output, ending, meddler } = run({ kinds: ['cut'] });
    expect(ending).not.toBeNull();
    expect(meddler.total).toBe(1);
    expect(output.equals(INPUT.subarray(0, output.length))).toBe(true);
  });
});

it('the same seed does the same, another one does not', () => {
  const kinds = ['flip', 'drop', 'replay'] as const;
  expect(run({ kinds }).output.equals(run({ kinds }).output)).toBe(true);
  expect(run({ kinds }).output.equals(run({ kinds }, SEED + 1).output)).toBe(false);
});

it('early: the first manipulation of a connection is among the bytes of its handshake', () => {
  const { output, meddler } = run({ kinds: ['flip'], earlyShare: 1, max: 1 });
  expect(meddler.early).toBe(1);
  expect(output.findIndex((byte, at) => byte !== INPUT[at])).toBeLessThanOrEqual(700);
});

it('after the last permitted manipulation the stream is left alone', () => {
  const { meddler } = run({ kinds: ['flip'], everyBytes: 1000, max: 3 });
  expect(meddler.total).toBe(3);
});
