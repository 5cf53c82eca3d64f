// Decodes the VOTEs of a session, and encodes their answers. session/session-admin.ts passes the decoded VOTEs to the listener, which keeps
// the records of mirrors. The end of a session does not wait for a VOTE, because the client repeats the VOTE in its next session.
// Invariant: a VOTE with an invalid body never reaches the listener. Rules: Q5.

import { RsError } from '@rsio/base/lib/errors';
import type { Header } from '@rsio/protocol/wire/header';
import { kinds, type KindsOf } from '@rsio/protocol/wire/guards';
import { VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import {
  VOTE,
  VoteAnswer,
  VoteClaim,
  VoteConfig,
  VOTED,
  VoteFound,
  VotePlace,
  VoteRecord,
  VoteTerm,
} from '@rsio/protocol/wire/mirror-messages';
import type { Status } from '@rsio/protocol/wire/status';

/** A VOTE as sent to the listener. */
export const VOTE_ASKS = {
  vote: kinds('vote', {
    found: VoteFound.guard,
    claim: VoteClaim.guard,
    config: VoteConfig.guard,
    record: VoteRecord.guard,
    place: VotePlace.guard,
    confirm: VoteTerm.guard,
    dismiss: VoteTerm.guard,
    unplace: VoteTerm.guard,
  }),
};
export type VoteRequest = KindsOf<'what', typeof VOTE_ASKS>;

/** The listener's answer. `voteStatus`: why the VOTE could not be decided, or the decision could not be saved. */
export type VoteReply = VoteAnswer | { readonly voteStatus: Status; readonly sentence: string };

export const VOTES = {
  name: 'VOTE',
  perSessionMax: VOTES_PER_SESSION_MAX,
  requestOf,
  tooMany: (): Buffer => {
    const sentence = `${VOTES_PER_SESSION_MAX} VOTEs of this client are already in progress: try again later`;
    return VoteAnswer.encode({ voted: VOTED.REFUSED, sentence, voter: null, promise: null, stored: null, replica: null });
  },
  outcomeOf: (reply: VoteReply) =>
    'voteStatus' in reply ? { status: reply.voteStatus, sentence: reply.sentence } : { body: VoteAnswer.encode(reply) },
};

/** Returns true for a kind of VOTE whose answer may have to wait for the storage of a replica. */
export function mayWait(kind: number): boolean {
  return kind === VOTE.CLAIM || kind === VOTE.PLACE || kind === VOTE.UNPLACE;
}

/** Returns null for a kind that this server does not know. Throws E_PROTOCOL for an invalid body. */
function requestOf({ aux, flags, handle }: Header, body: Buffer): VoteRequest | null {
  const decoded = decode(aux, body);
  if (decoded !== null && (flags !== 0 || handle !== 0)) throw new RsError('E_PROTOCOL', 'VOTE must have no flags and no handle');
  return decoded;
}

function decode(aux: number, body: Buffer): VoteRequest | null {
  const { length } = body;
  switch (aux) {
    case VOTE.FOUND:
      return { what: 'vote', vote: 'found', ...VoteFound.decode(body, 0, length) };
    case VOTE.CLAIM:
      return { what: 'vote', vote: 'claim', ...VoteClaim.decode(body, 0, length) };
    case VOTE.CONFIG:
      return { what: 'vote', vote: 'config', ...VoteConfig.decode(body, 0, length) };
    case VOTE.RECORD:
      return { what: 'vote', vote: 'record', ...VoteRecord.decode(body, 0, length) };
    case VOTE.CONFIRM:
      return { what: 'vote', vote: 'confirm', ...VoteTerm.decode(body, 0, length) };
    case VOTE.DISMISS:
      return { what: 'vote', vote: 'dismiss', ...VoteTerm.decode(body, 0, length) };
    case VOTE.PLACE:
      return { what: 'vote', vote: 'place', ...VotePlace.decode(body, 0, length) };
    case VOTE.UNPLACE:
      return { what: 'vote', vote: 'unplace', ...VoteTerm.decode(body, 0, length) };
    default:
      return null;
  }
}
