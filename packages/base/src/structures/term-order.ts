// The order of the terms of mirrors (docs/PROTOCOL.md, Mirrors): voters and holders decide by it, and administration shows by it which record
// is the newest. Pure. Invariant: no two clients, and no two starts of one client, have equal terms.

export interface OrderedTerm {
  readonly number: number;
  /** Name of the client. */
  readonly node: string;
  /** Counts the starts of the client. */
  readonly instance: number;
}

/** Returns a negative number if `a` is lower than `b`, 0 if both are the same term. */
export function compareTerms(a: OrderedTerm, b: OrderedTerm): number {
  if (a.number !== b.number) return a.number - b.number;
  if (a.node !== b.node) return a.node < b.node ? -1 : 1;
  return a.instance - b.instance;
}
