// Begins, changes and ends replications, and makes, confirms and removes their moments. source-rules.ts and source-orders.ts decide. The
// caller makes one change at a time. Invariants: the manifest of the home is the commit point. It is written last when a replication begins,
// and first when it ends, so that a stop at any step leaves either the old replication or the new one. A confirmation never removes the
// moment that it confirms, nor a later one. Rules: T1, T5, T6.

import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import { type Found, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { ManifestOrder } from '../../pools/disk/manifest.ts';
import { POOL_CHANGE_MS } from '../../pools/limits.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Turn } from '../../pools/requests/turn.ts';
import { type Replication, replicationOf } from '../../pools/source-marks.ts';
import { excessOf, type MemberSnapshot, type Moment } from '../../pools/source-moments.ts';
import { madeMs } from '../../pools/snapshots/snapshot-record.ts';
import type { NewSnapshot } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { MOMENT_REMOVALS_MAX } from '../limits.ts';
import { confirmedOrder, type IsClient, momentBy, nextMoment, replicationTo } from './source-orders.ts';
import { decideEnd, decideReplicate, type WantedReplication } from './source-rules.ts';

export interface SourceVerbsPorts {
  readonly verbs: PoolVerbs;
  readonly snapshots: Pick<SnapshotVerbs, 'snapshot' | 'remove'>;
  readonly log: Pick<Log, 'warn'>;
  /** Returns true if the server has a client with this name. */
  readonly isClient: IsClient;
  /** Opens members for clients that a hand-over has closed. */
  opened(members: readonly Found[]): Promise<void>;
}

export class SourceVerbs {
  private readonly ports: SourceVerbsPorts;
  private readonly verbs: PoolVerbs;
  /** The last reason why an old moment was not removed, which is logged once; null if the last removal has succeeded. */
  private trouble: string | null = null;

  constructor(ports: SourceVerbsPorts) {
    this.ports = ports;
    this.verbs = ports.verbs;
  }

  /** Begins a replication, or changes its settings. */
  async replicate(wanted: WantedReplication, asker: Asker, requestId: string | null): Promise<Replication> {
    asker.needs('manage', 'replicate volumes');
    const { verbs, ports } = this;
    const done = verbs.doneBy(requestId);
    if (done !== null) return this.replicationOf(done);
    await verbs.pools.measure();
    const { home, others } = decideReplicate(verbs.catalogue, wanted, asker, ports.isClient, verbs.stamp(requestId));
    for (const one of others) await this.write(one);
    await this.write(home);
    return this.replicationOf(home);
  }

  /**
   * Ends the replication of exactly these volumes, and returns it as it was. Returns null if this request has ended it before, or if it only
   * had marks.
   */
  async end(volumes: readonly VolumeName[], asker: Asker, requestId: string | null, force: boolean): Promise<Replication | null> {
    asker.needs('manage', 'end replications');
    const { verbs } = this;
    if (verbs.doneBy(requestId) !== null) return null;
    const { replication, home, others } = decideEnd(verbs.catalogue, volumes, asker, requestId, force);
    if (replication !== null)
      await this.ports.opened(replication.members.filter(({ manifest }) => manifest.replication?.handOver !== undefined));
    if (home !== null) await this.write(home);
    // Without the order in the home, these marks do not count, so that a failure does no harm.
    for (const one of others)
      await this.write(one).catch((thrown: unknown) =>
        this.ports.log.warn(`Volume ${volumeText(one.manifest)} keeps the mark of an ended replication: ${toRsError(thrown).message}`),
      );
    return replication;
  }

  /** Returns the moment that this request has made before, or the snapshots of the next moment. Throws E_BUSY if none may be made now. */
  next(
    id: string,
    asker: Asker,
    requestId: string | null,
  ): { readonly made: Moment } | { readonly made: null; wanted: readonly NewSnapshot[] } {
    const replication = replicationTo(this.verbs.catalogue, id, asker);
    const { nowMs } = this.verbs.stamp(null);
    const made = momentBy(replication, requestId, nowMs);
    if (made !== null) return { made };
    return { made, wanted: nextMoment(replication, this.ports.isClient, nowMs) };
  }

  /** Makes the next moment. `snapshot`: name of its snapshots, as `next` has chosen it. */
  async moment(id: string, snapshot: string, asker: Asker, requestId: string | null, turn: Turn): Promise<Moment> {
    const next = this.next(id, asker, requestId);
    if (next.made !== null) return next.made;
    const wanted = next.wanted.map((one) => ({ ...one, snapshot }));
    const found = await this.ports.snapshots.snapshot(wanted, LOCAL_ASKER, requestId, turn);
    const snapshots = found.map(({ record }) => record);
    const [first] = snapshots as [(typeof snapshots)[number]];
    return { group: first.group.id, momentMs: madeMs(first), snapshots };
  }

  /** Records that the client has a moment for good. Returns the number of snapshots of earlier moments that were removed. */
  async confirm(id: string, group: string, asker: Asker): Promise<number> {
    const replication = replicationTo(this.verbs.catalogue, id, asker);
    const order = confirmedOrder(replication, group);
    // The stamp of the last request stays, because a repeated confirmation does no harm, and the repetition of that request might.
    if (order !== replication.order) await this.write(withOrder(replication, order));
    return this.removeExcess(replicationTo(this.verbs.catalogue, id, asker));
  }

  /** A snapshot in use stays, and the next confirmation removes it. */
  private async removeExcess(replication: Replication): Promise<number> {
    let removed = 0;
    let trouble: string | null = null;
    for (const one of excessOf(replication).slice(0, MOMENT_REMOVALS_MAX)) {
      try {
        await this.remove(one);
        removed++;
      } catch (thrown) {
        const { code, message } = toRsError(thrown);
        if (code === 'E_HELD') continue;
        trouble = message;
        break;
      }
    }
    if (trouble !== null && trouble !== this.trouble)
      this.ports.log.warn(`A moment of a replication to client ${replication.order.to} is not removed yet: ${trouble}`);
    this.trouble = trouble;
    return removed;
  }

  private async remove({ manifest, record }: MemberSnapshot): Promise<void> {
    await this.ports.snapshots.remove({ id: manifest.id, snapshotId: record.id }, LOCAL_ASKER, null);
  }

  private async write({ pool, manifest }: Found): Promise<void> {
    await this.verbs.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceManifest(manifest));
    this.verbs.pools.put(pool.name, manifest);
  }

  /** Returns the replication of a home as it is now. */
  private replicationOf({ manifest }: Found): Replication {
    const found = replicationOf(this.verbs.pools.states, manifest);
    if (found !== null && found !== 'unknown') return found;
    throw new RsError('E_BUSY', `Volume ${volumeText(manifest)} has no replication any more: volume replications lists the replications`);
  }
}

function withOrder({ id, memberIds, home: { pool, manifest } }: Replication, order: ManifestOrder): Found {
  return { pool, manifest: { ...manifest, replication: { ...manifest.replication, id, members: [...memberIds], order } } };
}
