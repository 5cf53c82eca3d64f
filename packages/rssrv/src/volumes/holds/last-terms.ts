// Remembers the last term under which a client could write to a replica of a mirror, and the last incarnation in which the storage had
// all writes of this term (docs/PROTOCOL.md Q10). Pure. hold-rules.ts changes this memory together with the holds. The memory stays when
// the hold ends, for whatever reason. Invariant: if the storage may lack a write that was answered under a lower term, `lackedTerm` names
// this term or a higher one. The fence of a claim flushes the writes of lower terms, so that only an incarnation that began earlier can
// lack them.
// Rules: Q10.

import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';

export interface LastTerm {
  /** Data identity of the replica. Null if the hold is from an earlier release; null stands for the present identity. */
  readonly data: string | null;
  readonly term: Term;
  /** The last incarnation in which the storage had every write that was answered under the term. */
  readonly life: string;
  /** The highest lower term with writes that the storage may lack; null if there is none. */
  readonly lacks: Term | null;
}

/**
 * Returns the memory after a client has got the right to write under this term. `life`: the incarnation in which the client has nothing to
 * send again.
 */
export function withWriter(before: LastTerm | undefined, data: string | null, term: Term, life: string): LastTerm {
  // Data with another identity was copied as a whole, so that earlier terms do not matter.
  const known = before !== undefined && isOf(before, data) ? before : null;
  if (known === null) return { data, term, life, lacks: null };
  if (compareTerms(known.term, term) === 0) return { ...known, data, life };
  return { data, term, life, lacks: known.life === life ? known.lacks : known.term };
}

/** Returns the memory after the client of this term has resent, in the incarnation `life`, the writes that the storage may have lost. */
export function withLife(before: LastTerm | undefined, term: Term, life: string): LastTerm | undefined {
  return before === undefined || compareTerms(before.term, term) !== 0 ? before : { ...before, life };
}

/**
 * Returns the highest term with a write that the replica may lack; null if the replica lacks no write. `claimed`: the term of the asker,
 * which knows its own writes.
 */
export function lackedTerm(last: LastTerm | undefined, data: string, incarnation: string, claimed: Term): Term | null {
  if (last === undefined || !isOf(last, data)) return null;
  return last.life === incarnation || compareTerms(last.term, claimed) === 0 ? last.lacks : last.term;
}

function isOf(last: LastTerm, data: string | null): boolean {
  return last.data === null || last.data === data;
}
