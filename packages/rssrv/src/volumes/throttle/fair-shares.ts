// Divides a limit among the sessions that use it (max-min fairness). Pure. Invariants: the shares add up to at most 1. A session gets as
// much as it needs, or at least as much as every other session. An idle session keeps a little, so that its first request need not wait.
// The rest of the limit is divided evenly among the sessions.

import { SHARE_HEADROOM, SHARE_IDLE, SHARE_IDLE_TOTAL } from '../limits.ts';

/** `uses`: the part of the limit that each session uses, or Infinity if the session wants more than its share. Returns the shares. */
export function fairShares(uses: readonly number[]): number[] {
  const { length } = uses;
  const least = Math.min(SHARE_IDLE, SHARE_IDLE_TOTAL / length);
  const needs = uses.map((use) => Math.max(least, use * SHARE_HEADROOM));
  const order = [...needs.keys()].toSorted((a, b) => needs[a]! - needs[b]!);
  const shares = new Array<number>(length).fill(0);
  let left = 1;
  for (const [done, index] of order.entries()) {
    const share = Math.min(needs[index]!, left / (length - done));
    shares[index] = share;
    left -= share;
  }
  return left <= 0 ? shares : shares.map((share) => share + left / length);
}
