// Versions of configurations, and majorities of their voters (docs/PROTOCOL.md, Mirrors; rules M5 and M17). Pure.
// Invariant: a configuration that names two sets of voters has a majority only with a majority of each.

import type { MirrorConfig, MirrorVoter, StoredConfig } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';

/** Returns the configuration with the highest version; null if there is no configuration. */
export function highestOf(stored: Iterable<StoredConfig | null>): StoredConfig | null {
  let highest: StoredConfig | null = null;
  for (const one of stored) {
    if (one === null) continue;
    if (highest === null || (compareTerms(one.term, highest.term) || one.config.k - highest.config.k) > 0) highest = one;
  }
  return highest;
}

export function votersOf(config: MirrorConfig): readonly MirrorVoter[] {
  return config.nextVoters === null ? config.voters : [...config.voters, ...config.nextVoters];
}

/**
 * True if `has` is true for a majority of the voters. If the configuration names two sets of voters, `has` must be true for a majority of
 * each set.
 */
export function hasMajority({ voters, nextVoters }: MirrorConfig, has: (voter: string) => boolean): boolean {
  return isMajority(voters, has) && (nextVoters === null || isMajority(nextVoters, has));
}

export function isMajority(voters: readonly MirrorVoter[], has: (voter: string) => boolean): boolean {
  return voters.filter(({ voter }) => has(voter)).length >= majorityOf(voters.length);
}

/** The smallest number that is a majority of so many voters. */
export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}
