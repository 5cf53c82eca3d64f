// The order of the configurations of mirrors, for voters and holders (docs/PROTOCOL.md, Mirrors). Pure. Invariant: of two configurations, the
// one that was stored later comes last.

import { compareTerms } from '@rsio/base/structures/term-order';
import type { StoredConfig } from './mirror-messages.ts';

/** Compares the versions of two configurations: their terms, then their numbers. */
export function compareVersions(a: StoredConfig, b: StoredConfig): number {
  return compareTerms(a.term, b.term) || a.config.k - b.config.k;
}
