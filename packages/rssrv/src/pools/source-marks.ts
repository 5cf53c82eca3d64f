// Finds the replications of the volumes of pools, and refuses changes that a replication forbids. Pure. Invariants: a replication exists if
// and only if the manifest of its home, the first member, has the order. Marks of other members without such a home are ignored. If the home
// may be in a pool that is not open, a member counts as replicated. No volume counts as absent while a pool or a folder in it was not read.
// Rules: T1, T6 to T8.

import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import { type Found, type PoolState, volumeText } from './catalogue.ts';
import type { HandOverMark, Manifest, ManifestOrder } from './disk/manifest.ts';

type Marked = Pick<Manifest, 'name' | 'universe' | 'replication'>;

/** A replication whose home is in an open pool. */
export interface Replication {
  readonly id: string;
  readonly order: ManifestOrder;
  readonly home: Found;
  /** Ids of all members, the home first. */
  readonly memberIds: readonly string[];
  /** The members that are in open pools, in the order of `memberIds`. */
  readonly members: readonly Found[];
}

/** Returns all replications whose homes are in open pools. */
export function replicationsIn(pools: readonly PoolState[]): readonly Replication[] {
  return pools.flatMap((pool) =>
    [...pool.volumes.values()].flatMap((manifest) => {
      const { replication: mark, movedTo } = manifest;
      // In the last step of a move, two pools may have the home.
      if (mark === undefined || mark.order === null || movedTo !== undefined) return [];
      return replicationOfHome(pools, { pool, manifest }) ?? [];
    }),
  );
}

/** Returns the replication of a volume; null if it has none, and `unknown` if its home may be in a pool that is not open. */
export function replicationOf(pools: readonly PoolState[], { replication: mark }: Marked): Replication | 'unknown' | null {
  const homeId = mark?.members[0];
  if (mark === undefined || homeId === undefined) return null;
  const home = volumeById(pools, homeId);
  if (home !== null) {
    // A replication with the same id may have begun without this volume, while its pool was away.
    const { id, members = [] } = home.manifest.replication ?? {};
    return id === mark.id && mark.members.every((one) => members.includes(one)) ? replicationOfHome(pools, home) : null;
  }
  return pools.every(({ isOpen, unreadable }) => isOpen && !unreadable.has(homeId)) ? null : 'unknown';
}

function replicationOfHome(pools: readonly PoolState[], home: Found): Replication | null {
  const { id: homeId, replication: mark } = home.manifest;
  if (mark === undefined || mark.order === null || mark.members[0] !== homeId) return null;
  const { id, order, members: memberIds } = mark;
  const members = memberIds.flatMap((memberId) => {
    const found = memberId === homeId ? home : volumeById(pools, memberId);
    return found !== null && found.manifest.replication?.id === id ? found : [];
  });
  return { id, order, home, memberIds, members };
}

/** Returns the hand-over, once all members are closed; null before. After its last moment, members become followers one after the other. */
export function handOverOf({ members, memberIds, home }: Replication): HandOverMark | null {
  const mark = home.manifest.replication?.handOver;
  if (mark === undefined || mark.group !== null) return mark ?? null;
  const isClosed = members.length === memberIds.length && members.every(({ manifest }) => manifest.replication?.handOver !== undefined);
  return isClosed ? mark : null;
}

function volumeById(pools: readonly PoolState[], id: string): Found | null {
  let leaving: Found | null = null;
  for (const pool of pools) {
    const manifest = pool.volumes.get(id);
    if (manifest === undefined) continue;
    if (manifest.movedTo === undefined) return { pool, manifest };
    leaving = { pool, manifest };
  }
  return leaving;
}

/** Throws if the volume is replicated to another server. `what`: the refused change, such as `be removed`. */
export function checkNoSource(pools: readonly PoolState[], manifest: Marked, asker: Asker, what: string): void {
  const found = replicationOf(pools, manifest);
  if (found === null) return;
  if (found === 'unknown') throw homeAway(pools, manifest);
  const text = volumeText(manifest);
  throw new RsError('E_USAGE', `Volume ${text} is replicated to client ${found.order.to}, and cannot ${what}: ${endText(found, asker)}`, {
    volume: text,
  });
}

/** Throws if the volume is replicated and could get no moments in the pool `to`. */
export function checkSourceMove(pools: readonly PoolState[], { pool, manifest }: Found, to: PoolState, asker: Asker): void {
  const found = replicationOf(pools, manifest);
  if (found === null) return;
  if (to.hasReflink === false) checkNoSource(pools, manifest, asker, `move to pool ${to.name}, whose file system has no reflink`);
  const isAlone = found !== 'unknown' && found.memberIds.length === 1;
  const shared = [to, pool].find(({ isShared }) => isShared);
  if (shared !== undefined && !isAlone)
    checkNoSource(pools, manifest, asker, `leave the volumes that share its moments, because pool ${shared.name} is shared`);
}

/** Returns the refusal for a volume whose replication is not known, because the pool of its home is not open. */
export function homeAway(pools: readonly PoolState[], manifest: Marked): RsError {
  const text = volumeText(manifest);
  const closed = pools.filter(({ isOpen }) => !isOpen).map(({ name }) => name);
  const where = closed.length === 0 ? 'in a pool that cannot be read' : `perhaps in a pool that is not open (${closed.join(', ')})`;
  const remedy = 'mount the pool, then run rsadm reload; if it is lost for ever, rsadm pool remove NAME';
  return new RsError('E_POOL', `Volume ${text} may be replicated together with a volume that is ${where}: ${remedy}`, {
    volume: text,
    ...(closed[0] === undefined ? {} : { pool: closed[0] }),
  });
}

/** Returns the remedy that names the command which ends the replication. A client learns no name of a volume that it may not attach. */
export function endText({ members }: Pick<Replication, 'members'>, asker: Asker): string {
  const names = members.map(({ manifest }) => volumeText(manifest)).join(' ');
  const isKnown = members.every(({ manifest }) => asker.mayAttach(manifest.clients));
  if (!isKnown) return 'it has volumes that are not for this client: an administrator of the server can end the replication';
  return `${asker.node === null ? 'rsadm ' : ''}volume replicate ${names} --end ends the replication`;
}

/** Returns true if the pool may have a volume that this server does not know, because the pool, or a folder in it, was not read. */
export function mayHideVolumes({ isOpen, unreadable }: Pick<PoolState, 'isOpen' | 'unreadable'>): boolean {
  return !isOpen || unreadable.size > 0;
}

/** Throws E_POOL if a pool may have a volume that this server does not know. `why`: what the volume would decide. */
export function checkAllKnown(pools: readonly PoolState[], why: string): void {
  const hiding = pools.find(mayHideVolumes);
  if (hiding !== undefined) throw new RsError('E_POOL', `${why}: ${unknownIn(hiding)}`, { pool: hiding.name });
}

/** Returns what hides volumes in the pool, with the remedy. */
export function unknownIn({ name, isOpen }: Pick<PoolState, 'name' | 'isOpen'>): string {
  if (!isOpen) return `pool ${name} is not open: mount the pool, then run rsadm reload; if it is lost for ever, rsadm pool remove ${name}`;
  return `pool ${name} has folders that cannot be read (rsadm pool check ${name}): restore or remove them, then run rsadm reload`;
}
