// Decides on the rounds of a move, and where an interrupted move continues. Pure: volume-moves.ts carries the decisions out. Invariant: a
// copy is continued only if it certainly has the content of `base`, and that of `next` up to the saved position.

import type { MoveState } from '../job-record.ts';
import { LITTLE_BYTES, ROUNDS_MAX, SHRINK_SHARE, SWITCH_COPY_MAX_BYTES, SWITCH_COPY_MS } from '../limits.ts';

/** Stamps of the files that exist; null for a file that does not. */
export interface MoveStamps {
  readonly copy: string | null;
  readonly base: string | null;
  readonly next: string | null;
}

/**
 * `go-on`: continue from the state. `copied`: the copy has all of `next`, and `next` was renamed to `base`. `clone-again`: make a new
 * `next`, because none of it was copied. `restart`: start over, because these are other files than those of the state.
 */
export function resumePoint(state: MoveState | null, found: MoveStamps): 'go-on' | 'copied' | 'clone-again' | 'restart' {
  if (state === null || found.copy === null || found.copy !== state.copyStamp) return 'restart';
  if (state.nextStamp !== null && found.next === null && found.base === state.nextStamp) return 'copied';
  if (found.base !== state.baseStamp) return 'restart';
  if (found.next === state.nextStamp) return 'go-on';
  return state.nextStamp === null ? 'clone-again' : 'restart';
}

/** A round that has ended. */
export interface Round {
  readonly number: number;
  readonly bytes: number;
  readonly previousBytes: number | null;
  readonly bytesPerSecond: number;
}

/** `too-fast`: the clients write faster than the server copies. */
export function afterRound({ number, bytes, previousBytes, bytesPerSecond }: Round): 'again' | 'switch' | 'too-fast' {
  if (previousBytes === null) return 'again';
  if (bytes <= LITTLE_BYTES) return 'switch';
  const isShrinking = bytes <= previousBytes * SHRINK_SHARE;
  if (isShrinking && number < ROUNDS_MAX) return 'again';
  if (bytes <= switchMaxBytes(bytesPerSecond)) return 'switch';
  return number < ROUNDS_MAX ? 'again' : 'too-fast';
}

/** Most bytes that may be copied while the clients wait. */
export function switchMaxBytes(bytesPerSecond: number): number {
  return Math.min(SWITCH_COPY_MAX_BYTES, Math.max(LITTLE_BYTES, (bytesPerSecond * SWITCH_COPY_MS) / 1_000));
}
