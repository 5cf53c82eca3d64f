// Kicks clients, and fences them so that they cannot reconnect. fences.ts keeps the fences. Invariants: a fence succeeds only when no
// connection of the client is admitted, its session is over, and none of its orders is in execution. If the session or an order does not
// end in time, the request fails with E_TIMEOUT, and the fence stays.

import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Fences } from './fences.ts';
import { SESSION_END_WAIT_MS } from './limits.ts';

/** A session that has been told to end. */
export interface EndingSession {
  readonly pid: number;
  /** Time in ms for which the process of the session has been waiting for its storage; null if the process is not waiting. */
  readonly blockedMs: number | null;
  /**
   * Resolves when no request of the session is running: with true, or with false if the process of the session was killed or has
   * crashed.
   */
  readonly ended: Promise<boolean>;
}

export interface FencingPorts {
  readonly clock: Clock;
  readonly fences: Fences;
  /** Tells the session of a node to end, and returns the session; null if the node has no session. */
  endSession(node: string, code: string, sentence: string): EndingSession | null;
  /** Closes the probe connections of a node. */
  endProbes(node: string, code: string, sentence: string): void;
}

export interface Ended {
  readonly wasConnected: boolean;
  /**
   * False if the process of the client's session was killed, and the storage of the session's volumes has therefore started a new
   * incarnation.
   */
  readonly isClean: boolean;
}

interface Recorded {
  /** The error of a pool that could not record the change; null if every pool has recorded the change. A repeated call tries again. */
  readonly unrecorded: RsError | null;
}

export class Fencing {
  private readonly ports: FencingPorts;

  constructor(ports: FencingPorts) {
    this.ports = ports;
  }

  /**
   * Ends the session of a client. The client can begin a new session. Throws E_TIMEOUT if the session does not end in time; the session
   * still ends later.
   */
  async kick(node: string): Promise<Ended> {
    const session = this.ports.endSession(node, 'E_NO_SESSION', 'An administrator ended the session');
    if (session === null) return { wasConnected: false, isClean: true };
    return { wasConnected: true, isClean: await this.whenEnded(session, session.ended, `The session of client ${node} has not ended yet`) };
  }

  /**
   * Fences a client, and resolves when none of its requests and orders is running. Throws E_SYSTEM if the fence cannot be saved; the client
   * is then not fenced. Throws E_TIMEOUT if a request or order is still running after SESSION_END_WAIT_MS. After E_TIMEOUT, the fence
   * stays, and a repeated call waits again.
   */
  async fence(node: string, by: string | null): Promise<Ended & Recorded> {
    const { fences } = this.ports;
    await fences.set(node, by);
    // If a session was beginning when `set` was called, it has begun or been refused while `set` waited for the disk.
    const sentence = `Node ${node} was fenced by an administrator`;
    this.ports.endProbes(node, 'E_FENCED', sentence);
    const session = this.ports.endSession(node, 'E_FENCED', sentence);
    const ended = Promise.all([session?.ended ?? true, fences.idle(node)]).then(([isClean]) => isClean);
    const recorded = inPools(fences, `Client ${node} is fenced on this server`, 'the next server of the pool lets it in');
    const isClean = await this.whenEnded(session, ended, `Client ${node} is not fenced yet, do not rely on it`);
    if (!fences.has(node)) throw new RsError('E_FENCED', `Client ${node} was let in while it was being fenced: it is not fenced`, { node });
    return { wasConnected: session !== null, isClean, unrecorded: await recorded };
  }

  /** Readmits a fenced client. */
  async unfence(node: string): Promise<{ readonly wasFenced: boolean } & Recorded> {
    const { fences } = this.ports;
    const wasFenced = await fences.lift(node);
    return {
      wasFenced,
      unrecorded: await inPools(fences, `Client ${node} is not fenced on this server`, 'the next server of the pool does not let it in'),
    };
  }

  private async whenEnded(session: EndingSession | null, ended: Promise<boolean>, notYet: string): Promise<boolean> {
    const { clock } = this.ports;
    const outcome = await within(clock, SESSION_END_WAIT_MS, ended, () => null);
    if (outcome !== null) return outcome;
    const waitsFor =
      session === null
        ? 'one of its orders is still being executed'
        : `server process ${session.pid} still has its I/O in progress${session.blockedMs === null ? '' : ', blocked in a call to the storage,'}`;
    throw new RsError(
      'E_TIMEOUT',
      `${notYet}: ${waitsFor} after ${SESSION_END_WAIT_MS / 1_000} s; repeat the command to go on waiting, and check the storage`,
      { pid: session?.pid },
    );
  }
}

/** Records the fenced clients in the pools. Returns the error if that fails for a pool. Never rejects. */
async function inPools(fences: Fences, now: string, consequence: string): Promise<RsError | null> {
  try {
    await fences.saveInPools();
    return null;
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return new RsError(
      code,
      `${now}, but a pool does not record that, and ${consequence}: repeat the command when the pool answers. ${message}`,
    );
  }
}
