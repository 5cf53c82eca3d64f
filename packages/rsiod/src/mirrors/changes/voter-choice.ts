// Chooses which servers vote for a mirror after a change of its replicas. Pure. Invariants: the server of each replica votes; two servers vote
// only if each has a replica, because a mirror needs both of two voters.

import { VOTERS_MAX } from './limits.ts';

/** `witnesses`: servers that may vote without a replica, the best first. */
export function votersFor(replicas: readonly number[], witnesses: readonly number[]): number[] {
  const others = witnesses.filter((one) => !replicas.includes(one));
  const voters = [...replicas, ...others.slice(0, Math.max(0, VOTERS_MAX - replicas.length))];
  return replicas.length === 1 && voters.length === 2 ? [...replicas] : voters;
}
