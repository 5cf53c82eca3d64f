// Holds answers back until a look has shown that this server owns the shared pool of their volume. Invariants: an answer that needs a look
// is sent only after a look that began after the request was executed. Any other answer follows a look that began at most LOOK_VALID_MS
// before the request had been executed. Closing a handle never waits for a look. Rules: F7, F8.

import type { Clock } from '@rsio/base/lib/clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { PoolLooks } from '../farm/looks.ts';
import { WOULD_WAIT } from '../storage/io/backend.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { mustWait, type OpenVolume } from './request.ts';

export interface LookPorts {
  /**
   * Resolves with true if this server owned the shared pool with this generation at a moment after the call (F8). `hasFailed`: true if the
   * storage has refused a request. The result is then also false if the file system of the pool has failed and must be mounted again.
   */
  look(poolId: string, generation: number, hasFailed: boolean): Promise<boolean>;
  /**
   * Resolves with the age in ms of the listener's last look, or with null if the listener knows no look. Reads nothing from the storage.
   */
  lookAge(poolId: string, generation: number): Promise<number | null>;
}

export interface OwnerLooksPorts extends LookPorts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Converts the status of the backend into the status of the answer (session-volumes.ts). */
  outcome(open: OpenVolume, status: Status): Status;
  /** Begins to revoke the handle. */
  revoke(open: OpenVolume): void;
}

export class OwnerLooks {
  private readonly ports: OwnerLooksPorts;
  /** Maps the id of each shared pool, with its generation, to the looks that all handles share. */
  private readonly byPool = new Map<string, PoolLooks>();

  constructor(ports: OwnerLooksPorts) {
    this.ports = ports;
  }

  /**
   * Returns the looks at the owner of the volume's pool; null if the pool is not shared. `hasFailed`: true for requests that have failed.
   */
  of({ pool }: ServedVolume, hasFailed = false): PoolLooks | null {
    const ownership = pool?.ownership;
    if (ownership === undefined) return null;
    const [poolId = ''] = pool?.ids ?? [];
    const { generation } = ownership;
    const key = `${poolId} ${generation} ${hasFailed}`;
    const { ports } = this;
    const looks =
      this.byPool.get(key) ??
      new PoolLooks(
        () => ports.look(poolId, generation, hasFailed),
        () => ports.lookAge(poolId, generation),
        ports.clock,
      );
    this.byPool.set(key, looks);
    return looks;
  }

  /** Called once a second with the open handles. Learns the age of the last look, for handles that need no look before each answer. */
  tick(handles: Iterable<OpenVolume>): void {
    for (const { looks, isLooked, isLost } of handles) if (looks !== null && !isLooked && !isLost) void looks.learnAge();
  }

  /**
   * Returns true if a request that has succeeded may be answered now, without a look of its own. Must be called after the request was
   * executed.
   */
  mayAnswer({ looks, isLooked, isLost }: OpenVolume): boolean {
    return looks === null || (!isLooked && !isLost && this.ports.clock.monotonicMs() < looks.validUntilMs);
  }

  /**
   * Returns true if `status` is the result of a request that was tried on the event loop. Otherwise, the request must be executed where it
   * can wait for the storage, for space or for a look.
   */
  endsAtOnce(open: OpenVolume, status: Status | typeof WOULD_WAIT): status is Status {
    return status !== WOULD_WAIT && !mustWait(open, status) && this.mayAnswer(open);
  }

  /**
   * Calls `then` with the status for the answer of a request that has ended with `ended`. A request to a shared pool first waits for a look
   * if it has failed, if the handle needs a look before each answer, or if the last look is too old. If the server no longer owns the pool,
   * the status is STALE, because neither a result nor an error of this server is valid any more.
   */
  conclude(open: OpenVolume, ended: Status, then: (status: Status) => void): void {
    const { looks } = open;
    if (open.isLost) this.concludeLost(open, then);
    else if (looks === null || (ended === STATUS.OK && this.mayAnswer(open))) then(this.ports.outcome(open, ended));
    else this.lookFirst(open, (ended === STATUS.OK ? null : this.of(open.volume, true)) ?? looks, ended, then);
  }

  /**
   * Returns the status for an IOCTL. In a shared pool, an error of the storage becomes STALE; the client then opens the volume again, which
   * needs a look.
   */
  refused(open: OpenVolume, status: Status): Status {
    if (open.looks === null || status === STATUS.OK) return this.ports.outcome(open, status);
    this.ports.revoke(open);
    return STATUS.STALE;
  }

  private lookFirst(open: OpenVolume, looks: PoolLooks, ended: Status, then: (status: Status) => void): void {
    // The end of the handle or of the session does not wait for a look, because the client sends unanswered requests again.
    const giveUp = (): void => {
      if (open.looking.delete(giveUp)) then(STATUS.STALE);
    };
    open.looking.add(giveUp);
    void looks.ask().then((isMine) => {
      if (!open.looking.delete(giveUp)) return;
      if (isMine && !open.isLost) then(this.ports.outcome(open, ended));
      else this.concludeLost(open, then);
    });
    if (open.isClosing) giveUp();
  }

  private concludeLost(open: OpenVolume, then: (status: Status) => void): void {
    open.isLost = true;
    this.ports.revoke(open);
    then(STATUS.STALE);
  }
}
