// One session in a worker, as the listener sees it; worker-pool.ts owns the process. Invariant (S9): `ended` resolves only when none of the
// session's operations is running.

import type { Socket } from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { WORKER_DRAIN_TIMEOUT_MS } from '../limits.ts';
import type { FromSession, ToSession, ToWorker } from '../../session/channel/channel.ts';

/** The methods and facts that a worker session needs from its worker. */
export interface WorkerSessionPorts {
  readonly pid: number;
  readonly usable: Promise<void>;
  readonly clock: Clock;
  /** Time in ms for which storage has been blocking the worker; null if the worker is not blocked. */
  readonly blockedMs: number | null;
  send(message: ToWorker): void;
  /** Sends a message with a connection, and closes this process's copy of the connection. */
  sendSocket(message: ToWorker & { type: 'session' }, socket: Socket): void;
  /** Passes descriptors to the worker, and closes this process's copies. Returns the tag of the passed descriptors. Throws E_SYSTEM. */
  pass(descriptors: readonly number[]): Promise<number>;
  /** Called when the session has ended cleanly, or has never begun (`isUnused`). */
  sessionEnded(workerSession: WorkerSession, isUnused?: boolean): void;
  kill(): void;
}

/** The messages of a session that others than its WorkerSession handle. */
export type SessionReport = Exclude<FromSession, { readonly type: 'revoked' | 'ended' }>;

export class WorkerSession {
  readonly session: string;
  /** Resolves with true when the session has ended cleanly with all writes flushed, or with false when its process has exited first. */
  readonly ended: Promise<boolean>;
  /** Resolves when the session has been told to end, or has ended. */
  readonly ending: Promise<void>;
  onMessage: (message: SessionReport) => void = () => {};
  private readonly worker: WorkerSessionPorts;
  /** Maps the number of each unanswered revocation to the function that receives the answer. */
  private readonly revoking = new Map<number, (isFlushed: boolean) => void>();
  private revokeNumber = 0;
  private resolveEnding: () => void = () => undefined;
  private resolveEnded: (isClean: boolean) => void = () => undefined;
  private isAskedToEnd = false;
  private isOver = false;

  constructor(worker: WorkerSessionPorts, session: string) {
    this.worker = worker;
    this.session = session;
    this.ending = new Promise((resolve) => {
      this.resolveEnding = () => {
        this.isAskedToEnd = true;
        resolve();
      };
    });
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
  }

  get pid(): number {
    return this.worker.pid;
  }

  get blockedMs(): number | null {
    return this.isOver ? null : this.worker.blockedMs;
  }

  get usable(): Promise<void> {
    return this.worker.usable;
  }

  get isGone(): boolean {
    return this.isOver;
  }

  get isEnding(): boolean {
    return this.isAskedToEnd;
  }

  /** `socket` is the connection of a `path` message. This process closes its copy of the socket after sending. */
  send(message: ToSession, socket?: Socket): void {
    const named = { type: 'session', session: this.session, message } as const;
    if (this.isOver) socket?.destroy();
    else if (socket === undefined) this.worker.send(named);
    else this.worker.sendSocket(named, socket);
  }

  /**
   * Passes descriptors to the worker, and closes this process's copies. Returns the tag with which the worker finds the descriptors. Throws
   * E_SYSTEM.
   */
  pass(descriptors: readonly number[]): Promise<number> {
    return this.worker.pass(descriptors);
  }

  /**
   * Revokes a volume's grants up to `epoch`. Resolves when no request under these grants is running, or when the session has ended; the
   * result is false if a flush has reported lost writes.
   */
  async revoke(volumeId: string, epoch: number): Promise<boolean> {
    if (this.isOver) return true;
    const number = this.revokeNumber++;
    const answered = new Promise<boolean>((resolve) => this.revoking.set(number, resolve));
    this.send({ type: 'revoke', number, volumeId, epoch });
    return Promise.race([answered, this.ended.then(() => true)]);
  }

  /**
   * Tells the session to answer its requests, flush and end. If the session has not ended after WORKER_DRAIN_TIMEOUT_MS, this method kills
   * the worker, which ends all requests. Clients of other sessions in the worker then have to reconnect. Resolves when the session has
   * ended.
   */
  async end(code: string, sentence: string): Promise<void> {
    this.resolveEnding();
    this.send({ type: 'end', code, sentence });
    const timer = this.worker.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.worker.kill());
    await this.ended;
    timer.cancel();
  }

  /** Ends a worker session that has never begun. */
  discard(): void {
    this.resolveEnding();
    if (!this.isOver) this.worker.sessionEnded(this, true);
  }

  // --- Reports of the worker

  /** Throws E_PROTOCOL for a message that the worker may not send for this session. */
  receive(message: FromSession): void {
    if (message.type === 'ended') {
      this.resolveEnding();
      this.worker.sessionEnded(this);
    } else if (message.type === 'revoked') {
      const answered = this.revoking.get(message.number);
      if (answered === undefined) throw new RsError('E_PROTOCOL', 'an answer to a revocation that was not asked for');
      this.revoking.delete(message.number);
      answered(message.isFlushed);
    } else {
      this.onMessage(message);
    }
  }

  finish(isClean: boolean): void {
    this.isOver = true;
    this.resolveEnding();
    this.resolveEnded(isClean);
  }
}
