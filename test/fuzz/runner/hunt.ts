// Runs one seed of one target: makes the input, runs it, and reduces the input if there is a finding. campaign.ts distributes the seeds
// over cores. Invariant: a target gets a copy of the input, so that it cannot change the original.

import { systemClock } from '@rsio/base/lib/clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { FuzzTarget } from '../fixtures/fuzz-target.ts';
import { minimised } from './minimise.ts';

const MINIMISE_MS = 15_000;

export interface FuzzFinding {
  readonly target: string;
  readonly seed: number;
  /** The error with its place in the code. */
  readonly what: string;
  /** The smallest input that was found to give this finding. */
  readonly inputHex: string;
}

export function inputOf(target: FuzzTarget, seed: number): Buffer {
  return target.make(new SeededRandom(seed));
}

/**
 * Runs the input. `thrown`: the error that the target has thrown, as text. Null: the target threw no error. `isDeep` is valid only if the
 * target threw no error.
 */
export async function tried(target: FuzzTarget, input: Buffer): Promise<{ thrown: string | null; isDeep: boolean }> {
  try {
    return { thrown: null, isDeep: await target.run(Buffer.from(input)) };
  } catch (error) {
    return { thrown: error instanceof Error ? (error.stack ?? error.message) : String(error), isDeep: false };
  }
}

/** Reduces the input of a finding. A smaller input counts if its error is of the same kind, even if the text differs. */
export async function findingOf(target: FuzzTarget, seed: number, thrown: string): Promise<FuzzFinding> {
  const isSame = async (input: Buffer): Promise<boolean> => {
    const again = await tried(target, input);
    return again.thrown !== null && kindOf(again.thrown) === kindOf(thrown);
  };
  const input = inputOf(target, seed);
  const small = (await isSame(input)) ? await minimised(input, target.pieces, isSame, systemClock, MINIMISE_MS) : input;
  return { target: target.name, seed, what: thrown, inputHex: small.toString('hex') };
}

/** Returns the kind of an error: the first line of its text without numbers and quotations. */
function kindOf(thrown: string): string {
  const [first = ''] = thrown.split('\n');
  return first.replaceAll(/"[^"]*"|\d+/g, '?');
}

export function findingText({ target, seed, what, inputHex }: FuzzFinding): string {
  return `FINDING ${target} seed ${seed}: ${what}\n  input: ${inputHex}\n  again: pnpm fuzz --target ${target} --seed ${seed}`;
}
