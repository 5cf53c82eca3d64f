// Answers the ADMIN requests of one session: passes each to the listener, which executes it with the rights of the client. Invariants: every
// ADMIN is answered exactly once; at most ADMIN_PER_SESSION_MAX are with the listener, and further ones are refused. The end of the session
// does not wait for an ADMIN, because I/O would wait with it: the client then sends the request again in its next session.

import { RsError, toRsError } from '@rsio/common/lib/errors';
import { OP } from '@rsio/protocol/wire/frames';
import { ADMIN_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import type { Header } from '@rsio/protocol/wire/header';
import { decodeAdminCall, decodeAdminRest, encodeAdminAnswer, encodeFailureAnswer } from '@rsio/protocol/wire/message-codec';
import { ADMIN } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import { SessionVotes, type VotePorts } from '../voters/session-votes.ts';
import type { Answered } from './session-volumes.ts';

/** An ADMIN as the listener gets it. */
export type AdminRequest =
  | { readonly what: 'admin-call'; readonly id: string; readonly method: string; readonly params: string; readonly withinMs: number }
  | { readonly what: 'admin-rest'; readonly answer: number; readonly offset: number };

/** The listener's answer. `part` is in base64. */
export type AdminReply =
  | { readonly answer: number; readonly totalBytes: number; readonly part: string }
  | { readonly adminStatus: Status; readonly sentence: string };

export interface AdminPorts {
  admin(request: AdminRequest): Promise<AdminReply>;
}

export interface ListenerPorts extends AdminPorts, VotePorts {}

/** The requests of a session that the listener executes: ADMIN and VOTE. */
export class ListenerRequests {
  private readonly admin: SessionAdmin;
  private readonly votes: SessionVotes;

  constructor(ports: ListenerPorts) {
    this.admin = new SessionAdmin(ports);
    this.votes = new SessionVotes(ports);
  }

  answer(header: Header, body: Buffer, answered: Answered): void {
    if (header.op === OP.VOTE) this.votes.answer(header, body, answered);
    else this.admin.answer(header, body, answered);
  }

  /** Answers everything, and everything that still comes, with SHUTTING_DOWN. */
  end(): void {
    this.admin.end();
    this.votes.end();
  }
}

class SessionAdmin {
  private readonly ports: AdminPorts;
  private readonly unanswered = new Set<Answered>();
  private isEnded = false;

  constructor(ports: AdminPorts) {
    this.ports = ports;
  }

  answer(header: Header, body: Buffer, answered: Answered): void {
    let request: AdminRequest;
    try {
      const known = requestOf(header, body);
      if (known === null) {
        refuse(answered, STATUS.UNSUPPORTED, `There is no ADMIN ${header.aux}`);
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
    if (this.unanswered.size >= ADMIN_PER_SESSION_MAX) {
      answered(STATUS.OK, [tooMany()], header.aux);
      return;
    }
    this.unanswered.add(answered);
    this.ports.admin(request).then(
      (reply) => this.finish(header, answered, reply),
      (thrown: unknown) => this.finish(header, answered, { adminStatus: STATUS.IO_ERROR, sentence: toRsError(thrown).message }),
    );
  }

  /** Answers everything, and everything that still comes, with SHUTTING_DOWN. The listener may still execute what it has. */
  end(): void {
    this.isEnded = true;
    for (const answered of this.unanswered) refuse(answered, STATUS.SHUTTING_DOWN);
    this.unanswered.clear();
  }

  private finish({ aux }: Header, answered: Answered, reply: AdminReply): void {
    if (!this.unanswered.delete(answered)) return;
    if ('adminStatus' in reply) {
      refuse(answered, reply.adminStatus, reply.sentence);
      return;
    }
    const { answer, totalBytes, part } = reply;
    answered(STATUS.OK, [encodeAdminAnswer({ answer, totalBytes, part: Buffer.from(part, 'base64') })], aux);
  }
}

/** Returns null for a kind that this server does not know. Throws E_PROTOCOL for a wrong body. */
function requestOf({ aux, flags, handle }: Header, body: Buffer): AdminRequest | null {
  if (aux !== ADMIN.CALL && aux !== ADMIN.REST) return null;
  if (flags !== 0 || handle !== 0) throw new RsError('E_PROTOCOL', 'ADMIN must have no flags and no handle');
  if (aux === ADMIN.REST) return { what: 'admin-rest', ...decodeAdminRest(body, 0, body.length) };
  const { request, method, params, withinMs } = decodeAdminCall(body, 0, body.length);
  return { what: 'admin-call', id: request, method, params: Buffer.from(params).toString('utf8'), withinMs };
}

/** The text of an answer that reports an error. */
export function errorText({ code, message, context }: Pick<RsError, 'code' | 'message' | 'context'>): string {
  return JSON.stringify({ error: { code, message, context } });
}

function tooMany(): Buffer {
  const message = `${ADMIN_PER_SESSION_MAX} requests of this client are already in progress: try again later`;
  const part = Buffer.from(errorText({ code: 'E_LIMIT', message, context: {} }));
  return encodeAdminAnswer({ answer: 0, totalBytes: part.length, part });
}

function refuse(answered: Answered, status: Status, sentence = statusEntry(status).sentence): void {
  answered(status, [encodeFailureAnswer({ sentence, holders: [] })], 0);
}
