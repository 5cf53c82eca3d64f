// Makes volumes, which were the source, followers of the volumes that another server has promoted from them. Invariants: a volume follows
// the volume with which it has a moment in common, found by the ids of snapshots, or without one the volume that was promoted from it, that it
// followed, or that has its name. Its present content is a snapshot before it follows, and no client can write between the two. No earlier snapshot but
// the base is a moment from then on. A demotion that was interrupted goes on when it is ordered again. Rules: T4, T10, T11.

import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { timeName } from '@rsio/base/lib/time-name';
import type { Asker } from '../../pools/asker.ts';
import { checkOnce, findToChange, type Found, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import { checkNoFollower, checkOneFile, following } from '../../pools/follower-rules.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { volumeConfigOf } from '../../pools/pool-volume.ts';
import { checkNoReplica } from '../../pools/replica-rules.ts';
import { replicationOf } from '../../pools/source-marks.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import type { SnapshotAnswers } from '../../snapshots/reads/snapshot-answers.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { FOLLOWER_STEP_MS } from '../limits.ts';
import { commonBase } from './follower-plan.ts';
import { newestPlace } from './follower-verbs.ts';

export interface DemotionPorts {
  readonly verbs: PoolVerbs;
  readonly snapshots: Pick<SnapshotVerbs, 'snapshotUnserved'>;
  readonly differences: Pick<SnapshotAnswers, 'difference'>;
  /** The orders that the peer has now. */
  ordersOf(peer: string): readonly ReplicationOrder[];
}

interface Pair {
  readonly found: Found;
  readonly member: ReplicationOrder['members'][number];
  /** The snapshot of the moment in common; null if there is none. */
  readonly base: SnapshotRecord | null;
  readonly follows: boolean;
}

export interface PlannedDemotion {
  readonly order: ReplicationOrder;
  readonly pairs: readonly Pair[];
}

export class Demotion {
  private readonly ports: DemotionPorts;

  constructor(ports: DemotionPorts) {
    this.ports = ports;
  }

  /** Throws unless the volumes are all those that one order of the peer can make its followers. */
  plan(wanted: readonly VolumeName[], peer: string, asker: Asker): PlannedDemotion {
    asker.needs('manage', 'demote volumes');
    const { verbs } = this.ports;
    checkOnce(wanted);
    const found = wanted.map((name) => findToChange(verbs.catalogue, name, asker, 'demote volumes'));
    const orders = this.ports.ordersOf(peer);
    const left = found.filter(({ manifest }) => !orders.some((order) => follows(manifest, order)));
    for (const one of left) this.check(one, found);
    for (const order of orders) {
      // A peer that hands its volumes over itself would follow as well, and no server would have the content.
      if (order.handOver !== null || (order.granted ?? null) !== null) continue;
      const pairs = order.members.flatMap((member) => pairOf(order, member, found) ?? []);
      if (pairs.length !== order.members.length || pairs.length !== found.length) continue;
      if (left.length > 0) return { order, pairs };
      throw new RsError('E_USAGE', `These volumes follow server ${peer} already: rsadm volume replications shows their state`);
    }
    const texts = found.map(({ manifest }) => volumeText(manifest)).join(', ');
    throw new RsError(
      'E_USAGE',
      `Server ${peer} replicates no volumes to this server that have a moment or the name of ${texts}: first give volume replicate there, with the volumes that were promoted from these`,
    );
  }

  /** Throws unless the volume can be demoted together with the others. */
  private check(one: Found, all: readonly Found[]): void {
    const { verbs } = this.ports;
    // A source that is closed for a hand-over may be demoted.
    if (following(one.manifest) !== null) checkNoFollower(one.manifest, 'be demoted');
    checkNoReplica(one.manifest, 'be demoted');
    checkOneFile(one.manifest, 'be demoted');
    verbs.checkUnheld(one);
    const own = replicationOf(verbs.pools.states, one.manifest);
    const isWhole =
      own === null || (own !== 'unknown' && own.members.every(({ manifest }) => all.some((other) => other.manifest.id === manifest.id)));
    if (!isWhole)
      throw new RsError('E_USAGE', `Volume ${volumeText(one.manifest)} shares its moments with other volumes: name all of them`);
  }

  /** Returns how many bytes differ between the base and the present content of all volumes together. */
  async lostBytes({ pairs }: PlannedDemotion): Promise<number> {
    const { differences, verbs } = this.ports;
    let sum = 0;
    for (const { found, base, follows: isDone } of pairs) {
      if (isDone) continue;
      const { sizeBytes } = found.manifest;
      if (base === null) {
        sum += sizeBytes;
        continue;
      }
      const volume = volumeConfigOf(found.pool, found.manifest, verbs.pools.states);
      for (let from = 0; from < sizeBytes; ) {
        const { ranges, endBytes } = await differences.difference(volume, base, null, from, sizeBytes);
        for (const { lengthBytes } of ranges) sum += lengthBytes;
        if (endBytes <= from) throw new RsError('E_BUSY', `The pool of volume ${volume.name} does not say what has changed: try again`);
        from = endBytes;
      }
    }
    return sum;
  }

  /** Returns the name of the snapshots that keep the present content. Nothing else may change the volumes meanwhile. */
  async demote(wanted: readonly VolumeName[], peer: string, asker: Asker): Promise<string> {
    const { verbs, snapshots } = this.ports;
    const { order, pairs } = this.plan(wanted, peer, asker);
    const left = pairs.filter((one) => !one.follows);
    const kept = `before-demotion-${timeName(verbs.stamp(null).nowMs)}`;
    const named = left.map(({ found: { manifest } }) => ({
      name: manifest.name,
      universe: manifest.universe,
      snapshot: kept,
      isKept: true,
    }));
    const work = async (): Promise<void> => {
      await snapshots.snapshotUnserved(named);
      for (const pair of left) await this.follow(pair, order, peer);
    };
    await verbs.whileAllUnserved(
      left.map(({ found }) => found),
      work,
    );
    return kept;
  }

  private async follow({ found: { pool, manifest }, member, base }: Pair, order: ReplicationOrder, peer: string): Promise<void> {
    const { verbs } = this.ports;
    const { replication: _order, ...own } = manifest;
    const source = { sourceId: member.id, sourceName: member.name, sourceUniverse: member.universe };
    const members = order.members.map(({ id }) => id);
    const begun = base === null ? {} : { base: momentIdOf(base) };
    const after = newestPlace(this.now({ pool, manifest }));
    const follower = { replication: order.replication, peer, ...source, members, ...begun, after, promoted: null };
    await verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => files.replaceManifest({ ...own, follower }));
    verbs.pools.put(pool.name, { ...own, follower });
  }

  /** The volume with the snapshots that it has now. */
  private now({ pool: { name }, manifest }: Found): Found {
    return { pool: this.ports.verbs.pools.states.find((one) => one.name === name)!, manifest };
  }
}

function follows(manifest: Manifest, { replication, members }: ReplicationOrder): boolean {
  const mark = following(manifest);
  return mark !== null && mark.replication === replication && members.some(({ id }) => id === mark.sourceId);
}

function pairOf(order: ReplicationOrder, member: ReplicationOrder['members'][number], all: readonly Found[]): Pair | null {
  for (const found of all)
    if (follows(found.manifest, order) && found.manifest.follower?.sourceId === member.id)
      return { found, member, base: null, follows: true };
  const left = all.filter(({ manifest }) => !follows(manifest, order));
  for (const found of left) {
    const { list } = snapshotsOf(found);
    const common = commonBase(order, { sourceId: member.id, snapshots: list });
    const base = list.find(({ name }) => name === common?.own);
    if (base !== undefined) return { found, member, base, follows: false };
  }
  // T11: a person has named the volume, and its content is kept and then compared.
  if (order.problem !== null) return null;
  const isFree = ({ manifest }: Found): boolean => !hasOther(order, member.id, manifest, all);
  const named =
    left.find((one) => one.manifest.id === member.was && isFree(one)) ??
    left.find((one) => one.manifest.follower?.sourceId === member.id && isFree(one)) ??
    left.find((one) => one.manifest.name === member.name && one.manifest.universe === member.universe && isFree(one));
  return named === undefined ? null : { found: named, member, base: null, follows: false };
}

/** Returns true if the volume has a moment of another volume of the order, so that its name means nothing. */
function hasOther(order: ReplicationOrder, sourceId: string, manifest: Manifest, all: readonly Found[]): boolean {
  const snapshots = all.filter((one) => one.manifest.id === manifest.id).flatMap((one) => snapshotsOf(one).list);
  return order.members.some(({ id }) => id !== sourceId && commonBase(order, { sourceId: id, snapshots }) !== null);
}
