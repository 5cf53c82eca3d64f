// Divides a limit among the sessions that use it. Pure. Invariants: the shares add up to 1 at most; a session gets what it needs or as much as
// any other; one that needs nothing keeps a little, so that it can begin at once; what nobody needs is divided evenly.

import { SHARE_HEADROOM, SHARE_IDLE, SHARE_IDLE_TOTAL } from './limits.ts';

/** `uses`: of each session the part of the limit that it uses, or Infinity if it could use more than it has. Returns the share of each. */
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
