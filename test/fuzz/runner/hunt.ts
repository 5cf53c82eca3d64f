// One seed of one target: makes its input, runs it, and reduces a finding. campaign.ts distributes the seeds over cores. Invariant: a
// target gets a copy of the input, so that it cannot change the original.

import { systemClock } from '@rsio/common/lib/clock';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import type { FuzzTarget } from '../fixtures/fuzz-target.ts';
import { minimised } from './minimise.ts';

const MINIMISE_MS = 15_000;

export interface FuzzFinding {
  readonly target: string;
  readonly seed: number;
  /** The error, with its origin. */
  readonly what: string;
  /** Smallest input with this finding. */
  readonly inputHex: string;
}

export function inputOf(target: FuzzTarget, seed: number): Buffer {
  return target.make(new SeededRandom(seed));
}

/** Returns the error that the target throws for the input, as text; null: none, and `isDeep` is valid. */
export async function tried(target: FuzzTarget, input: Buffer): Promise<{ thrown: string | null; isDeep: boolean }> {
  try {
    return { thrown: null, isDeep: await target.run(Buffer.from(input)) };
  } catch (error) {
    return { thrown: error instanceof Error ? (error.stack ?? error.message) : String(error), isDeep: false };
  }
}

/** Reduces the input of a finding. The text of the error may change in between, but not its kind. */
export async function findingOf(target: FuzzTarget, seed: number, thrown: string): Promise<FuzzFinding> {
  const isSame = async (input: Buffer): Promise<boolean> => {
    const again = await tried(target, input);
    return again.thrown !== null && kindOf(again.thrown) === kindOf(thrown);
  };
  const input = inputOf(target, seed);
  const small = (await isSame(input)) ? await minimised(input, target.pieces, isSame, systemClock, MINIMISE_MS) : input;
  return { target: target.name, seed, what: thrown, inputHex: small.toString('hex') };
}

/** The first line without its numbers and quotations. */
function kindOf(thrown: string): string {
  const [first = ''] = thrown.split('\n');
  return first.replaceAll(/"[^"]*"|\d+/g, '?');
}

export function findingText({ target, seed, what, inputHex }: FuzzFinding): string {
  return `FINDING ${target} seed ${seed}: ${what}\n  input: ${inputHex}\n  again: pnpm fuzz --target ${target} --seed ${seed}`;
}
