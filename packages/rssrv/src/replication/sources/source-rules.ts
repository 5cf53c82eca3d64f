// Decides whether a replication of volumes of this server can begin, change or end, and computes the new marks. Pure: source-verbs.ts carries
// the decision out. Invariants: a volume has at most one replication. A snapshot of all members at one moment is possible, and the client
// that copies may attach each of them.

import { peerClientOf } from '@rsio/common/config/schema/peer-section';
import { RsError } from '@rsio/base/lib/errors';
import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import type { Asker, Change } from '../../pools/asker.ts';
import {
  type Catalogue,
  checkOnce,
  findToChange,
  type Found,
  type PoolState,
  type Stamp,
  type VolumeName,
  volumeText,
} from '../../pools/catalogue.ts';
import type { Manifest, ManifestOrder } from '../../pools/disk/manifest.ts';
import { checkClones } from '../../jobs/clone-need.ts';
import { checkNoFollower, checkOneFile } from '../../pools/follower-rules.ts';
import { checkNoReplica } from '../../pools/replica-rules.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { SNAPSHOT_GROUP_MAX } from '../../pools/limits.ts';
import { mirrorReplicationId } from '../../pools/mirror-sources.ts';
import { endText, homeAway, mayHideVolumes, type Replication, replicationOf, replicationsIn } from '../../pools/source-marks.ts';
import { REPLICATIONS_MAX } from '../limits.ts';
import { type IsClient, isFor } from './source-orders.ts';

export interface WantedReplication {
  readonly volumes: readonly VolumeName[];
  /** Name of the client that copies. */
  readonly to: string;
  /** Pool of the followers; null for the earlier pool, or for the choice of the client. */
  readonly pool: string | null;
  readonly everyMs: number;
  readonly keep: number;
  readonly limitBytes: number | null;
  /** Peer that may take the volumes over; null: none. */
  readonly reversible: string | null;
}

/** New manifests, in the order in which they must be written. The manifest of the home is the commit point. */
export interface MarkedMembers {
  readonly home: Found;
  /** The other members whose manifests change. */
  readonly others: readonly Found[];
}

/** Plans to begin a replication, or to change the settings of the replication of the same volumes to the same client. */
export function decideReplicate(
  catalogue: Catalogue,
  wanted: WantedReplication,
  asker: Asker,
  isClient: IsClient,
  { id, request, nowMs }: Stamp,
): MarkedMembers {
  const { pools } = catalogue;
  const { to, pool, everyMs, keep, limitBytes, reversible } = wanted;
  const found = findMembers(catalogue, wanted.volumes, asker, 'replicate volumes');
  if (pool !== null && !isName(pool)) throw new RsError('E_USAGE', `Wrong pool name ${quoteText(pool)}: allowed is ${NAME_ALLOWED}`);
  for (const one of found) checkSource(catalogue, one, found.length === 1);
  checkOneOwner(found);
  checkClient(found, to, asker, isClient);
  if (reversible !== null) checkReversible(found, reversible);
  const settings = { to, everyMs, keep, limitBytes };
  const consent = reversible === null ? {} : { reversible };
  const existing = found.flatMap(({ manifest }) => known(catalogue, manifest) ?? []);
  const [same] = existing;
  if (same !== undefined) checkNotHandedOver(same);
  if (same !== undefined && same.order.to === to && isSameSet(same, found)) {
    const { reversible: _before, ...earlier } = same.order;
    const order: ManifestOrder = { ...earlier, ...settings, ...consent, pool: pool ?? same.order.pool };
    return { home: withMark(same.home, { id: same.id, members: same.memberIds, order }, request), others: [] };
  }
  if (same !== undefined) throw hasOther(found, same, asker);
  if (replicationsIn(pools).length >= REPLICATIONS_MAX)
    throw new RsError('E_LIMIT', `This server has ${REPLICATIONS_MAX} replications, and no more are allowed: replicate volumes together`);
  const members = found.map(({ manifest }) => manifest.id);
  const order: ManifestOrder = { ...settings, ...consent, pool, createdMs: nowMs, confirmed: null };
  const [home, ...others] = found;
  const { replica } = home!.manifest;
  if (replica !== undefined)
    return { home: withMark(home!, { id: mirrorReplicationId(replica.mirror, to), members, order }, request), others: [] };
  const again = earlierId(pools, found) ?? id;
  return {
    home: withMark(home!, { id: again, members, order }, request),
    // The others keep the stamps of their last requests, because this request is executed only once its order is in the home.
    others: others.map((one) => withMark(one, { id: again, members, order: null }, one.manifest.request)),
  };
}

/**
 * Plans to end a replication. `others`: members whose marks no longer count; without a replication, `replication` is null. Throws E_USAGE
 * if the volumes have no marks, or if they are not all volumes of the replication.
 */
export function decideEnd(
  catalogue: Catalogue,
  volumes: readonly VolumeName[],
  asker: Asker,
  request: string | null,
  force: boolean,
): { readonly replication: Replication | null; readonly home: Found | null; readonly others: readonly Found[] } {
  const found = findMembers(catalogue, volumes, asker, 'end replications');
  const [first] = found.flatMap(({ manifest }) => known(catalogue, manifest) ?? []);
  const unmarked = found.find(({ manifest }) => manifest.replication === undefined);
  if (unmarked !== undefined) throw notReplicated(unmarked.manifest);
  if (first === undefined) return { replication: null, home: null, others: found.map(withoutMark) };
  if (!force) checkNotHandedOver(first);
  const { members, home } = first;
  const ids = new Set(members.map(({ manifest }) => manifest.id));
  const stranger = found.find(({ manifest }) => !ids.has(manifest.id));
  if (stranger !== undefined)
    throw new RsError(
      'E_USAGE',
      `Volumes ${volumeText(home.manifest)} and ${volumeText(stranger.manifest)} are not replicated together: give a command for each replication`,
    );
  if (found.length < ids.size)
    throw new RsError('E_USAGE', `These volumes are replicated together with others: ${endText(first, asker)} of all`);
  const others = members.filter(({ manifest }) => manifest.id !== home.manifest.id).map(withoutMark);
  const ended = withoutMark(home);
  return { replication: first, home: { ...ended, manifest: { ...ended.manifest, request } }, others };
}

/** Throws E_BUSY if the volumes are being handed over, because the other server may already have promoted its followers. */
function checkNotHandedOver({ members }: Replication): void {
  const handed = members.find(({ manifest }) => manifest.replication?.handOver !== undefined)?.manifest;
  const server = handed?.replication?.handOver?.server;
  if (handed === undefined || server === undefined) return;
  const text = volumeText(handed);
  throw new RsError(
    'E_BUSY',
    `Volume ${text} is being handed over to server ${server}: wait for its end (volume replications), or volume reverse --cancel there gives it up; if ${server} is lost for ever, volume replicate ${text} --end --force keeps the volumes here`,
    { volume: text, server },
  );
}

function findMembers(catalogue: Catalogue, volumes: readonly VolumeName[], asker: Asker, what: Change): readonly Found[] {
  if (volumes.length === 0 || volumes.length > SNAPSHOT_GROUP_MAX)
    throw new RsError('E_USAGE', `1 to ${SNAPSHOT_GROUP_MAX} volumes can be replicated together, and ${volumes.length} are given`);
  checkOnce(volumes);
  return volumes.map((name) => findToChange(catalogue, name, asker, what));
}

/** Returns the replication of the volume; null if it has none. Throws E_POOL if that is not known. */
function known({ pools }: Catalogue, manifest: Manifest): Replication | null {
  const found = replicationOf(pools, manifest);
  if (found === 'unknown') throw homeAway(pools, manifest);
  return found;
}

/** Throws if the volume cannot be a source. */
function checkSource(catalogue: Catalogue, { pool, manifest }: Found, isAlone: boolean): void {
  const text = volumeText(manifest);
  const { replica, movedTo } = manifest;
  checkNoFollower(manifest, 'be replicated');
  // The client that has the mirror makes its moments, and the servers of two mirrors, or of a mirror and a volume, cannot make one together.
  if (replica !== undefined && !isAlone)
    throw new RsError(
      'E_USAGE',
      `Volume ${text} is a replica of mirror ${replica.mirror}, and shares no moment with other volumes: replicate it alone`,
      {
        volume: text,
        mirror: replica.mirror,
      },
    );
  if (movedTo !== undefined)
    throw new RsError('E_BUSY', `Volume ${text} is in the last step of its move to another pool: try again when it has moved`, {
      volume: text,
    });
  checkClones(catalogue, { pool, manifest }, 'replicated');
}

/** Throws E_USAGE if the volumes could get different owners, because then no server could make their moments. */
function checkOneOwner(found: readonly Found[]): void {
  const shared = found.find(({ pool }) => pool.isShared);
  if (shared === undefined || found.every(({ pool }) => pool.name === shared.pool.name)) return;
  throw new RsError(
    'E_USAGE',
    `Pool ${shared.pool.name} is shared, and the other volumes are not in it, so that they could have different servers: replicate them apart`,
    { pool: shared.pool.name },
  );
}

/** Throws E_UNKNOWN_CLIENT or E_RIGHTS if the client cannot read the volumes. */
function checkClient(found: readonly Found[], to: string, asker: Asker, isClient: IsClient): void {
  const isKnown = isClient(to);
  const barred = found.find(({ manifest }) => !isFor(manifest, to));
  if (isKnown && barred === undefined) return;
  const text = volumeText(barred?.manifest ?? found[0]!.manifest);
  const name = quoteText(to);
  // A client does not learn which other clients a server has.
  if (asker.role !== 'admin')
    throw new RsError('E_RIGHTS', `Client ${name} may not attach volume ${text}: ask an administrator of the server to allow it`);
  const ofPeer = peerClientOf(to);
  if (!isKnown && isClient(ofPeer))
    throw new RsError(
      'E_UNKNOWN_CLIENT',
      `No client ${name} in [clients] of rssrvcfg, but client ${ofPeer}, as which server ${to} connects after rsconfig peer add: give --to ${ofPeer}`,
    );
  if (!isKnown)
    throw new RsError(
      'E_UNKNOWN_CLIENT',
      `No client ${name} in [clients] of rssrvcfg: rsadm client add lets the server connect that copies the volumes`,
    );
  throw new RsError('E_RIGHTS', `Client ${name} may not attach volume ${text}: volume allow ${text} ${to} lets it`, { volume: text });
}

/** Throws unless a person at this server may consent to a hand-over, and the volumes could follow afterwards. */
function checkReversible(found: readonly Found[], reversible: string): void {
  if (!isName(reversible)) throw new RsError('E_USAGE', `Wrong name of a peer ${quoteText(reversible)}: allowed is ${NAME_ALLOWED}`);
  for (const { manifest } of found) {
    checkOneFile(manifest, 'be handed over');
    checkNoReplica(manifest, 'be handed over');
  }
}

/**
 * T8: returns the id of the replication whose newest moment these volumes have, if they are all of its volumes, and it has ended. With the same
 * id, its followers go on. Null: a new replication begins.
 */
function earlierId(pools: readonly PoolState[], found: readonly Found[]): string | null {
  const [newest] = found.map((one) => listOf(one).findLast(({ replication }) => replication !== undefined));
  const { replication, group, origin } = newest ?? {};
  // After copies of another server, this one begins a replication of its own.
  if (replication === undefined || group === undefined || origin !== undefined) return null;
  // A volume that cannot be read, or was removed, may have been the other one of the replication.
  if (pools.some(mayHideVolumes)) return null;
  const owners = pools.flatMap((pool) =>
    [...pool.snapshots].flatMap(([id, { list }]) => (list.some((one) => one.group.id === group.id) ? id : [])),
  );
  const isWhole = owners.length === found.length && found.every(({ manifest }) => owners.includes(manifest.id));
  return isWhole && !replicationsIn(pools).some(({ id }) => id === replication) ? replication : null;
}

function listOf({ pool, manifest }: Found): readonly SnapshotRecord[] {
  return pool.snapshots.get(manifest.id)?.list ?? [];
}

function isSameSet({ memberIds }: Replication, found: readonly Found[]): boolean {
  return memberIds.length === found.length && found.every(({ manifest }) => memberIds.includes(manifest.id));
}

function hasOther(found: readonly Found[], same: Replication, asker: Asker): RsError {
  const own = found.find(({ manifest }) => same.memberIds.includes(manifest.id)) ?? same.home;
  const text = volumeText(own.manifest);
  const together = same.memberIds.length === 1 ? '' : ', together with other volumes';
  return new RsError(
    'E_EXISTS',
    `Volume ${text} is replicated to client ${same.order.to} already${together}, and can have one replication: ${endText(same, asker)}`,
    { volume: text },
  );
}

function notReplicated(volume: VolumeName): RsError {
  const text = volumeText(volume);
  return new RsError('E_USAGE', `Volume ${text} is not replicated: volume replications lists the replications`, { volume: text });
}

function withMark(
  { pool, manifest }: Found,
  { id, members, order }: { id: string; members: readonly string[]; order: ManifestOrder | null },
  request: string | null,
): Found {
  return { pool, manifest: { ...manifest, replication: { id, members: [...members], order }, request } };
}

function withoutMark({ pool, manifest: { replication: _mark, ...others } }: Found): Found {
  return { pool, manifest: others };
}
