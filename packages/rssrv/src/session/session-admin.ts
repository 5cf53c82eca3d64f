// Passes a session's ADMIN and VOTE requests to the listener, which executes them with the rights of the client. Invariants: every request
// is answered exactly once; at most `perSessionMax` requests of a kind are unanswered, and further requests are refused. The end of the
// session does not wait for the listener's answers, because the client's I/O would also wait. The client sends unanswered requests again in
// its next session. Rules: A4.

import { RsError, toRsError } from '@rsio/base/lib/errors';
import { OP } from '@rsio/protocol/wire/frames';
import { type KindsOf, matching, milliseconds } from '@rsio/protocol/wire/guards';
import { ADMIN_PARAMS_MAX_BYTES, ADMIN_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import type { Header } from '@rsio/protocol/wire/header';
import { ADMIN, AdminAnswer, AdminCall, adminId, AdminRest, FailureAnswer } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import { mayWait, type VoteReply, type VoteRequest, VOTES } from '../mirrors/session-votes.ts';
import type { Answered } from './session-volumes.ts';

/** An ADMIN request as the listener gets it. `params`: one JSON object. */
export const ADMIN_ASKS = {
  'admin-call': {
    id: adminId,
    method: adminId,
    params: matching(/^/, ADMIN_PARAMS_MAX_BYTES, `text of at most ${ADMIN_PARAMS_MAX_BYTES} characters`),
    withinMs: milliseconds,
  },
  'admin-rest': AdminRest.guard,
};
export type AdminRequest = KindsOf<'what', typeof ADMIN_ASKS>;

/** The listener's answer to an ADMIN. `part` is in base64. */
export type AdminReply =
  | { readonly answer: number; readonly totalBytes: number; readonly part: string }
  | { readonly adminStatus: Status; readonly sentence: string };

export interface ListenerPorts {
  admin(request: AdminRequest): Promise<AdminReply>;
  vote(request: VoteRequest): Promise<VoteReply>;
}

/** A kind of request that the listener executes. */
interface Kind<Request, Reply> {
  readonly name: string;
  readonly perSessionMax: number;
  /** Decodes a request. Returns null for a kind of request that this server does not know. Throws E_PROTOCOL for a wrong body. */
  requestOf(header: Header, body: Buffer): Request | null;
  /** Returns the body of the answer to a request that is refused because of `perSessionMax`. */
  tooMany(): Buffer;
  outcomeOf(reply: Reply): { readonly body: Buffer } | { readonly status: Status; readonly sentence: string };
}

/**
 * The requests of a session that the listener executes: ADMIN and VOTE. The VOTEs CLAIM, PLACE and UNPLACE are counted apart from other
 * VOTEs.
 */
export class ListenerRequests {
  private readonly admin: Asked<AdminRequest, AdminReply>;
  private readonly votes: Asked<VoteRequest, VoteReply>;
  /**
   * CLAIM, PLACE and UNPLACE, which may wait for the storage of a replica. These VOTEs are counted apart, so that no other VOTE is refused
   * because of them.
   */
  private readonly claims: Asked<VoteRequest, VoteReply>;

  constructor(ports: ListenerPorts) {
    this.admin = new Asked(ADMINS, (request) => ports.admin(request));
    this.votes = new Asked(VOTES, (request) => ports.vote(request));
    this.claims = new Asked(VOTES, (request) => ports.vote(request));
  }

  answer(header: Header, body: Buffer, answered: Answered): void {
    if (header.op === OP.VOTE) (mayWait(header.aux) ? this.claims : this.votes).answer(header, body, answered);
    else this.admin.answer(header, body, answered);
  }

  /** Answers all unanswered and all later requests with SHUTTING_DOWN. */
  end(): void {
    this.admin.end();
    this.votes.end();
    this.claims.end();
  }
}

class Asked<Request, Reply> {
  private readonly kind: Kind<Request, Reply>;
  private readonly ask: (request: Request) => Promise<Reply>;
  private readonly unanswered = new Set<Answered>();
  private isEnded = false;

  constructor(kind: Kind<Request, Reply>, ask: (request: Request) => Promise<Reply>) {
    this.kind = kind;
    this.ask = ask;
  }

  answer(header: Header, body: Buffer, answered: Answered): void {
    const { kind } = this;
    let request: Request;
    try {
      const known = kind.requestOf(header, body);
      if (known === null) {
        refuse(answered, STATUS.UNSUPPORTED, `There is no ${kind.name} ${header.aux}`);
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
    if (this.unanswered.size >= kind.perSessionMax) {
      answered(STATUS.OK, [kind.tooMany()], header.aux);
      return;
    }
    this.unanswered.add(answered);
    this.ask(request).then(
      (reply) => this.finish(header, answered, kind.outcomeOf(reply)),
      (thrown: unknown) => this.finish(header, answered, { status: STATUS.IO_ERROR, sentence: toRsError(thrown).message }),
    );
  }

  /** Answers all unanswered and all later requests with SHUTTING_DOWN. The listener may still execute requests that it already has. */
  end(): void {
    this.isEnded = true;
    for (const answered of this.unanswered) refuse(answered, STATUS.SHUTTING_DOWN);
    this.unanswered.clear();
  }

  private finish({ aux }: Header, answered: Answered, outcome: ReturnType<Kind<Request, Reply>['outcomeOf']>): void {
    if (!this.unanswered.delete(answered)) return;
    if ('status' in outcome) refuse(answered, outcome.status, outcome.sentence);
    else answered(STATUS.OK, [outcome.body], aux);
  }
}

const ADMINS: Kind<AdminRequest, AdminReply> = {
  name: 'ADMIN',
  perSessionMax: ADMIN_PER_SESSION_MAX,
  requestOf,
  tooMany,
  outcomeOf: (reply) => {
    if ('adminStatus' in reply) return { status: reply.adminStatus, sentence: reply.sentence };
    const { answer, totalBytes, part } = reply;
    return { body: AdminAnswer.encode({ answer, totalBytes, part: Buffer.from(part, 'base64') }) };
  },
};

/** Decodes an ADMIN. Returns null for a kind of ADMIN that this server does not know. Throws E_PROTOCOL for a wrong body. */
function requestOf({ aux, flags, handle }: Header, body: Buffer): AdminRequest | null {
  if (aux !== ADMIN.CALL && aux !== ADMIN.REST) return null;
  if (flags !== 0 || handle !== 0) throw new RsError('E_PROTOCOL', 'ADMIN must have no flags and no handle');
  if (aux === ADMIN.REST) return { what: 'admin-rest', ...AdminRest.decode(body, 0, body.length) };
  const { request, method, params, withinMs } = AdminCall.decode(body, 0, body.length);
  return { what: 'admin-call', id: request, method, params: Buffer.from(params).toString('utf8'), withinMs };
}

export function errorText({ code, message, context }: Pick<RsError, 'code' | 'message' | 'context'>): string {
  return JSON.stringify({ error: { code, message, context } });
}

function tooMany(): Buffer {
  const message = `${ADMIN_PER_SESSION_MAX} requests of this client are already in progress: try again later`;
  const part = Buffer.from(errorText({ code: 'E_LIMIT', message, context: {} }));
  return AdminAnswer.encode({ answer: 0, totalBytes: part.length, part });
}

function refuse(answered: Answered, status: Status, sentence = statusEntry(status).sentence): void {
  answered(status, [FailureAnswer.encode({ sentence, holders: [] })], 0);
}
