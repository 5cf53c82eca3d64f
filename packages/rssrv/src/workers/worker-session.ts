// One session in a worker, as the listener sees it: the messages to it and from it. The worker owns the process. Invariant (S9): `ended` resolves
// only when nothing that the session started is running.

import type { Socket } from 'node:net';
import type { Clock } from '@rsio/common/lib/clock';
import { WORKER_DRAIN_TIMEOUT_MS } from './limits.ts';
import type { FromSession, ToSession, ToWorker } from './channel.ts';

/** What a session needs from its worker. */
export interface WorkerSessionPorts {
  readonly pid: number;
  readonly usable: Promise<void>;
  readonly clock: Clock;
  /** For how long the process has been blocked by its storage, in ms; null: it is running. */
  readonly blockedMs: number | null;
  send(message: ToWorker, socket?: Socket): void;
  /** The session has ended in order, or has never begun (`isUnused`). */
  sessionEnded(workerSession: WorkerSession, isUnused?: boolean): void;
  kill(): void;
}

export class WorkerSession {
  readonly session: string;
  /** Resolves when the session has ended or its process has exited. True: it ended in order, with everything flushed. */
  readonly ended: Promise<boolean>;
  /** Resolves when it has been told to end, or has ended. */
  readonly ending: Promise<void>;
  onMessage: (message: FromSession) => void = () => {};
  private readonly worker: WorkerSessionPorts;
  /** Revocations without an answer, by number. */
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

  /** The same as its worker's. */
  get blockedMs(): number | null {
    return this.isOver ? null : this.worker.blockedMs;
  }

  /** The same as its worker's. */
  get usable(): Promise<void> {
    return this.worker.usable;
  }

  get isGone(): boolean {
    return this.isOver;
  }

  /** Whether it has been told to end, or has ended. */
  get isEnding(): boolean {
    return this.isAskedToEnd;
  }

  send(message: ToSession, socket?: Socket): void {
    if (this.isOver) socket?.destroy();
    else this.worker.send({ type: 'session', session: this.session, message }, socket);
  }

  /**
   * Revokes what was granted on a volume up to `epoch`. Resolves when nothing of it is running, or when the session has ended. False: a flush
   * reported lost writes.
   */
  async revoke(volumeId: string, epoch: number): Promise<boolean> {
    if (this.isOver) return true;
    const number = this.revokeNumber++;
    const answered = new Promise<boolean>((resolve) => this.revoking.set(number, resolve));
    this.send({ type: 'revoke', number, volumeId, epoch });
    return Promise.race([answered, this.ended.then(() => true)]);
  }

  /**
   * Tells the session to answer, flush and end. After WORKER_DRAIN_TIMEOUT_MS its process is killed, because nothing else makes sure that nothing of
   * it is running; the other sessions in it have to reconnect. Resolves when it has ended.
   */
  async end(code: string, sentence: string): Promise<void> {
    this.resolveEnding();
    this.send({ type: 'end', code, sentence });
    const timer = this.worker.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.worker.kill());
    await this.ended;
    timer.cancel();
  }

  /** Gives the place back; nothing was sent to the session. */
  discard(): void {
    this.resolveEnding();
    if (!this.isOver) this.worker.sessionEnded(this, true);
  }

  // --- what its worker reports

  receive(message: FromSession): void {
    if (message.type === 'ended') {
      this.resolveEnding();
      this.worker.sessionEnded(this);
    } else if (message.type === 'revoked') {
      this.revoking.get(message.number)?.(message.isFlushed);
      this.revoking.delete(message.number);
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
