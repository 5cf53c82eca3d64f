// Answers the VOTEs of one session: passes each to the listener, which keeps the records of the mirrors. Invariants: every VOTE is answered
// exactly once; at most VOTES_PER_SESSION_MAX are with the listener, and further ones are refused. The end of the session does not wait for
// a VOTE: the client then sends it again in its next session, and the record decides.

import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Header } from '@rsio/protocol/wire/header';
import { VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { encodeFailureAnswer } from '@rsio/protocol/wire/message-codec';
import {
  decodeVoteClaim,
  decodeVoteConfig,
  decodeVoteFound,
  decodeVoteRecord,
  decodeVoteTerm,
  encodeVoteAnswer,
} from '@rsio/protocol/wire/mirror/codec';
import {
  VOTE,
  type VoteAnswer,
  type VoteClaim,
  type VoteConfig,
  VOTED,
  type VoteFound,
  type VoteRecord,
  type VoteTerm,
} from '@rsio/protocol/wire/mirror/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';

/** A VOTE as the listener gets it. */
export type VoteRequest = { readonly what: 'vote' } & (
  | ({ readonly vote: 'found' } & VoteFound)
  | ({ readonly vote: 'claim' } & VoteClaim)
  | ({ readonly vote: 'config' } & VoteConfig)
  | ({ readonly vote: 'record' } & VoteRecord)
  | ({ readonly vote: 'confirm' | 'dismiss' } & VoteTerm)
);

/** The listener's answer. `voteStatus`: the VOTE could not be decided, or the decision could not be saved. */
export type VoteReply = VoteAnswer | { readonly voteStatus: Status; readonly sentence: string };

export interface VotePorts {
  vote(request: VoteRequest): Promise<VoteReply>;
}

type Answered = (status: Status, bodies: readonly Buffer[], aux: number) => void;

export class SessionVotes {
  private readonly ports: VotePorts;
  private readonly unanswered = new Set<Answered>();
  private isEnded = false;

  constructor(ports: VotePorts) {
    this.ports = ports;
  }

  answer(header: Header, body: Buffer, answered: Answered): void {
    let request: VoteRequest;
    try {
      const known = requestOf(header, body);
      if (known === null) {
        refuse(answered, STATUS.UNSUPPORTED, `There is no VOTE ${header.aux}`);
        return;
      }
      request = known;
    } catch (thrown) {
      refuse(answered, STATUS.BAD_REQUEST, toRsError(thrown).message);
      return;
    }
    if (this.isEnded) {
      refuse(answered, STATUS.SHUTTING_DOWN);
      return;
    }
    if (this.unanswered.size >= VOTES_PER_SESSION_MAX) {
      const sentence = `${VOTES_PER_SESSION_MAX} VOTEs of this client are already in progress: try again later`;
      answered(STATUS.OK, [encodeVoteAnswer({ voted: VOTED.REFUSED, sentence, voter: null, promise: null, stored: null })], header.aux);
      return;
    }
    this.unanswered.add(answered);
    this.ports.vote(request).then(
      (reply) => this.finish(header, answered, reply),
      (thrown: unknown) => this.finish(header, answered, { voteStatus: STATUS.IO_ERROR, sentence: toRsError(thrown).message }),
    );
  }

  /** Answers everything, and everything that still comes, with SHUTTING_DOWN. The listener may still execute what it has. */
  end(): void {
    this.isEnded = true;
    for (const answered of this.unanswered) refuse(answered, STATUS.SHUTTING_DOWN);
    this.unanswered.clear();
  }

  private finish({ aux }: Header, answered: Answered, reply: VoteReply): void {
    if (!this.unanswered.delete(answered)) return;
    if ('voteStatus' in reply) refuse(answered, reply.voteStatus, reply.sentence);
    else answered(STATUS.OK, [encodeVoteAnswer(reply)], aux);
  }
}

/** Returns null for a kind that this server does not know. Throws E_PROTOCOL for a wrong body. */
function requestOf({ aux, flags, handle }: Header, body: Buffer): VoteRequest | null {
  const decoded = decode(aux, body);
  if (decoded !== null && (flags !== 0 || handle !== 0)) throw new RsError('E_PROTOCOL', 'VOTE must have no flags and no handle');
  return decoded;
}

function decode(aux: number, body: Buffer): VoteRequest | null {
  const { length } = body;
  switch (aux) {
    case VOTE.FOUND:
      return { what: 'vote', vote: 'found', ...decodeVoteFound(body, 0, length) };
    case VOTE.CLAIM:
      return { what: 'vote', vote: 'claim', ...decodeVoteClaim(body, 0, length) };
    case VOTE.CONFIG:
      return { what: 'vote', vote: 'config', ...decodeVoteConfig(body, 0, length) };
    case VOTE.RECORD:
      return { what: 'vote', vote: 'record', ...decodeVoteRecord(body, 0, length) };
    case VOTE.CONFIRM:
      return { what: 'vote', vote: 'confirm', ...decodeVoteTerm(body, 0, length) };
    case VOTE.DISMISS:
      return { what: 'vote', vote: 'dismiss', ...decodeVoteTerm(body, 0, length) };
    default:
      return null;
  }
}

function refuse(answered: Answered, status: Status, sentence = statusEntry(status).sentence): void {
  answered(status, [encodeFailureAnswer({ sentence, holders: [] })], 0);
}
