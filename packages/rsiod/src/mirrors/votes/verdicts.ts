// Interprets the answers of voters for commands: converts refusals to errors, finds the highest configuration and promise among several
// answers, and computes majorities. Pure. Invariant: an answer with an unknown code counts as a refusal.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { type MirrorConfig, type StoredConfig, type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import { compareVersions } from '@rsio/protocol/wire/mirror-terms';

const CODES: Readonly<Record<number, ErrorCode>> = {
  [VOTED.UNKNOWN]: 'E_UNKNOWN_VOLUME',
  [VOTED.SUPERSEDED]: 'E_TAKEN',
  [VOTED.HELD]: 'E_HELD',
  [VOTED.DIFFERENT]: 'E_EXISTS',
  [VOTED.REFUSED]: 'E_VOLUME',
};

/** Returns the answer if the voter has executed the order; otherwise throws its refusal. `server`: the name of the voter's server. */
export function done(answer: VoteAnswer, server: string): VoteAnswer {
  if (answer.voted === VOTED.DONE) return answer;
  const why = answer.sentence === '' ? 'the server gave no reason' : answer.sentence;
  throw new RsError(CODES[answer.voted] ?? 'E_PROTOCOL', `Server ${server}: ${why}`);
}

export function highestConfig(answers: readonly VoteAnswer[]): StoredConfig | null {
  return highest(
    answers.map(({ stored }) => stored),
    compareVersions,
  );
}

export function highestPromise(answers: readonly VoteAnswer[]): Term | null {
  return highest(
    answers.map(({ promise }) => promise),
    compareTerms,
  );
}

function highest<T>(values: readonly (T | null)[], compare: (a: T, b: T) => number): T | null {
  let best: T | null = null;
  for (const value of values) if (value !== null && (best === null || compare(value, best) > 0)) best = value;
  return best;
}

/** Returns the number of a new term, which is higher than every promised number. */
export function nextNumber(answers: readonly VoteAnswer[]): number {
  return (highestPromise(answers)?.number ?? 0) + 1;
}

export function serversOf({ members, voters, nextVoters }: MirrorConfig): Set<number> {
  return new Set([...members, ...voters, ...(nextVoters ?? [])].map(({ serverid }) => serverid));
}

/**
 * Returns the term of the client that may have attached the mirror: the highest promised term. Returns null if the highest configuration
 * says that the client of this term has detached the mirror.
 */
export function holderOf(stored: StoredConfig | null, promise: Term | null): Term | null {
  if (promise === null || stored === null) return null;
  return stored.config.clean && compareTerms(stored.term, promise) === 0 ? null : promise;
}
