// Ends the holds and requests of lower terms on this server's replica of a mirror (docs/PROTOCOL.md Q7, rule M4). The voter has already
// promised the higher term, and no OPEN of a lower term is therefore granted. Invariants: `end` resolves only when no request of a term
// below the promised term is running or can begin. `end` does not end holds or requests of the promised term. For each volume, at most one
// fence is running and one is waiting.

import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { Hold } from '../volumes/holds/hold-rules.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import { isOfTerm, type MirrorPromise } from '../volumes/holds/replica-opens.ts';
import type { RevocationPorts } from '../volumes/holds/revocations.ts';
import type { OwnReplica } from './own-replicas.ts';

export interface ReplicaFencePorts extends Pick<RevocationPorts, 'incarnationEnded' | 'revoke'> {
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly holds: Pick<Holds, 'endHolds'>;
  promiseOf(mirror: string): MirrorPromise | null;
  /** Returns the nodes whose sessions have the volume open, or are opening it. */
  usersOf(volumeId: string): readonly string[];
  /** Called when a hold has ended, so that even an idle client learns that its handle was revoked. */
  listChanged(volumes: readonly ServedVolume[]): void;
}

interface Fences {
  running: Promise<unknown>;
  next: Promise<void> | null;
}

export class ReplicaFence {
  private readonly ports: ReplicaFencePorts;
  private readonly fences = new Map<string, Fences>();

  constructor(ports: ReplicaFencePorts) {
    this.ports = ports;
  }

  /**
   * Ends all holds of terms below the promised term. If a fence of this volume is already waiting to begin, the call waits for this fence
   * and adds none. Rejects if the volume has a hold of a higher term than the promised term, or if the change cannot be saved.
   */
  end(volume: OwnReplica): Promise<void> {
    const fences = this.fences.get(volume.id) ?? { running: Promise.resolve(), next: null };
    this.fences.set(volume.id, fences);
    if (fences.next !== null) return fences.next;
    const next = fences.running.then(() => {
      fences.next = null;
      return this.endNow(volume, (holds) => this.lower(volume, holds), nothing);
    });
    fences.next = next;
    const running = next.catch(() => undefined);
    fences.running = running;
    void running.then(() => {
      if (fences.running === running) this.fences.delete(volume.id);
    });
    return next;
  }

  /**
   * In the turn of the volume, ends the holds that `losersOf` returns. Also revokes the grants of each node that uses the volume without
   * keeping a hold. At the end, calls `after` and returns the result.
   */
  async endNow<T>(volume: ServedVolume, losersOf: (holds: readonly Hold[]) => readonly Hold[], after: () => Promise<T>): Promise<T> {
    const { holds, log } = this.ports;
    let kept: readonly string[] = [];
    let hasEnded = false;
    const choose = (all: readonly Hold[]): readonly Hold[] => {
      const losers = losersOf(all);
      hasEnded = losers.length > 0;
      kept = all.filter((hold) => !losers.includes(hold)).map(({ node }) => node);
      return losers;
    };
    const revoke = async (losers: readonly Hold[], epoch: number): Promise<void> => {
      const nodes = new Set([...losers.map(({ node }) => node), ...this.ports.usersOf(volume.id).filter((node) => !kept.includes(node))]);
      const why = `Replica ${volume.name} was claimed or placed by a client of its mirror`;
      if (losers.length > 0) log.info(`${why}: it is closed at ${[...nodes].join(', ')} first`, { audit: true, volume: volume.name });
      const flushed = await Promise.all([...nodes].map((node) => this.ports.revoke(node, volume.id, epoch, why)));
      if (flushed.every(Boolean)) return;
      // The replica still counts as in sync after lost writes, because the new holder copies the regions whose bits are set in the intent
      // map.
      log.error(`${why}, and writes of its last holder may be lost: a flush failed`, { volume: volume.name });
      await this.ports.incarnationEnded(volume);
    };
    return holds.endHolds(volume.id, choose, revoke, () => {
      if (hasEnded) this.ports.listChanged([volume]);
      return after();
    });
  }

  private lower({ name, replica: { mirror } }: OwnReplica, holds: readonly Hold[]): readonly Hold[] {
    const promise = this.ports.promiseOf(mirror)?.promise ?? null;
    if (promise === null) throw new RsError('E_SYSTEM', `This server has promised no term of the mirror of volume ${name} any more`);
    const higher = holds.find((hold) => isHigher(hold, promise));
    // A hold of a higher term than the promised term exists only if the voter has lost its record. A client with a lower term must not get
    // the replica by founding the record again.
    if (higher !== undefined)
      throw new RsError('E_HELD', `Volume ${name} is open by the higher term ${higher.term ?? 0} of client ${higher.node}`);
    return holds.filter((hold) => !isOfTerm(hold, promise));
  }
}

function isHigher({ term: number, node, instance }: Hold, promise: Term): boolean {
  return number !== undefined && compareTerms({ number, node, instance }, promise) > 0;
}

function nothing(): Promise<void> {
  return Promise.resolve();
}
