// Decides on the rounds of a move, and where an interrupted move continues. This module is pure, and volume-moves.ts carries the decisions
// out. Invariant: a copy is continued only if it certainly has the content of `next` up to the saved position, and the content of `base`
// after this position.

import type { MoveState } from '../job-record.ts';
import { LITTLE_BYTES, ROUNDS_MAX, SHRINK_SHARE, SWITCH_COPY_MAX_BYTES, SWITCH_COPY_MS } from '../limits.ts';

/** Stamps of the files of a move; null for a file that does not exist. */
export interface MoveStamps {
  readonly copy: string | null;
  readonly base: string | null;
  readonly next: string | null;
}

/**
 * Decides where an interrupted move continues. `go-on` means to continue from the saved state. `copied` means that the copy has all of
 * `next`, and that `next` was already renamed to `base`. `clone-again` means to make a new `next`, because no data of `next` was copied.
 * `restart` means to start over, because the files are not the files that the state names.
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

/**
 * Decides what follows a round: another round, the switch, or an error because the clients write faster than the server copies
 * (`too-fast`).
 */
export function afterRound({ number, bytes, previousBytes, bytesPerSecond }: Round): 'again' | 'switch' | 'too-fast' {
  if (previousBytes === null) return 'again';
  if (bytes <= LITTLE_BYTES) return 'switch';
  const isShrinking = bytes <= previousBytes * SHRINK_SHARE;
  if (isShrinking && number < ROUNDS_MAX) return 'again';
  if (bytes <= switchMaxBytes(bytesPerSecond)) return 'switch';
  return number < ROUNDS_MAX ? 'again' : 'too-fast';
}

/** Returns the maximum number of bytes that may be copied while the clients wait. */
export function switchMaxBytes(bytesPerSecond: number): number {
  return Math.min(SWITCH_COPY_MAX_BYTES, Math.max(LITTLE_BYTES, (bytesPerSecond * SWITCH_COPY_MS) / 1_000));
}
