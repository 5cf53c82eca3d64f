// Encodes and decodes the bodies of VOTE. Invariants: as in message-codec.ts; the replicas in sync are members, and no identity, voter or
// client occurs twice in a list. A voter stores only what these guards accept, so that the next start can read what was stored.

import { RsError } from '@rsio/common/lib/errors';
import { SERVERID_MAX, UNIVERSE_MAX } from '@rsio/common/lib/limits';
import { clientInstance, counter, flag, type Guard, integer, listOf, matching, name, orNull, record, text } from '../guards.ts';
import { MIRROR_CLIENTS_MAX, MIRROR_ID_CHARS, MIRROR_MEMBERS_MAX, SENTENCE_MAX_CHARS, TERM_NUMBER_MAX } from '../limits.ts';
import { codec } from '../message-codec.ts';
import type {
  MirrorConfig,
  MirrorMember,
  MirrorVoter,
  StoredConfig,
  Term,
  VoteAnswer,
  VoteClaim,
  VoteConfig,
  VoteFound,
  VoteRecord,
  VoteTerm,
} from './messages.ts';

const hexId = matching(/^[0-9a-f]+$/, MIRROR_ID_CHARS, `${MIRROR_ID_CHARS} hexadecimal digits`, MIRROR_ID_CHARS);
const termNumber = integer(1, TERM_NUMBER_MAX);
const universe = integer(0, UNIVERSE_MAX);
const serverid = integer(0, SERVERID_MAX);

/** Refuses a list in which two items have the same key. */
function distinct<T>(guard: Guard<T[]>, keyOf: (item: T) => string, what: string): Guard<T[]> {
  return (value, field) => {
    const items = guard(value, field);
    if (new Set(items.map(keyOf)).size === items.length) return items;
    throw new RsError('E_PROTOCOL', `${field} must not name ${what} twice`);
  };
}

const member = record<MirrorMember>({ identity: hexId, serverid, volume: name, universe });
const voter = record<MirrorVoter>({ voter: hexId, serverid });
const itself = (item: string): string => item;

const configFields = record<MirrorConfig>(
  {
    k: integer(1, Number.MAX_SAFE_INTEGER),
    inSync: distinct(listOf(hexId, 1, MIRROR_MEMBERS_MAX, 'identities'), itself, 'an identity'),
    clean: flag,
    members: distinct(listOf(member, 1, MIRROR_MEMBERS_MAX, 'members'), ({ identity }) => identity, 'an identity'),
    voters: distinct(listOf(voter, 1, MIRROR_MEMBERS_MAX, 'voters'), (one) => one.voter, 'a voter'),
    clients: orNull(distinct(listOf(name, 1, MIRROR_CLIENTS_MAX, 'clients'), itself, 'a client')),
  },
  '.',
);

const config: Guard<MirrorConfig> = (value, field) => {
  const fields = configFields(value, field);
  const identities = new Set(fields.members.map(({ identity }) => identity));
  if (fields.inSync.every((one) => identities.has(one))) return fields;
  throw new RsError('E_PROTOCOL', `${field}.inSync must name members only`);
};

/** Exported for the file of a voter. */
export const termGuard: Guard<Term> = record<Term>({ number: termNumber, node: name, instance: clientInstance });
export const storedConfigGuard: Guard<StoredConfig> = record<StoredConfig>({ term: termGuard, config });
export const foundFields = { mirror: hexId, name, universe };
export const mirrorIdGuard = hexId;

export const { encode: encodeVoteFound, decode: decodeVoteFound } = codec<VoteFound>('VOTE FOUND', foundFields);

export const { encode: encodeVoteClaim, decode: decodeVoteClaim } = codec<VoteClaim>('VOTE CLAIM', {
  mirror: hexId,
  number: termNumber,
  takesOver: flag,
});

export const { encode: encodeVoteConfig, decode: decodeVoteConfig } = codec<VoteConfig>('VOTE CONFIG', {
  mirror: hexId,
  number: termNumber,
  config,
});

export const { encode: encodeVoteRecord, decode: decodeVoteRecord } = codec<VoteRecord>('VOTE RECORD', { mirror: hexId });

export const { encode: encodeVoteTerm, decode: decodeVoteTerm } = codec<VoteTerm>('VOTE CONFIRM or DISMISS', {
  mirror: hexId,
  number: termNumber,
});

export const { encode: encodeVoteAnswer, decode: decodeVoteAnswer } = codec<VoteAnswer>('VOTE answer', {
  voted: counter,
  sentence: text(SENTENCE_MAX_CHARS),
  voter: orNull(hexId),
  promise: orNull(termGuard),
  stored: orNull(storedConfigGuard),
});
