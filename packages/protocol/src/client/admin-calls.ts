// Calls methods of a server over a trunk with ADMIN requests. If the session is lost before the time limit of a call, the client sends the
// call again in the next session, with the same id. The server executes a change once for each id (C4 in docs/PROTOCOL.md). Invariants: a
// call ends within its time limit. A call that failed with E_TIMEOUT or E_UNREACHABLE is not sent again, and the error says whether the
// server may have executed the call. At most ADMIN_CALLS_SENT_MAX calls are in flight. Rules: A3.

import { counted } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { OP } from '../wire/frames.ts';
import { ADMIN_PARAMS_MAX_BYTES } from '../wire/limits.ts';
import { ADMIN, AdminCall, AdminRest } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { AnswerParts } from './admin-answer.ts';
import { ADMIN_CALLS_MAX, ADMIN_CALLS_SENT_MAX, ADMIN_REREADS_MAX, ADMIN_UNSENT_MS } from './limits.ts';
import type { Request } from './requests/request.ts';
import { callSession, type SessionAnswer } from './session-call.ts';
import type { Trunk } from './trunk.ts';

interface Call {
  readonly id: string;
  readonly method: string;
  readonly params: Buffer;
  readonly endsMs: number;
  readonly timers: Timer[];
  /** The request that was submitted to the trunk; null while the call waits. */
  request: Request | null;
  /** Session in which the call was sent last. No call is sent twice in one session. */
  session: object | null;
  /** True if the call was sent at least once; if so, the server may have received it. */
  isSent: boolean;
  isOver: boolean;
  rereads: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: RsError) => void;
}

export class AdminCalls {
  private readonly trunk: Trunk;
  private readonly clock: Clock;
  private readonly newId: () => string;
  private waiting: Call[] = [];
  /** Number of calls submitted to the trunk, including those that have reached their time limit. */
  private sent = 0;

  /** `newId` returns a new random UUID. */
  constructor(trunk: Trunk, clock: Clock, newId: () => string) {
    this.trunk = trunk;
    this.clock = clock;
    this.newId = newId;
  }

  /**
   * Calls a method of the server, and resolves with its result. If `params` has a text `request`, this text is the id of the call;
   * otherwise the call gets a new id. Rejects with the error of the server, or with one of these errors:
   * - E_USAGE: the parameters are too long. E_LIMIT: too many calls wait, or the answer is too long.
   * - E_VERSION: the server has no ADMIN.
   * - E_UNREACHABLE: the server was not connected, and nothing was sent.
   * - E_TIMEOUT: no answer within `limitMs`. In the context, `isOutcomeUnknown` is true if the server may have executed the call.
   */
  callAdmin(method: string, params: object, limitMs: number): Promise<unknown> {
    const { request: wantedId, ...others } = params as Readonly<Record<string, unknown>>;
    const text = Buffer.from(JSON.stringify(others));
    if (text.length > ADMIN_PARAMS_MAX_BYTES)
      return failed(
        'E_USAGE',
        `Parameters of ${method} have ${text.length} bytes, more than ${ADMIN_PARAMS_MAX_BYTES}: name fewer at once`,
      );
    if (this.waiting.length >= ADMIN_CALLS_MAX)
      return failed('E_LIMIT', `${ADMIN_CALLS_MAX} requests to the server already wait: try again later`);
    return new Promise((resolve, reject) => {
      const call: Call = {
        id: typeof wantedId === 'string' ? wantedId : this.newId(),
        method,
        params: text,
        endsMs: this.clock.monotonicMs() + limitMs,
        timers: [],
        request: null,
        session: null,
        isSent: false,
        isOver: false,
        rereads: 0,
        resolve,
        reject,
      };
      call.timers.push(this.clock.after(limitMs, () => this.timedOut(call, limitMs)));
      if (limitMs > ADMIN_UNSENT_MS) call.timers.push(this.clock.after(ADMIN_UNSENT_MS, () => this.checkReachable(call)));
      this.waiting.push(call);
      this.pump();
    });
  }

  /** Called when a session has begun: sends the calls that wait, including those of the old session. */
  sessionBegan(): void {
    this.pump();
  }

  private pump(): void {
    const { session, isEnded } = this.trunk;
    if (isEnded || (session !== null && !session.canAdminister)) {
      for (const call of this.waiting.splice(0)) this.end(call, isEnded ? unreachable(call) : withoutAdmin(call));
      return;
    }
    if (session === null) return;
    const ready = this.waiting.filter((call) => call.session !== session);
    for (const call of ready) {
      if (this.sent >= ADMIN_CALLS_SENT_MAX) return;
      this.waiting = this.waiting.filter((other) => other !== call);
      this.send(call, session);
    }
  }

  private send(call: Call, session: object): void {
    call.session = session;
    let body: Buffer;
    try {
      const withinMs = Math.max(0, call.endsMs - this.clock.monotonicMs());
      body = AdminCall.encode({ request: call.id, method: call.method, params: call.params, withinMs });
    } catch {
      this.end(call, new RsError('E_USAGE', `Wrong request id or method ${call.method}: allowed are 1 to 64 printable characters`));
      return;
    }
    this.submit(call, ADMIN.CALL, body, new AnswerParts());
  }

  private submit(call: Call, kind: number, body: Buffer, parts: AnswerParts): void {
    this.sent++;
    call.request = callSession(this.trunk, { op: OP.ADMIN, attachment: null, aux: kind, body }, (answer) => {
      this.sent = counted(this.sent - 1, 'unanswered calls');
      call.request = null;
      if (!call.isOver) this.answered(call, kind, answer, parts);
      this.pump();
    });
  }

  private answered(call: Call, kind: number, { status, bodies, sentence }: SessionAnswer, parts: AnswerParts): void {
    call.isSent = true;
    const isLost = status === STATUS.SHUTTING_DOWN || status === STATUS.STALE;
    // The server keeps a long answer only briefly. If the answer is gone, the client sends the call again. The server then executes a
    // read-only method again; for a change, it only repeats its answer.
    const isForgotten = kind === ADMIN.REST && status === STATUS.STALE && call.session === this.trunk.session;
    if (this.trunk.isEnded) this.end(call, unreachable(call));
    else if (isForgotten && ++call.rereads > ADMIN_REREADS_MAX)
      this.end(call, new RsError('E_LIMIT', `The server dropped its long answer to ${call.method} ${call.rereads} times: try again later`));
    else if (isLost) this.again(call, isForgotten);
    else if (status !== STATUS.OK) this.end(call, new RsError('E_PROTOCOL', `The server refused ADMIN ${call.method}: ${sentence}`));
    else this.take(call, bodies, parts);
  }

  private take(call: Call, bodies: readonly Buffer[], parts: AnswerParts): void {
    try {
      for (const body of bodies) parts.add(body);
      const { rest } = parts;
      if (rest !== null && bodies.length > 0) {
        this.submit(call, ADMIN.REST, AdminRest.encode(rest), parts);
        return;
      }
      const result = parts.result(call.method);
      this.stop(call);
      call.resolve(result);
    } catch (thrown) {
      this.end(call, toRsError(thrown));
    }
  }

  /** `isNow`: the call may be sent again in the same session. */
  private again(call: Call, isNow: boolean): void {
    if (isNow) call.session = null;
    this.waiting.push(call);
  }

  private checkReachable(call: Call): void {
    if (call.isSent || this.trunk.paths.length > 0) return;
    if (this.takeBack(call)) this.end(call, unreachable(call));
  }

  private timedOut(call: Call, limitMs: number): void {
    const isUnsent = this.takeBack(call) && !call.isSent;
    const text = `The server did not answer ${call.method} within ${printDuration(limitMs)}`;
    this.end(
      call,
      isUnsent
        ? new RsError('E_TIMEOUT', `${text}: it was not sent, and nothing was changed`, { isOutcomeUnknown: false })
        : new RsError('E_TIMEOUT', `${text}: whether it was executed is unknown; look before you repeat it`, { isOutcomeUnknown: true }),
    );
  }

  /** Takes back a call whose request is not in flight. Returns false if the request is in flight. */
  private takeBack(call: Call): boolean {
    if (call.request === null) return true;
    if (!this.trunk.withdraw(call.request)) return false;
    call.request = null;
    this.sent = counted(this.sent - 1, 'unanswered calls');
    return true;
  }

  private end(call: Call, error: RsError): void {
    this.stop(call);
    call.reject(error);
    this.pump();
  }

  private stop(call: Call): void {
    call.isOver = true;
    for (const timer of call.timers) timer.cancel();
    this.waiting = this.waiting.filter((other) => other !== call);
  }
}

function failed(code: 'E_USAGE' | 'E_LIMIT', message: string): Promise<never> {
  return Promise.reject(new RsError(code, message));
}

function unreachable({ method, isSent }: Call): RsError {
  return isSent
    ? new RsError('E_UNREACHABLE', `The connection ended before ${method} was answered: whether it was executed is unknown`, {
        isOutcomeUnknown: true,
      })
    : new RsError('E_UNREACHABLE', `The server is not connected: ${method} was not sent, and nothing was changed`, {
        isOutcomeUnknown: false,
      });
}

function withoutAdmin({ method, isSent }: Call): RsError {
  const outcome = isSent ? 'whether it was executed is unknown' : 'nothing was changed';
  return new RsError('E_VERSION', `The server takes no commands from clients, so ${method} failed and ${outcome}: update the server`, {
    isOutcomeUnknown: isSent,
  });
}
