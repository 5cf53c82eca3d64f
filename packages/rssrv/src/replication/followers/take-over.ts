// Makes the followers of a replication the source of a replication in the other direction, when their source has handed its volumes over.
// Invariants: a volume becomes an ordinary one only with the last moment of its closed source, and only if an order at this server wants just
// this hand-over. The replication in the other direction exists when that is done for all volumes; a take-over that was interrupted goes on.
// The order of this server, and nothing that the source says, decides which client gets the volumes. Rules: T9.

import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import type { Manifest, WishMark } from '../../pools/disk/manifest.ts';
import { following } from '../../pools/follower-rules.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { FOLLOWER_STEP_MS } from '../limits.ts';
import { commonGroups, copiesOf, type HandOverOrder } from './follower-plan.ts';
import type { FollowerVerbs } from './follower-verbs.ts';
import type { Promotion } from './promotion.ts';

export class TakeOver {
  private readonly verbs: PoolVerbs;
  private readonly followers: Pick<FollowerVerbs, 'of'>;
  private readonly promotion: Promotion;

  constructor(verbs: PoolVerbs, followers: Pick<FollowerVerbs, 'of'>, promotion: Promotion) {
    this.verbs = verbs;
    this.followers = followers;
    this.promotion = promotion;
  }

  /** The caller makes no other change meanwhile. */
  async run(order: ReplicationOrder, handOver: HandOverOrder): Promise<void> {
    const found = this.followers.of(order.replication);
    const wish = checkWanted(found, handOver);
    checkLast(found, handOver);
    checkFree(found, handOver);
    if (found.some(({ manifest }) => following(manifest) !== null)) {
      if (commonGroups(copiesOf(found)).at(-1) !== handOver.group && !isBegun(found, handOver))
        throw new RsError('E_BUSY', 'The followers do not have the last moment yet');
      const names = found.map(({ manifest: { name, universe } }) => ({ name, universe }));
      await this.promotion.promote(names, LOCAL_ASKER, null, (manifest) => marked(manifest, found, order, handOver, wish));
    }
    // A follower that was promoted by a command lacks the mark.
    for (const one of this.followers.of(order.replication))
      if (one.manifest.replication?.id !== handOver.replication) await this.mark(one, marked(one.manifest, found, order, handOver, wish));
  }

  private async mark({ pool, manifest: was }: Found, manifest: Manifest): Promise<void> {
    await this.verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => files.replaceManifest(manifest));
    this.verbs.pools.put(pool.name, manifest);
    await this.verbs.serve(pool, was, manifest);
  }
}

/** Returns the wish of the followers. Throws E_BUSY unless all those that are left want this hand-over, or if nobody has wanted it. */
function checkWanted(found: readonly Found[], { replication }: HandOverOrder): WishMark {
  const wishes = found.flatMap(({ manifest }) => (following(manifest) === null ? [] : (manifest.follower?.wanted ?? null)));
  const [first = found.flatMap(({ manifest }) => manifest.follower?.wanted ?? [])[0]] = wishes;
  if (first !== undefined && first !== null && wishes.every((one) => one?.replication === replication) && first.replication === replication)
    return first;
  throw new RsError('E_BUSY', 'The source is closed for a hand-over that no order at this server wants: it opens again');
}

/** Returns true if a volume was promoted with this hand-over, so that the others follow. */
function isBegun(found: readonly Found[], { replication }: HandOverOrder): boolean {
  return found.some(({ manifest }) => following(manifest) === null && manifest.replication?.id === replication);
}

/** Throws E_USAGE if a command has promoted a follower before it had the last moment. Its source has content that would be lost. */
function checkLast(found: readonly Found[], { group }: HandOverOrder): void {
  const early = found.find(({ manifest: { follower } }) => (follower?.promoted ?? null) !== null && follower?.promoted?.group !== group);
  if (early === undefined) return;
  const names = found.map(({ manifest: { follower, name } }) => follower?.sourceName ?? name).join(' ');
  throw new RsError(
    'E_USAGE',
    `Volume ${volumeText(early.manifest)} was promoted before it had the last moment of its source, which is closed for clients: ` +
      `rsadm volume replicate ${names} --end --force there opens it again`,
  );
}

/** Throws E_EXISTS if a command has promoted the followers, and they were replicated elsewhere or became replicas since then. */
function checkFree(found: readonly Found[], handOver: HandOverOrder): void {
  for (const { manifest } of found) {
    const { follower, replica, replication } = manifest;
    if (replica === undefined && (replication === undefined || replication.id === handOver.replication)) continue;
    const what = replica === undefined ? 'is replicated to another server' : `is a replica of mirror ${replica.mirror}`;
    const source = follower?.sourceName ?? manifest.name;
    throw new RsError(
      'E_EXISTS',
      `Volume ${volumeText(manifest)} ${what} already, and cannot be replicated to its earlier source, which is closed for clients: ` +
        `end that first, or rsadm volume replicate ${source} --end --force at the source opens it again`,
      { volume: volumeText(manifest) },
    );
  }
}

/** Returns the manifest with the mark of the replication in the other direction. The other server may attach the volume. */
function marked(
  manifest: Manifest,
  all: readonly Found[],
  order: ReplicationOrder,
  { replication, group }: HandOverOrder,
  { node, reversible }: WishMark,
): Manifest {
  const { everyMs, keep, limitBytes } = order;
  const members = all.map((one) => one.manifest.id);
  const momentMs = order.moments.find((one) => one.group === group)?.momentMs ?? 0;
  const back = reversible ? { reversible: manifest.follower?.peer ?? '' } : {};
  const settings = { to: node, pool: null, everyMs, keep, limitBytes, createdMs: momentMs, confirmed: { group, momentMs }, ...back };
  const clients = manifest.clients === null || manifest.clients.includes(node) ? manifest.clients : [...manifest.clients, node];
  return { ...manifest, clients, replication: { id: replication, members, order: members[0] === manifest.id ? settings : null } };
}
