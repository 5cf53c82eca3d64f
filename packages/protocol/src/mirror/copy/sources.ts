// Chooses the replicas from which a piece may be copied (rules M7, M12 and M21). Pure. Invariant: until all regions were settled once in
// this term, a piece is settled only from a replica that lacks no more than any other replica in sync (Q10), even if no such replica can be
// read now. Otherwise, an answered write that only one replica still has could be reverted there. Rules: M7.

import type { Term } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { CopyIo, CopyView } from './copy-ports.ts';

type ReplicaView = CopyView['replicas'][number];

/**
 * `settle`: all replicas in sync are made equal for the first time in this term; `resettle`: they were equal before; `resync`: a replica
 * returns.
 */
export type CopyKind = 'settle' | 'resettle' | 'resync';

/**
 * Returns the identities of the replicas from which a piece that ends at `endBytes` may be read now, the best one first. Replicas whose
 * volume reached `endBytes` when it was opened come first (M21); in both groups, the least loaded replica comes first.
 */
export function sourcesOf(view: CopyView, kind: CopyKind, endBytes: number, io: Pick<CopyIo, 'tenureOf' | 'loadOf'>): string[] {
  const allowed = kind === 'settle' ? leastLacking(view.replicas, endBytes) : view.replicas;
  const ready = allowed.filter(
    ({ role, counts, reads, identity }) => role === 'member' && counts && (reads || kind !== 'resync') && io.tenureOf(identity) !== null,
  );
  const isShort = ({ foundBytes }: ReplicaView): number => (foundBytes < endBytes ? 1 : 0);
  ready.sort((a, b) => isShort(a) - isShort(b) || io.loadOf(a.identity) - io.loadOf(b.identity));
  return ready.map(({ identity }) => identity);
}

/**
 * Returns the replicas in sync that lack no more than any other replica in sync. A replica without a session is compared, too, because it
 * may return before it is removed. Replicas that did not reach `endBytes` are compared only if no other replica has this part.
 */
export function leastLacking(replicas: readonly ReplicaView[], endBytes: number): ReplicaView[] {
  const counting = replicas.filter(({ role, counts }) => counts && (role === 'member' || role === 'leaving'));
  const reaching = counting.filter(({ foundBytes }) => foundBytes >= endBytes);
  const compared = reaching.length > 0 ? reaching : counting;
  return compared.filter((one) => compared.every((other) => compareLacks(one.lacksTerm, other.lacksTerm) <= 0));
}

/**
 * Orders two replicas by the writes that they may lack. A replica that lacks none comes first, then a replica whose server, of an earlier
 * release, does not report a term, then all others, ordered by the term.
 */
function compareLacks(a: Term | null | undefined, b: Term | null | undefined): number {
  if (a !== null && a !== undefined && b !== null && b !== undefined) return compareTerms(a, b);
  return rankOf(a) - rankOf(b);
}

function rankOf(lacks: Term | null | undefined): number {
  if (lacks === null) return 0;
  return lacks === undefined ? 1 : 2;
}
