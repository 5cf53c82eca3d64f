// Inputs of targets that need more than one stream of bytes: a list of steps, each with a kind, a number and bytes. Each sequence of bytes
// is a valid script, so mutations may change any byte. The target defines the meaning of each kind.
//
//   kind (u8) | argument (u8) | length (u16) | length bytes, or what is left

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { mutated, reordered } from './mutator.ts';

export interface Step {
  readonly kind: number;
  readonly arg: number;
  readonly bytes: Buffer;
}

const HEAD_BYTES = 4;
const STEP_MAX_BYTES = 0xffff;
/** A script runs at most this many steps, because a run must end. */
const STEPS_MAX = 400;
const NOTHING = Buffer.alloc(0);

export function step(kind: number, arg = 0, bytes: Buffer = NOTHING): Step {
  return { kind, arg, bytes: bytes.subarray(0, STEP_MAX_BYTES) };
}

export function encodeStep({ kind, arg, bytes }: Step): Buffer {
  const head = Buffer.from([kind & 0xff, arg & 0xff, bytes.length >>> 8, bytes.length]);
  return Buffer.concat([head, bytes]);
}

export function encodeScript(steps: readonly Step[]): Buffer {
  return Buffer.concat(steps.map(encodeStep));
}

export function readScript(input: Buffer): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at + HEAD_BYTES <= input.length && steps.length < STEPS_MAX; ) {
    const end = Math.min(input.length, at + HEAD_BYTES + input.readUInt16BE(at + 2));
    steps.push({ kind: input[at]!, arg: input[at + 1]!, bytes: input.subarray(at + HEAD_BYTES, end) });
    at = end;
  }
  return steps;
}

/** Splits a script for the minimiser, which leaves out whole steps. */
export function scriptPieces(input: Buffer): Buffer[] {
  return readScript(input).map(encodeStep);
}

/** Encodes valid steps as a script. Sometimes the bytes or the order of the steps, or the whole script, are mutated. */
export function mutatedScript(random: SeededRandom, steps: readonly Step[], others: () => Step): Buffer {
  const way = random.int(0, 9);
  if (way < 3) return encodeScript(steps);
  if (way < 6) {
    const wrong = random.chance(0.5) ? 1 : 2;
    const at = new Set(Array.from({ length: wrong }, () => random.int(0, Math.max(0, steps.length - 1))));
    return encodeScript(steps.map((one, index) => (at.has(index) ? step(one.kind, one.arg, mutated(random, one.bytes)) : one)));
  }
  if (way < 9) return encodeScript(reordered(random, steps, others));
  return mutated(random, encodeScript(steps));
}
