// What a fuzz target is: it makes inputs from a seed, and runs any bytes. How many, on which cores, and what becomes of a finding is
// the campaign's. Invariant: an input decides everything that a run does, so that the same bytes find the same thing again.

import { RsError } from '@rsio/common/lib/errors';
import type { SeededRandom } from '@rsio/common/testing/seeded-random';

export interface FuzzTarget {
  readonly name: string;
  /** What an input must have got past to be counted as deep: a target that only sees refusals finds nothing. */
  readonly deep: string;
  /** How many of the seeds from 1 on every test run takes. */
  readonly fixedSeeds: number;
  make(random: SeededRandom): Buffer;
  /** Throws on a finding, and on nothing else. True: the input was deep. */
  run(input: Buffer): boolean | Promise<boolean>;
  /** The input in pieces that can be left out one by one; without it, bytes are. */
  readonly pieces?: (input: Buffer) => Buffer[];
}

/** Says a finding when `isFine` is false. */
export function expectThat(isFine: boolean, sentence: string): asserts isFine {
  if (!isFine) throw new Error(`Finding: ${sentence}`);
}

/** Control characters, and those that turn the direction of text: nothing that came from outside may carry one to a terminal. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

export function expectPrintable(text: string, what: string): void {
  expectThat(!UNPRINTABLE.test(text), `${what} holds a control character: ${JSON.stringify(text.slice(0, 200))}`);
}

/**
 * What `attempt` gives, or null when it was refused as it should be: an RsError with one of these codes whose sentence is fit for a
 * terminal. Anything else that is thrown is a finding.
 */
export function orRefused<T>(codes: readonly string[], attempt: () => T): T | null {
  try {
    return attempt();
  } catch (thrown) {
    expectRefusal(codes, thrown);
    return null;
  }
}

export function expectRefusal(codes: readonly string[], thrown: unknown): void {
  if (!(thrown instanceof RsError)) throw thrown;
  expectThat(codes.includes(thrown.code), `refused with ${thrown.code}, which is none of ${codes.join(', ')}: ${thrown.message}`);
  expectPrintable(thrown.message, 'an error');
}
