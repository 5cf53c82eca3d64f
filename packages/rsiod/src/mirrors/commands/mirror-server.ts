// The interface through which the commands about mirrors use a server: its list of volumes, its control methods and its voter. Invariants:
// each call ends within its time limit. If the session ends before the answer to a VOTE, the VOTE is sent again, because every VOTE may be
// repeated. If work at several servers fails at one server, the work is still done at the other servers, so that the state of each server
// is known.

import type { Clock } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { outcomesAtOnce } from '@rsio/base/structures/concurrency';
import { callSession, type SessionAnswer } from '@rsio/protocol/client/session-call';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Server } from '../../network/server.ts';
import { type VoteCall, voteFrame } from '../vote-frame.ts';
import { VOTE_CHANGE_MS, VOTE_SENT_MAX } from '../limits.ts';
import { done } from '../votes/verdicts.ts';

/** Errors which mean that a server has not answered. Every other error is an answer. */
export const SILENCES: readonly ErrorCode[] = ['E_TIMEOUT', 'E_UNREACHABLE', 'E_NO_PATH', 'E_NO_SESSION', 'E_RESET', 'E_SHUTTING_DOWN'];

export type VoteOrder = VoteCall & { readonly mirror: string };

export interface MirrorServer {
  readonly namespace: string;
  readonly name: string;
  readonly serverid: number;
  /** The reason why the server cannot be asked now, such as `Server big-8 of osl is not connected: ...`; null if it can be asked. */
  readonly trouble: RsError | null;
  readonly volumes: readonly VolumeEntry[];
  /** Grows whenever the server connects, however briefly. */
  readonly proofs: number;
  /** It has a path, also if it cannot be asked about mirrors. */
  readonly isConnected: boolean;
  /** Throws the error of the server, E_TIMEOUT or E_UNREACHABLE. */
  callAdmin(method: string, params: object, limitMs: number): Promise<unknown>;
  /**
   * Returns the voter's decision, which may be a refusal. Throws E_TIMEOUT if the voter does not answer, and E_SYSTEM if the voter cannot
   * decide.
   */
  vote(order: VoteOrder, limitMs: number): Promise<VoteAnswer>;
}

export function mirrorServer(server: Server, clock: Clock): MirrorServer {
  const { namespace, name, serverid, trunk } = server;
  return {
    namespace,
    name,
    serverid,
    get trouble() {
      return troubleOf(server);
    },
    get volumes() {
      return server.volumes;
    },
    get proofs() {
      return server.proofs;
    },
    get isConnected() {
      return server.isConnected;
    },
    callAdmin: (...call) => server.callAdmin(...call),
    vote: (order, limitMs) => sendVote(trunk, clock, `Server ${name} of ${namespace}`, order, limitMs),
  };
}

function troubleOf({ name, namespace, isConnected, trunk }: Server): RsError | null {
  if (!isConnected || trunk.session === null)
    return new RsError('E_NO_PATH', `Server ${name} of ${namespace} is not connected: rsconfig -m status -v shows its paths`);
  if (!trunk.session.canVote || !trunk.session.canAdminister)
    return new RsError('E_VERSION', `Server ${name} of ${namespace} has no mirrors: update it`);
  return null;
}

export function sendVote(
  trunk: Pick<Trunk, 'submit' | 'withdraw' | 'isEnded'>,
  clock: Pick<Clock, 'after'>,
  who: string,
  order: VoteOrder,
  limitMs: number,
): Promise<VoteAnswer> {
  const { aux, body } = voteFrame(order.mirror, order);
  return new Promise((resolve, reject) => {
    let isOver = false;
    let sent = 0;
    const end = (work: () => void): void => {
      isOver = true;
      timer.cancel();
      work();
    };
    const take = (answer: SessionAnswer): void => {
      if (isOver) return;
      const isLost = answer.status === STATUS.SHUTTING_DOWN || answer.status === STATUS.STALE;
      if (isLost && !trunk.isEnded && sent < VOTE_SENT_MAX) send();
      else
        end(() => {
          try {
            resolve(decoded(answer, who));
          } catch (error) {
            reject(error as Error);
          }
        });
    };
    const send = (): void => {
      sent++;
      request = callSession(trunk as Trunk, { op: OP.VOTE, attachment: null, aux, body }, take);
    };
    const timer = clock.after(limitMs, () =>
      end(() => {
        if (request !== null) trunk.withdraw(request);
        reject(new RsError('E_TIMEOUT', `${who} did not answer within ${printDuration(limitMs)}`));
      }),
    );
    let request: ReturnType<typeof callSession> | null = null;
    send();
  });
}

function decoded({ status, bodies: [body], sentence }: SessionAnswer, who: string): VoteAnswer {
  if (status !== STATUS.OK || body === undefined) throw new RsError('E_SYSTEM', `${who}: ${sentence}`);
  return VoteAnswer.decode(body, 0, body.length);
}

/**
 * Calls `work` for all elements at once. A failure for one element does not stop the calls for other elements. When all calls have ended,
 * throws the first error.
 */
export async function atAll<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const outcomes = await outcomesAtOnce(all, Math.max(1, all.length), work);
  return outcomes.map(({ value, thrown }) => {
    if (thrown !== null) throw toRsError(thrown);
    return value;
  });
}

/** Sends an order to a voter. Throws if the voter refuses. */
export async function vote(server: MirrorServer, order: VoteOrder): Promise<VoteAnswer> {
  return done(await server.vote(order, VOTE_CHANGE_MS), server.name);
}

/**
 * Sends an order. Returns null if the server has executed the order. Otherwise, returns the reason why the server may not have executed the
 * order. `isGone`: true if a server without a record counts as having executed the order.
 */
export async function refusal(server: MirrorServer, order: VoteOrder, isGone = order.kind === 'dismiss'): Promise<string | null> {
  try {
    const { voted, sentence } = await server.vote(order, VOTE_CHANGE_MS);
    return voted === VOTED.DONE || (voted === VOTED.UNKNOWN && isGone) ? null : sentence;
  } catch (thrown) {
    return toRsError(thrown).message;
  }
}
