// Decides about the rounds of a move, and where an interrupted one goes on. Pure: volume-moves.ts carries the decisions out. Invariant: the
// copy goes on only from a state in which it certainly has all of `base`, and of `next` all that differs up to the position.

import type { MoveState } from '../job-record.ts';
import { LITTLE_BYTES, ROUNDS_MAX, SHRINK_SHARE, SWITCH_COPY_MAX_BYTES, SWITCH_COPY_MS } from './limits.ts';

/** The files that are there. */
export interface MoveStamps {
  readonly copy: string | null;
  readonly base: string | null;
  readonly next: string | null;
}

/**
 * `go-on`: as the state says. `copied`: the copy has all of `next`, which was just renamed to `base`. `clone-again`: nothing was copied of
 * `next`. `restart`: the files are not those of the state, so that nothing is known of the copy.
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
