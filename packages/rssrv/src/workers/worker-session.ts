// The place of one session in a worker, as the listener sees it: what is told to the session, and what it says. Leaves the process to its
// worker. Invariant (S9): what `ended` resolves is that nothing runs any more that the session began.

import type { Socket } from 'node:net';
import type { Clock } from '@rsio/common/lib/clock';
import { WORKER_DRAIN_TIMEOUT_MS } from './limits.ts';
import type { FromSession, ToSession, ToWorker } from './channel.ts';

/** The worker. */
export interface WorkerSessionPorts {
  readonly pid: number;
  readonly usable: Promise<void>;
  readonly clock: Clock;
  /** For how long it has not run, because it waits for its storage; null: it runs. */
  readonly blockedMs: number | null;
  send(message: ToWorker, socket?: Socket): void;
  /** Its session has ended in order, or has never begun (`isUnused`). */
  sessionEnded(workerSession: WorkerSession, isUnused?: boolean): void;
  kill(): void;
}

export class WorkerSession {
  readonly session: string;
  /** Resolves when the session has ended, or its process is gone; true: it ended as it was told to, with everything flushed. */
  readonly ended: Promise<boolean>;
  /** Resolves when it has been told to end, or has ended. */
  readonly ending: Promise<void>;
  onMessage: (message: FromSession) => void = () => {};
  private readonly worker: WorkerSessionPorts;
  /** By number: told to revoke, and not answered yet. */
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

  /** As its worker's. */
  get blockedMs(): number | null {
    return this.isOver ? null : this.worker.blockedMs;
  }

  /** As its worker's. */
  get usable(): Promise<void> {
    return this.worker.usable;
  }

  get isGone(): boolean {
    return this.isOver;
  }

  /** It has been told to end, or has ended. */
  get isEnding(): boolean {
    return this.isAskedToEnd;
  }

  send(message: ToSession, socket?: Socket): void {
    if (this.isOver) socket?.destroy();
    else this.worker.send({ type: 'session', session: this.session, message }, socket);
  }

  /**
   * Tells the session that what was granted on a volume up to `epoch` is void. Resolves when nothing of it runs any more, also because the
   * session has ended; false: a flush said that what was written may be lost.
   */
  async revoke(volumeId: string, epoch: number): Promise<boolean> {
    if (this.isOver) return true;
    const number = this.revokeNumber++;
    const answered = new Promise<boolean>((resolve) => this.revoking.set(number, resolve));
    this.send({ type: 'revoke', number, volumeId, epoch });
    return Promise.race([answered, this.ended.then(() => true)]);
  }

  /**
   * Tells the session to answer what it began, flush and end; past WORKER_DRAIN_TIMEOUT_MS its process is killed, and the other sessions in it
   * begin anew: nothing else makes sure that nothing of it runs. Resolves when it has ended.
   */
  async end(code: string, sentence: string): Promise<void> {
    this.resolveEnding();
    this.send({ type: 'end', code, sentence });
    const timer = this.worker.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.worker.kill());
    await this.ended;
    timer.cancel();
  }

  /** Nothing was told it: another may have its place. */
  discard(): void {
    this.resolveEnding();
    if (!this.isOver) this.worker.sessionEnded(this, true);
  }

  // --- what its worker hears, and sees

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
