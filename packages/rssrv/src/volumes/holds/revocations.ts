// Takes a volume away from one client by order of an administrator (docs/PROTOCOL.md H6). The hold ends with the proof of H2, without a
// new holder; then the client leaves the volume's list of clients. Invariants: while the order runs, the client begins no hold of the
// volume or of its snapshots. The list changes only after the hold has ended, because a holder that is not in the list could not open the
// volume again to resend the writes that the storage has lost. A hold whose writes may be lost (H3) stays, and the order is refused.
// Rules: H6.

import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { isFor, type ServedVolume } from '../../storage/io/served-volume.ts';
import { REVOCATION_WAIT_MS, REVOCATIONS_MAX } from '../limits.ts';
import type { Grant } from './grants.ts';
import { type Hold, isUnsettled, volumeIdOf } from './hold-rules.ts';
import type { Holds } from './holds.ts';
import { checkUndisputed, mayHaveLost, notServed, pauseOf, type ReleasePorts, syncHeld } from './releases.ts';

export interface RevocationPorts
  extends Pick<ReleasePorts, 'incarnation' | 'isFenced' | 'sync' | 'incarnationEnded' | 'disputedMs' | 'pause'> {
  /** Returns the served volume or snapshot with this id, or null. */
  find(id: string): ServedVolume | null;
  readonly clock: Pick<Clock, 'after'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly holds: Pick<Holds, 'endHold' | 'epochOf' | 'holdersOf' | 'holdOf'>;
  /** Returns the ids of the snapshots of the volume that the node has open or is opening. */
  readBy(volumeId: string, node: string): readonly string[];
  /**
   * Revokes a node's grants up to `epoch`. Resolves when no request under these grants is running: with true, or with false if writes
   * may be lost.
   */
  revoke(node: string, volumeId: string, epoch: number, why: string): Promise<boolean>;
  /** Called when a hold has ended, so that even an idle client learns that its handle was revoked. */
  holdersChanged(): void;
}

/** The volume of an order. */
export interface LeftVolume {
  readonly id: string;
  readonly name: string;
}

export class Revocations {
  private readonly ports: RevocationPorts;
  /** The orders in progress, keyed by the pair of volume id and node, with the ids of the volume and snapshots whose holds have ended. */
  private readonly leaving = new Map<string, Set<string>>();

  constructor(ports: RevocationPorts) {
    this.ports = ports;
  }

  /** Returns true while an order takes the volume away from the node. */
  isLeaving(volumeId: string, node: string): boolean {
    return this.leaving.has(keyOf(volumeId, node));
  }

  /**
   * Returns true if an OPEN of this volume or snapshot is refused because of an order in progress. An OPEN that resumes a hold is not
   * refused before the hold has ended durably. Until then, the hold may stay, even after a crash, and its holder must be able to resend the
   * writes that the storage has lost.
   */
  isBarred({ id, snapshotOf }: Pick<ServedVolume, 'id' | 'snapshotOf'>, node: string, { resume }: Pick<OpenRequest, 'resume'>): boolean {
    const ended = this.leaving.get(keyOf(snapshotOf ?? id, node));
    return ended !== undefined && (resume === null || ended.has(id));
  }

  /**
   * Returns the answer to an OPEN that is refused because of an order in progress, or because an earlier order has taken the volume away.
   * Returns null for any other OPEN. `meant`: the volume or snapshot of the OPEN, if the client may see it.
   */
  refusalOf(node: string, request: Pick<OpenRequest, 'name' | 'resume'>, meant: ServedVolume | null): Grant | null {
    const { name, resume } = request;
    const isBarred = meant !== null && this.isBarred(meant, node, request);
    if (isBarred && resume === null) return refused(STATUS.HELD, `Volume ${name} is just being taken away from client ${node}: try again`);
    const lost = resume === null ? null : this.ports.find(volumeIdOf(resume));
    if (lost === null || (!isBarred && isFor(lost, node)) || this.hasHold(lost.id, node)) return null;
    return refused(STATUS.TAKEN, `Volume ${name} was taken away from client ${node}, which may not attach it any more`);
  }

  private hasHold(id: string, node: string): boolean {
    return this.ports.holds.holdersOf(id).some((holder) => holder.node === node);
  }

  /**
   * Ends the holds of the node on the volume and its snapshots, and then executes `unlist`, which removes the node from the list of clients.
   * `wasHeld`: true if the node held the volume or a snapshot. Throws E_HELD if the node must first resend the writes that the storage may
   * have lost, E_TIMEOUT if its requests do not end in time, E_BUSY, E_LIMIT, E_VOLUME, E_SYSTEM, and the errors of `unlist`.
   */
  async take<T>(volume: LeftVolume, node: string, unlist: () => Promise<T>): Promise<{ readonly wasHeld: boolean; readonly left: T }> {
    const key = keyOf(volume.id, node);
    if (this.leaving.has(key)) throw new RsError('E_BUSY', `Volume ${volume.name} is just being taken away from ${node}: try again`);
    if (this.leaving.size >= REVOCATIONS_MAX)
      throw new RsError('E_LIMIT', `${REVOCATIONS_MAX} volumes are just being taken away from clients: try again later`);
    this.leaving.set(key, new Set());
    try {
      const wasHeld = await this.inTime(volume, node);
      return { wasHeld, left: await unlist() };
    } finally {
      assert(this.leaving.delete(key), 'A volume is taken away from a client twice at once');
    }
  }

  /**
   * Ends the holds, but ends no hold after REVOCATION_WAIT_MS, because the asker was then told that the order has failed. If a handle was
   * already revoked, nothing is lost, because the client opens the volume again.
   */
  private inTime(volume: LeftVolume, node: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const late = new RsError(
        'E_TIMEOUT',
        `Client ${node} still has volume ${volume.name}: its requests have not ended after ${REVOCATION_WAIT_MS / 1_000} s; ` +
          'repeat the command to go on waiting, and check the storage',
        { node, volume: volume.name },
      );
      const timer = this.ports.clock.after(REVOCATION_WAIT_MS, () => {
        isLate = true;
        reject(late);
      });
      const check = (): void => {
        if (isLate) throw late;
      };
      this.endHolds(volume, node, check)
        .finally(() => timer.cancel())
        .then(resolve, reject);
    });
  }

  private async endHolds(volume: LeftVolume, node: string, check: () => void): Promise<boolean> {
    let wasHeld = await this.endHold(volume, volume.id, node, check);
    for (const id of this.ports.readBy(volume.id, node)) if (await this.endHold(volume, id, node, check)) wasHeld = true;
    if (wasHeld) this.ports.holdersChanged();
    return wasHeld;
  }

  /**
   * Performs steps 1 and 2 of H2 in the turn of the volume, and then ends the hold. `id`: the id of the volume or of one of its snapshots.
   */
  private async endHold(volume: LeftVolume, id: string, node: string, check: () => void): Promise<boolean> {
    const { holds } = this.ports;
    const pause = pauseOf(holds.holdOf(id, node), id, this.ports);
    if (pause !== null) await pause;
    const wasHeld = await holds.endHold(id, node, async (hold) => {
      check();
      const served = hold.readonly ? null : this.servedTo(volume, hold);
      const why = `Volume ${volume.name} is taken away from ${node}`;
      const isFlushed = await this.ports.revoke(node, id, holds.epochOf(id), why);
      if (served !== null) await this.makeDurable(volume, served, hold, isFlushed);
      check();
    });
    this.leaving.get(keyOf(volume.id, node))?.add(id);
    return wasHeld;
  }

  /**
   * Returns the volume of a writer. Throws if the volume is not served, or if the writer must first resend the writes that the storage may
   * have lost.
   */
  private servedTo({ id, name }: LeftVolume, hold: Hold): ServedVolume {
    const { ports } = this;
    const served = ports.find(id);
    if (served === null) throw notServed(name);
    checkUndisputed(served, name, ports);
    if (isUnsettled(hold, ports.incarnation(served))) throw mayHaveLost(name, hold.node, ports.isFenced(hold.node));
    return served;
  }

  private async makeDurable(volume: LeftVolume, served: ServedVolume, hold: Hold, isFlushed: boolean): Promise<void> {
    const { ports } = this;
    if (!isFlushed) await ports.incarnationEnded(served);
    await syncHeld(served, hold.node, ports);
    // A new incarnation may have begun during the wait, for example because a sync has failed or a process was killed.
    this.servedTo(volume, hold);
  }
}

function refused(status: Status, sentence: string): Grant {
  return { granted: false, status, sentence, holders: [] };
}

function keyOf(volumeId: string, node: string): string {
  return `${volumeId} ${node}`;
}
