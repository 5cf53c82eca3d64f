// Makes views of the server's state, as the control methods report it (api/src/rssrv/server-methods.ts). rsadm and the other
// programs format the views. Invariant: making a view changes nothing.

import { clientKeys } from '@rsio/common/config/schema/client-keys';
import type {
  ClientRights,
  RssrvConfig,
  ServerClientConfig,
  ServerInterfaceConfig,
  ServerVolumeConfig,
  VolumeLayout,
} from '@rsio/common/config/schema/types';
import type { ClientView, InterfaceView, ManagedVolumeView, PoolView, RemovedVolumeView, SnapshotView } from '@rsio/api/views/views';
import type { Holder } from '@rsio/protocol/wire/messages';
import { limitsOrNull } from '@rsio/common/config/schema/io-limits';
import type { HaltFacts } from '../volumes/throttle/halts.ts';
import type { Fences } from '../volumes/fences.ts';
import type { PoolAway } from '../farm/farms.ts';
import { rightsOf } from '../pools/asker.ts';
import { type Catalogue, type PoolState, promisedBytes, usableBytes } from '../pools/catalogue.ts';
import { sourceOf } from '../jobs/images/image-rules.ts';
import { ownedByNode } from '../pools/snapshots/owned-bytes.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import type { PoolPaces } from '../pools/space/pool-paces.ts';
import type { PoolSpace } from '../pools/pool-space.ts';
import type { ScheduleState } from '../snapshots/schedule-runner.ts';
import type { FoundSnapshot } from '../snapshots/snapshot-rules.ts';
import type { RemovedVolume } from '../pools/disk/pool-scan.ts';
import { findingsOf } from '../pools/pool-content.ts';

/** What the listener knows about a volume that it should serve. */
export interface VolumeStatus {
  readonly id: string | null;
  /** Null if the volume is not served. */
  readonly sizeBytes: number | null;
  readonly reason: string | null;
  readonly holders: readonly Holder[];
  /** True if writes wait because the pool is full. */
  readonly waitsForSpace: boolean;
  /** Name of the pool that has no space, if a volume over several pools waits for space. */
  readonly fullPool?: string | null;
  /** Set if the I/O of the volume is paused or stopped. */
  readonly halt?: HaltFacts | null;
  /** Number of READs of the volume that images have answered, and the time of the last one. */
  readonly bridged?: { readonly reads: number; readonly lastMs: number } | null;
}

/** What the listener knows about the session of a client. */
export interface SessionStatus {
  readonly node: string;
  readonly address: string;
  /** The keys that the session's paths have proved. */
  readonly keys: ReadonlySet<string>;
  readonly beganMs: number;
  readonly isSilent: boolean;
  /** The smallest number of paths that one of the client's sessions has. */
  readonly paths: number;
}

export function interfaceView({ name, address, port }: ServerInterfaceConfig, isListening: boolean): InterfaceView {
  const reason = isListening ? null : `this machine does not have ${address}: bring the interface up, or correct the address`;
  return { name, address, port, state: isListening ? 'listening' : 'waiting', reason };
}

export interface PoolJudgement {
  readonly space: ReturnType<PoolSpace['of']>;
  readonly pace: ReturnType<PoolPaces['of']>;
}

/**
 * `away`: set if this server does not own the shared pool. The state in the view then comes from the last look at the record, because
 * `trouble` only says why the pool was closed. `pools` are all pools, because a file of a volume need not be in the same pool as the
 * volume's manifest.
 */
export function poolView(
  pool: PoolState,
  pools: readonly PoolState[],
  { space: { isShort, fullPercent }, pace }: PoolJudgement,
  away: PoolAway | null,
): PoolView {
  const { name, path, space, reserve, limitBytes, overcommit, volumes, removed, hasReflink } = pool;
  return {
    name,
    path,
    ...standingOf(pool, away),
    totalBytes: space?.totalBytes ?? null,
    freeBytes: space?.freeBytes ?? null,
    usableBytes: space === null ? null : usableBytes(pool),
    reserve,
    promisedBytes: promisedBytes(pool),
    limitBytes,
    overcommit,
    isShort,
    fullPercent,
    pace,
    volumes: volumes.size,
    removed: removed.size,
    findings: findingsOf(pool, pools),
    reflink: hasReflink,
  };
}

function standingOf({ trouble }: PoolState, away: PoolAway | null): Pick<PoolView, 'state' | 'reason'> {
  if (away !== null && away.servedBy !== null) return { state: 'elsewhere', reason: `served by ${away.servedBy}` };
  const reason = trouble ?? away?.why ?? null;
  return { state: reason === null ? 'ready' : 'unavailable', reason: away?.why ?? reason };
}

/** `manifest` is the manifest of a volume of a pool; null for a volume that a `[volume]` section configures. */
export function volumeView(
  volume: ServerVolumeConfig,
  manifest: Manifest | null,
  status: VolumeStatus,
  usedBytes: number | null,
  snapshots: number,
  schedule: ScheduleState | null,
  { image, follows }: Pick<ManagedVolumeView, 'image' | 'follows'>,
  reflink: boolean | null,
): ManagedVolumeView {
  const { name, universe, blockSizeBytes, readonly, shared, pool, path, layout, clients, takeOver, takeOverForce } = volume;
  return {
    name,
    universe,
    id: status.id,
    state: status.sizeBytes === null ? 'unavailable' : 'served',
    reason: status.sizeBytes === null ? (status.reason ?? 'it is not open; rsslogcat shows why') : null,
    sizeBytes: status.sizeBytes ?? volume.sizeBytes,
    usedBytes,
    blockSizeBytes,
    readonly,
    shared,
    thick: manifest?.thick ?? false,
    pool: pool?.name ?? null,
    path,
    layout: layout === undefined ? null : layoutView(layout),
    clients,
    takeOver,
    takeOverForce,
    owner: manifest?.owner ?? null,
    ...(manifest?.managers === undefined ? {} : { managers: manifest.managers }),
    ...(manifest?.note === undefined ? {} : { note: manifest.note }),
    createdMs: manifest?.createdMs ?? null,
    origin: manifest?.origin ?? null,
    holders: status.holders,
    waitsForSpace: status.waitsForSpace,
    limits: limitsOrNull(volume.limits),
    halt: status.halt ?? null,
    fullPool: status.fullPool ?? null,
    bridged: status.bridged ?? null,
    snapshots,
    schedule,
    image,
    mirror: manifest?.replica?.mirror ?? null,
    follows,
    reflink,
  };
}

/** Returns the relation of an image to its volume; null if the given volume is not an image. */
export function imageView(catalogue: Catalogue, { image, clients }: Manifest): ManagedVolumeView['image'] {
  if (image === undefined) return null;
  const source = sourceOf(catalogue, image);
  const { state } = source;
  const [name, universe, allowed] =
    source.state === 'present'
      ? [source.found.manifest.name, source.found.manifest.universe, source.found.manifest.clients]
      : [image.ofName, image.ofUniverse, clients];
  return { name, universe, state, momentMs: image.momentMs, clients: allowed };
}

/** Returns what a follower follows, or has followed; null if the volume never was a follower. `newestMs`: time of its newest moment. */
export function followsView({ follower }: Manifest, newestMs: number | null): ManagedVolumeView['follows'] {
  if (follower === undefined) return null;
  const { peer, sourceName, sourceUniverse, promoted } = follower;
  const momentMs = promoted?.momentMs ?? newestMs;
  return { server: peer, name: sourceName, universe: sourceUniverse, momentMs, promotedMs: promoted?.atMs ?? null };
}

function layoutView({ chunkBytes, parts }: VolumeLayout): NonNullable<ManagedVolumeView['layout']> {
  return { chunkBytes, parts: parts.map((part) => ({ pool: part.pool, path: part.path, sizeBytes: part.sizeBytes })) };
}

/** `usedBytes` is null if the used space is not known. */
export function snapshotView({ manifest, record }: FoundSnapshot, usedBytes: number | null, readers: number): SnapshotView {
  const { name, universe } = manifest;
  const { id, sizeBytes, createdMs, shownMs, creator, group, moment = null } = record;
  const shown = shownMs === undefined ? {} : { shownMs };
  return {
    name,
    universe,
    snapshot: record.name,
    id,
    sizeBytes,
    usedBytes,
    createdMs,
    ...shown,
    by: creator,
    group: group.id,
    readers,
    moment,
  };
}

/** `times`: `RemovalAges.times`. */
export function removedView(
  pool: PoolState,
  { manifest, removal }: RemovedVolume,
  times: Pick<RemovedVolumeView, 'ageMs' | 'untilMs'>,
): RemovedVolumeView {
  const { name, universe, id, sizeBytes, owner, clients } = manifest;
  const { removedMs, by } = removal;
  return { name, universe, id, sizeBytes, pool: pool.name, owner, removedMs, by, ...times, clients };
}

/** The facts, besides the configuration, that `clientViews` needs. */
export interface ClientFacts {
  readonly sessions: readonly SessionStatus[];
  /** Maps each node to the names of the volumes that the node holds. */
  readonly held: ReadonlyMap<string, readonly string[]>;
  readonly fences: Pick<Fences, 'get'>;
}

export function clientViews(
  { clients, rights }: { readonly clients: RssrvConfig['clients']; readonly rights: readonly ClientRights[] },
  catalogue: Catalogue,
  { sessions, held, fences }: ClientFacts,
): ClientView[] {
  const owned = ownedByNode(catalogue.pools);
  return clients.map((client) => {
    const { name } = client;
    const { role, pools, limitBytes } = rightsOf(name, rights);
    const session = sessions.find(({ node }) => node === name);
    return {
      name,
      role,
      pools,
      limitBytes,
      limits: limitsOrNull(rights.find((one) => one.name === name)?.limits),
      ownedBytes: owned.get(name) ?? 0,
      state: session === undefined ? 'absent' : session.isSilent ? 'silent' : 'connected',
      address: session?.address ?? null,
      sinceMs: session?.beganMs ?? null,
      keys: clientKeys(client).length,
      sessionKey: sessionKeyOf(client, session),
      fencedMs: fences.get(name)?.sinceMs ?? null,
      volumes: held.get(name) ?? [],
    };
  });
}

/**
 * Returns which of a client's two keys its session uses. If paths of the session have proved both keys, the session counts as using the old
 * key, because the session ends when the old key is removed.
 */
function sessionKeyOf({ key, newKey }: ServerClientConfig, session: SessionStatus | undefined): ClientView['sessionKey'] {
  if (session === undefined || newKey === null) return null;
  return session.keys.has(key) ? 'old' : 'new';
}
