// Holds answers back until a look has shown that this server owns the shared pool of their volume. Invariants: an answer that needs a look
// is sent only after a look that began after the request was executed. Closing a handle never waits for a look. Rules: F7, F8.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { Looks } from '../farm/looks.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { OpenVolume } from './request.ts';

export interface OwnerLooksPorts {
  /** Resolves with true if this server owned the shared pool with this generation at a moment after the call. */
  look(poolId: string, generation: number, hasFailed: boolean): Promise<boolean>;
  /** Converts the status of the backend into the status of the answer (session-volumes.ts). */
  outcome(open: OpenVolume, status: Status): Status;
  /** Begins to revoke the handle. */
  revoke(open: OpenVolume): void;
}

export class OwnerLooks {
  private readonly ports: OwnerLooksPorts;
  /** Maps the id of each shared pool, with its generation, to the looks that all handles share. */
  private readonly byPool = new Map<string, Looks>();

  constructor(ports: OwnerLooksPorts) {
    this.ports = ports;
  }

  /**
   * Returns the looks at the owner of the volume's pool; null if the pool is not shared. `hasFailed`: true for requests that have failed.
   */
  of({ pool }: ServedVolume, hasFailed = false): Looks | null {
    const ownership = pool?.ownership;
    if (ownership === undefined) return null;
    const [poolId = ''] = pool?.ids ?? [];
    const key = `${poolId} ${ownership.generation} ${hasFailed}`;
    const looks = this.byPool.get(key) ?? new Looks(() => this.ports.look(poolId, ownership.generation, hasFailed));
    this.byPool.set(key, looks);
    return looks;
  }

  /**
   * Calls `then` with the status for the answer of a request that has ended with `ended`. A request to a shared pool first waits for a look
   * if it has failed, or if the handle needs a look before each answer. If the server no longer owns the pool, the status is STALE, because
   * neither a result nor an error of this server is valid any more.
   */
  conclude(open: OpenVolume, ended: Status, then: (status: Status) => void): void {
    const { looks } = open;
    if (open.isLost) this.concludeLost(open, then);
    else if (looks === null || (ended === STATUS.OK && !open.isLooked)) then(this.ports.outcome(open, ended));
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

  private lookFirst(open: OpenVolume, looks: Looks, ended: Status, then: (status: Status) => void): void {
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
