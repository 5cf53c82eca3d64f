// Draws conclusions about a volume from the answers of several servers: its holder, its note, and which nodes are silent. Pure. Invariant:
// while a server of the volume sees a node, other servers cannot make the node count as silent, unless they are most voters of a mirror.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import type { VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import { highestConfig, highestPromise, holderOf } from '../mirrors/votes/verdicts.ts';

export interface NoteVerdict {
  readonly isSure: boolean;
  readonly holder: string | null;
  readonly note: string | null;
  readonly why: string | null;
}

/** `answers`: the answers of the servers that have a record of the mirror; each names its voter. */
export function mirrorVerdict(answers: readonly VoteAnswer[]): NoteVerdict {
  const stored = highestConfig(answers);
  if (stored === null) return { isSure: false, holder: null, note: null, why: 'No server that answers has a configuration of the mirror' };
  const { voters, nextVoters, note = null } = stored.config;
  const missing = [voters, nextVoters ?? voters].find((set) => !hasMajority(set, answers));
  const holder = holderOf(stored, highestPromise(answers))?.node ?? null;
  if (missing === undefined) return { isSure: true, holder, note, why: null };
  return { isSure: false, holder, note, why: `Fewer than ${majorityOf(missing.length)} of the ${missing.length} voters answer` };
}

function hasMajority(set: readonly { readonly voter: string }[], answers: readonly VoteAnswer[]): boolean {
  return set.filter((one) => answers.some(({ voter }) => voter === one.voter)).length >= majorityOf(set.length);
}

/**
 * `answers`: for each server, the times that it has answered for the nodes. `atLeast`: how many servers must agree; null means all that
 * answered.
 */
export function silentForAll(answers: readonly (readonly (number | null)[])[], nodes: number, atLeast: number | null): number[] {
  const needed = atLeast ?? answers.length;
  return Array.from({ length: nodes }, (_, index) => {
    const times = answers.map((times) => times[index] ?? 0).toSorted((one, other) => other - one);
    return needed === 0 ? 0 : (times[needed - 1] ?? 0);
  });
}
