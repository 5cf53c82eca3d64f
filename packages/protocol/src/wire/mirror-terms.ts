// The order of the terms of mirrors, for voters and holders (docs/PROTOCOL.md, Mirrors). Pure. Invariant: no two clients, and no two starts
// of one client, have equal terms.

import type { StoredConfig, Term } from './mirror-messages.ts';

/** Returns a negative number if `a` is lower than `b`, 0 if both are the same term. */
export function compareTerms(a: Term, b: Term): number {
  if (a.number !== b.number) return a.number - b.number;
  if (a.node !== b.node) return a.node < b.node ? -1 : 1;
  return a.instance - b.instance;
}

/** Compares the versions of two configurations: their terms, then their numbers. */
export function compareVersions(a: StoredConfig, b: StoredConfig): number {
  return compareTerms(a.term, b.term) || a.config.k - b.config.k;
}
