// Decides whether a volume can be created, grown, renamed, changed or removed, and computes the new manifest. Pure: pool-verbs.ts executes
// the decision. Invariants: a name is unique in a universe, over all pools and all sections [volume]. No change makes a pool promise more
// bytes than its limit and its overcommit permit. A refusal for lack of space says how much space is needed and how much is free.

import type { Overcommit, PoolOwnership } from '@rsio/common/config/schema/types';
import type { IoLimits } from '@rsio/common/config/schema/io-limits';
import { RsError } from '@rsio/base/lib/errors';
import { isName, NAME_ALLOWED, printSize, quoteText } from '@rsio/base/lib/units';
import type { Asker, Change } from './asker.ts';
import { PARTS_MAX, POOL_VOLUMES_MAX, POOL_VOLUMES_PER_CLIENT_MAX } from './limits.ts';
import type { VolumeId } from './disk/ids.ts';
import { type Layout, type Manifest, otherParts, type PartRecord, partSizes, type PoolIdentity } from './disk/manifest.ts';
import { firstBytesIn, volumesNamed } from './disk/volume-index.ts';
import { checkSettled } from './repair/image-repair.ts';
import type { FoundPart, RemovedVolume } from './disk/pool-scan.ts';
import { ownedByNode } from './snapshots/owned-bytes.ts';
import type { VolumeSnapshots } from './snapshots/snapshot-scan.ts';
import { checkSize, grownLayout, newConcat, newStripe } from './disk/layouts.ts';

const MIB = 1024 * 1024;

/** The state of a pool. A state is replaced as a whole, and never modified. */
export interface PoolState {
  readonly name: string;
  readonly path: string;
  /** The most bytes that the pool may promise for its volumes together; null if the pool has no limit. */
  readonly limitBytes: number | null;
  /** Share of the file system, from 0 to 1, that is kept free. */
  readonly reserve: number;
  readonly overcommit: Overcommit;
  readonly identity: PoolIdentity | null;
  /** True if the pool is on a shared disk. */
  readonly isShared: boolean;
  /** Set while the pool is shared and this server owns it; otherwise null. */
  readonly ownership: PoolOwnership | null;
  /** True if the pool was read and its volumes are therefore known. */
  readonly isOpen: boolean;
  /** Reason why the volumes of the pool cannot be changed; null if they can be changed. */
  readonly trouble: string | null;
  /** Size of the file system and its free space; null if unknown. */
  readonly space: { readonly totalBytes: number; readonly freeBytes: number } | null;
  /**
   * True if the file system of the pool can clone files; null if this is unknown. Snapshots, clones and images of volumes of the pool need
   * clones of files.
   */
  readonly hasReflink: boolean | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, RemovedVolume>;
  /** Maps the id of a volume or removed volume to its snapshots. A volume without snapshots may have no entry. */
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
  /** Volumes of several files that are being deleted for good, keyed by volume id. Parts of these volumes may still exist. */
  readonly purging: ReadonlyMap<string, Manifest>;
  /** Parts of volumes, keyed by the id of the file. */
  readonly parts: ReadonlyMap<string, FoundPart>;
  /** Sum of the bytes that the pool promises for the parts in it. */
  readonly partBytes: number;
  /** Ids of volumes and parts that exist, but cannot be read. */
  readonly unreadable: ReadonlySet<string>;
  readonly findings: readonly string[];
}

/** A volume that a section [volume] in rssrvcfg configures. */
export interface NamedVolume {
  readonly name: string;
  readonly universe: number;
}

/** All volumes of a server. */
export interface Catalogue {
  readonly pools: readonly PoolState[];
  readonly configured: readonly ConfiguredVolume[];
}

/** A volume of a section of rssrvcfg. `clients`: the clients that may use the volume; null for all clients. */
export type ConfiguredVolume = NamedVolume & { readonly clients: readonly string[] | null };

/** A volume by its name, as people and clients give it. A handler looks it up once, in the turn of the change. */
export type VolumeName = NamedVolume;

/** A volume by its id. Orders inside the server name volumes only in this way: a name may mean another volume when the order is executed. */
export interface VolumeRef {
  readonly id: VolumeId;
}

/** A value that has an id, such as a manifest, means the volume with this id, and never another one with its name. */
export type WantedVolume = (VolumeName & { readonly id?: VolumeId }) | VolumeRef;

export interface CreateRequest extends VolumeName {
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  /** Name of the pool. If null, the server chooses the pool (see `choosePool`). */
  readonly pool: string | null;
  /** The pools of the files of a volume of several files; null for a volume of one file. */
  readonly pools?: readonly string[] | null;
  /** Size of the chunks of a `stripe` volume; null for `concat`. */
  readonly chunkBytes?: number | null;
  readonly thick: boolean;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly clients: readonly string[] | null;
  readonly takeOver: readonly string[] | null;
  readonly takeOverForce: boolean;
  /** Limits of the volume's I/O; absent if it has no limits. */
  readonly limits?: IoLimits;
}

export interface Found {
  readonly pool: PoolState;
  readonly manifest: Manifest;
}

/** A file of a volume outside the folder of the manifest. */
export interface PlacedPart {
  readonly pool: PoolState;
  readonly record: PartRecord;
}

export interface Stamp {
  readonly id: VolumeId;
  /** Returns a new id, for example for a further file, a snapshot or a group. */
  readonly newId: () => string;
  readonly request: string | null;
  readonly nowMs: number;
}

export function volumeText({ name, universe }: VolumeName): string {
  return universe === 0 ? name : `${name}@${universe}`;
}

const OF_SECTION =
  'edit the section and run rsadm reload; for what only volumes of pools have, such as snapshots and moves, make ' +
  'a volume of a pool of its file: rsadm volume import FILE NEW';

/**
 * Returns the volume with this id or name. Throws E_UNKNOWN_VOLUME if there is none, and E_VOLUME if the pool of the volume cannot be used.
 * A volume that the asker may not attach counts as unknown, even if its pool cannot be used. If two volumes have the name, the name means
 * the one that clients get by it.
 */
export function findVolume(catalogue: Catalogue, wanted: WantedVolume, asker: Asker): Found {
  if (wanted.id !== undefined || !('name' in wanted)) return findById(catalogue, wanted.id!, asker);
  const isWanted = (one: ConfiguredVolume): boolean =>
    one.name === wanted.name && one.universe === wanted.universe && asker.mayAttach(one.clients);
  for (const pool of catalogue.pools) {
    for (const manifest of volumesNamed(pool.volumes, wanted)) {
      if (!isWanted(manifest)) continue;
      if (pool.trouble !== null) throw unusable(pool);
      checkSettled(manifest);
      return { pool, manifest };
    }
  }
  const text = volumeText(wanted);
  if (catalogue.configured.some(isWanted))
    throw new RsError('E_VOLUME', `Volume ${text} is of section [volume ${wanted.name}] of rssrvcfg: ${OF_SECTION}`, { volume: text });
  throw unknownVolume(wanted);
}

function findById({ pools }: Catalogue, id: VolumeId, asker: Asker): Found {
  const all = pools.flatMap((pool) => {
    const manifest = pool.volumes.get(id);
    return manifest === undefined || !asker.mayAttach(manifest.clients) ? [] : { pool, manifest };
  });
  // In the last step of a move, both pools have the volume, and the old one says so.
  const [found = all[0], second] = all.filter(({ manifest }) => manifest.movedTo === undefined);
  const gone = `No volume with id ${id} on this server: it was removed meanwhile, or its pool is not open`;
  if (found === undefined) throw new RsError('E_UNKNOWN_VOLUME', gone, { volume: id });
  if (second !== undefined) {
    const names = [found, second].map(({ pool }) => pool.name).join(' and ');
    throw new RsError(
      'E_AMBIGUOUS',
      `Pools ${names} both have volume ${volumeText(found.manifest)} with id ${id}, because one was copied from the other: rsadm pool remove NAME takes the copy away`,
      { volume: volumeText(found.manifest) },
    );
  }
  if (found.pool.trouble !== null) throw unusable(found.pool);
  checkSettled(found.manifest);
  return found;
}

/**
 * Returns a volume that the asker may change. Throws E_RIGHTS, and the errors of `findVolume`. `what`: the change, such as `grow volumes`.
 */
export function findToChange(catalogue: Catalogue, wanted: WantedVolume, asker: Asker, what: Change): Found {
  const found = findVolume(catalogue, wanted, asker);
  checkChange(catalogue, asker, found.pool, found.manifest, what);
  return found;
}

/**
 * Returns the refusal for a name without a volume. A client that may not attach a volume gets the same refusal, so that the client does not
 * learn that the volume exists.
 */
export function unknownVolume(wanted: VolumeName): RsError {
  const text = volumeText(wanted);
  return new RsError('E_UNKNOWN_VOLUME', `No volume ${text} on this server: volume list shows them`, { volume: text });
}

/**
 * Returns the bytes that a pool promises: the sum of the sizes of the files in it. Removed volumes count, because they keep their
 * space until they are purged.
 */
export function promisedBytes({ volumes, removed, partBytes }: PoolState): number {
  return partBytes + removedBytes({ removed }) + firstBytesIn(volumes);
}

function removedBytes({ removed }: Pick<PoolState, 'removed'>): number {
  let sum = 0;
  for (const { manifest } of removed.values()) sum += partSizes(manifest)[0] ?? 0;
  return sum;
}

/** Returns how many bytes, in all pools together, count towards the limit of a client. */
export function ownedBytes(catalogue: Catalogue, node: string | null): number {
  return node === null ? 0 : (ownedByNode(catalogue.pools).get(node) ?? 0);
}

/** Returns how many free bytes the file system has above the reserve; 0 if it has less than the reserve. */
export function usableBytes({ space, reserve }: PoolState): number {
  return space === null ? 0 : Math.max(0, Math.floor(space.freeBytes - space.totalBytes * reserve));
}

/** Returns how many bytes volumes can occupy before writes wait: the size of the file system without the reserve; null if it is unknown. */
export function holdableBytes({ space, reserve }: Pick<PoolState, 'space' | 'reserve'>): number | null {
  return space === null ? null : Math.floor(space.totalBytes * (1 - reserve));
}

/** Returns the manifest of the new volume, without stamps, and its pool. Throws if the volume cannot be created. */
export function decideCreate(
  catalogue: Catalogue,
  request: CreateRequest,
  asker: Asker,
  { id, newId, request: requestId, nowMs }: Stamp,
): { readonly pool: PoolState; readonly manifest: Omit<Manifest, 'stamps'>; readonly parts: readonly PlacedPart[] } {
  asker.needs('manage', 'create volumes');
  if (request.takeOverForce) asker.needs('admin', 'permit forced take-over');
  if (request.limits !== undefined) asker.needs('admin', 'set limits of I/O');
  const { pool: wantedPool, pools: wantedPools = null, chunkBytes = null, clients, ...settings } = request;
  checkSize(request.sizeBytes, request.blockSizeBytes);
  checkName(catalogue, request, null);
  checkCount(catalogue, asker);
  asker.checkOwnAccess(request.name, clients);
  if (chunkBytes !== null && wantedPools === null) throw new RsError('E_USAGE', 'A stripe needs at least two pools: name them');
  asker.checkLimit(ownedBytes(catalogue, asker.node), request.sizeBytes);
  for (const name of wantedPools ?? (wantedPool === null ? [] : [wantedPool])) asker.checkPool(name);
  const pools =
    wantedPools === null
      ? [wantedPool === null ? choosePool(catalogue, request.sizeBytes, request.thick, asker) : poolNamed(catalogue, wantedPool)]
      : poolsNamed(catalogue, wantedPool, wantedPools);
  for (const one of pools) if (one.trouble !== null) throw unusable(one);
  if (pools.length > 1) checkNoShared(pools);
  const [pool] = pools;
  const layout = wantedPools === null ? ({ kind: 'simple' } as const) : layoutOver(pools, request, chunkBytes, id, newId);
  const rights = { ...asker.access({ clients, takeOver: settings.takeOver }), owner: asker.node };
  const manifest = { ...settings, id, ...rights, createdMs: nowMs, request: requestId, layout };
  for (const [index, sizeBytes] of partSizes(manifest).entries()) checkRoom(pools[index]!, sizeBytes, request.thick);
  asker.checkLimit(ownedBytes(catalogue, asker.node), totalBytes(manifest));
  return { pool: pool!, manifest, parts: placedParts(pools, manifest) };
}

/**
 * Returns the pools of a volume of several files. Refuses a pool that is named twice, because a second file in the same pool gains
 * nothing.
 */
function poolsNamed(catalogue: Catalogue, pool: string | null, names: readonly string[]): PoolState[] {
  if (pool !== null) throw new RsError('E_USAGE', 'Both a pool and several pools are given: give one of them');
  if (names.length < 2 || names.length > PARTS_MAX)
    throw new RsError('E_USAGE', `A volume of several files needs 2 to ${PARTS_MAX} pools, and ${names.length} are given`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new RsError('E_USAGE', `Pool ${quoteText(twice)} is given twice: give each pool once`);
  return names.map((name) => poolNamed(catalogue, name));
}

/**
 * Throws E_USAGE if a volume of several files would have a file in a shared pool, because the next owner of the pool would have only a part
 * of the volume.
 */
export function checkNoShared(pools: readonly Pick<PoolState, 'name' | 'isShared'>[]): void {
  const shared = pools.find(({ isShared }) => isShared);
  if (shared === undefined) return;
  const text = `Pool ${shared.name} is shared, and a volume of several files would have a part in it: use pools on disks of this server`;
  throw new RsError('E_USAGE', text, { pool: shared.name });
}

/** Throws E_SPACE, naming a pool, if the pools have no room for the volume. */
function layoutOver(
  pools: readonly PoolState[],
  request: CreateRequest,
  chunkBytes: number | null,
  id: string,
  newId: () => string,
): Layout {
  const { thick } = request;
  const rooms = pools.map((pool) => ({
    poolId: pool.identity?.id ?? '',
    maxBytes: thick ? roomBytes(pool) : promiseLeft(pool),
    freeBytes: usableBytes(pool),
  }));
  if (chunkBytes !== null) return newStripe(rooms, request, chunkBytes, id, newId);
  const layout = newConcat(rooms, request, id, newId);
  if ('kind' in layout) return layout;
  const { scarce, shareBytes } = layout;
  const pool = pools[scarce]!;
  throw roomRefusal(pool, shareBytes, thick) ?? noSpace(pool, shareBytes, 'name more pools, or choose a smaller size');
}

/** Returns all files of a volume except the first, each with its pool. Throws E_POOL if the pool of a file is not in `pools`. */
function placedParts(pools: readonly PoolState[], manifest: Pick<Manifest, 'id' | 'layout'>): PlacedPart[] {
  const homeId = manifest.layout.kind === 'simple' ? '' : (manifest.layout.parts[0]?.poolId ?? '');
  return otherParts(manifest).map((part) => {
    const pool = pools.find(({ identity }) => identity?.id === part.poolId);
    if (pool === undefined) throw closed(part.poolId);
    return { pool, record: { ...part, homeId, volumeId: manifest.id } };
  });
}

/** Returns the sum of the sizes of all files of a volume. */
export function totalBytes(manifest: Pick<Manifest, 'layout' | 'sizeBytes'>): number {
  return partSizes(manifest).reduce((sum, bytes) => sum + bytes, 0);
}

/** Returns the manifest with the new size. Throws if the volume cannot be grown. */
export function decideGrow(
  catalogue: Catalogue,
  { pool, manifest }: Found,
  sizeBytes: number,
  asker: Asker,
  request: string | null,
  onto: { readonly pool: string; readonly newId: () => string } | null,
): Manifest {
  checkSize(sizeBytes, manifest.blockSizeBytes);
  const text = volumeText(manifest);
  if (sizeBytes <= manifest.sizeBytes)
    throw new RsError(
      'E_VOLUME',
      `Volume ${text} has ${printSize(manifest.sizeBytes)}, and ${printSize(sizeBytes)} is not more: a volume cannot be made smaller`,
    );
  const moreBytes = sizeBytes - manifest.sizeBytes;
  asker.checkOwner(manifest);
  asker.checkLimit(ownedBytes(catalogue, asker.node), moreBytes);
  const { layout } = manifest;
  if (onto !== null && layout.kind !== 'concat') throw new RsError('E_USAGE', `Volume ${text} is no concat volume: give no pool`);
  if (layout.kind === 'simple') {
    checkRoom(pool, moreBytes, manifest.thick);
    return { ...manifest, sizeBytes, request };
  }
  if (onto !== null) asker.checkPool(onto.pool);
  const more = onto === null ? null : poolNamed(catalogue, onto.pool);
  if (more !== null && (more.trouble !== null || more.identity === null)) throw unusable(more);
  if (more !== null) checkNoShared([pool, more]);
  const grown = grownLayout(manifest, layout, sizeBytes, more?.identity?.id ?? null, () => onto?.newId() ?? '');
  const next = { ...manifest, sizeBytes, layout: grown, request };
  asker.checkLimit(ownedBytes(catalogue, asker.node), totalBytes(next) - totalBytes(manifest));
  for (const [index, part] of grown.parts.entries()) {
    const where = poolById(catalogue, part.poolId);
    if (where === null || where.trouble !== null) throw where === null ? closed(part.poolId) : unusable(where);
    checkRoom(where, part.sizeBytes - (layout.parts[index]?.sizeBytes ?? 0), manifest.thick);
  }
  return next;
}

/** Returns all files of a volume except the first, each with its pool. Throws E_POOL if one of the pools is not open. */
export function partsOf({ pools }: Catalogue, manifest: Pick<Manifest, 'id' | 'layout'>): PlacedPart[] {
  return placedParts(pools, manifest);
}

/** Returns the manifest with the new name. Throws if the name cannot be used. */
export function decideRename(catalogue: Catalogue, { manifest }: Found, to: VolumeName, request: string | null): Manifest {
  checkName(catalogue, to, manifest.id);
  return { ...manifest, name: to.name, universe: to.universe, request };
}

/** Returns the pool with this name. Throws E_UNKNOWN_POOL. */
export function poolNamed({ pools }: Catalogue, name: string): PoolState {
  const pool = pools.find((one) => one.name === name);
  if (pool !== undefined) return pool;
  const names = pools.map((one) => one.name);
  const remedy = names.length === 0 ? 'there is none; rsadm pool add NAME PATH makes one' : `there are ${names.join(', ')}`;
  throw new RsError('E_UNKNOWN_POOL', `No pool ${quoteText(name)}: ${remedy}`, { pool: name });
}

/**
 * Throws E_BUSY while a snapshot of the volume is being made in the background, because the files of the volume must not be replaced
 * or extended during that time.
 */
export function checkNotBusy(found: Found): void {
  const text = busyText(found);
  if (text !== null) throw new RsError('E_BUSY', text, { volume: volumeText(found.manifest) });
}

export function busyText({ pool, manifest }: Found): string | null {
  const [one] = pool.snapshots.get(manifest.id)?.making ?? [];
  return one === undefined ? null : `Snapshot ${volumeText(manifest)}@${one.name} is being made: try again when it is there`;
}

/** Throws unless the asker may change the volume. `what`: the change, such as `grow volumes`. */
export function checkChange(catalogue: Catalogue, asker: Asker, pool: PoolState, manifest: Manifest, what: Change): void {
  asker.needs('manage', what);
  if (!asker.mayAttach(manifest.clients)) throw unknownVolume(manifest);
  asker.checkMine(manifest, what);
  checkPools(catalogue, asker, pool, manifest);
}

/** Throws E_RIGHTS unless the asker may use all pools of the volume. */
export function checkPools(catalogue: Catalogue, asker: Asker, home: PoolState, manifest: Manifest): void {
  asker.checkPool(home.name);
  for (const { poolId } of otherParts(manifest)) asker.checkPool(poolById(catalogue, poolId)?.name ?? `id ${poolId}, which is not open`);
}

function poolById({ pools }: Catalogue, id: string): PoolState | null {
  return pools.find(({ identity }) => identity?.id === id) ?? null;
}

function closed(poolId: string): RsError {
  return new RsError('E_POOL', `Pool id ${poolId}, which has a file of the volume, is not open: mount it, then run rsadm reload`, {
    poolId,
  });
}

/** Throws E_LIMIT if the server or the asker already has the maximum number of pool volumes. Removed volumes count towards the maximum. */
export function checkCount({ pools }: Catalogue, { node }: Asker): void {
  let [all, own] = [0, 0];
  for (const { volumes, removed } of pools) {
    all += volumes.size + removed.size;
    if (node === null) continue;
    for (const { owner } of volumes.values()) if (owner === node) own++;
    for (const { manifest } of removed.values()) if (manifest.owner === node) own++;
  }
  const remedy = 'remove one, and delete removed ones for good (volume purge)';
  if (all >= POOL_VOLUMES_MAX)
    throw new RsError('E_LIMIT', `The pools have ${POOL_VOLUMES_MAX} volumes, and no more are allowed: ${remedy}`);
  if (own >= POOL_VOLUMES_PER_CLIENT_MAX)
    throw new RsError('E_LIMIT', `Client ${node} has ${own} volumes, and no more are allowed: ${remedy}`, { node });
}

/**
 * Chooses among the usable pools that the asker may use. Pools with reflink and enough room come first; among equals, the pool with
 * the most room. Throws E_UNKNOWN_POOL or E_SPACE.
 */
export function choosePool(catalogue: Catalogue, sizeBytes: number, thick: boolean, asker: Asker): PoolState {
  const mine = catalogue.pools.filter(({ name }) => asker.mayUsePool(name));
  if (mine.length === 0) {
    const why =
      catalogue.pools.length === 0
        ? 'rsadm pool add NAME PATH makes one'
        : 'its right names other pools, which rsadm client rights changes';
    throw new RsError('E_UNKNOWN_POOL', `The server has no pool for this volume: ${why}`);
  }
  const usable = mine.filter(({ trouble }) => trouble === null);
  const [first] = mine;
  if (usable.length === 0 && first !== undefined) throw unusable(first);
  const withRoom = usable.filter((pool) => roomRefusal(pool, sizeBytes, thick) === null);
  const fits = (pool: PoolState): boolean => pool.hasReflink !== false && roomBytes(pool) >= sizeBytes;
  const byRoom = (a: PoolState, b: PoolState): number => Number(fits(b)) - Number(fits(a)) || roomBytes(b) - roomBytes(a);
  const [best] = (withRoom.length > 0 ? withRoom : usable).toSorted(byRoom);
  if (best === undefined) throw new RsError('E_INTERNAL', 'No pool to choose from');
  return best;
}

/** Returns the room for new volumes: the free space above the reserve or the bytes that the limit leaves, whichever is less. */
function roomBytes(pool: PoolState): number {
  return Math.min(usableBytes(pool), promiseLeft(pool));
}

/** Returns the bytes that a pool can still promise; Infinity if nothing bounds its promises. */
function promiseLeft(pool: PoolState): number {
  return Math.max(0, Math.min(pool.limitBytes ?? Number.POSITIVE_INFINITY, coveredBytes(pool)) - promisedBytes(pool));
}

/** Returns the most bytes that `overcommit` permits the pool to promise. A pool of unknown size that refuses overcommit gets no promise. */
function coveredBytes(pool: PoolState): number {
  return pool.overcommit === 'refuse' ? (holdableBytes(pool) ?? 0) : Number.POSITIVE_INFINITY;
}

export function checkRoom(pool: PoolState, moreBytes: number, thick: boolean): void {
  const refusal = roomRefusal(pool, moreBytes, thick);
  if (refusal !== null) throw refusal;
}

function roomRefusal(pool: PoolState, moreBytes: number, thick: boolean): RsError | null {
  const promise = promiseRefusal(pool, moreBytes);
  if (promise !== null || !thick || usableBytes(pool) >= moreBytes) return promise;
  return noSpace(pool, moreBytes, purgeRemedy(pool) ?? 'free space there, or create the volume without --thick');
}

/** Throws E_SPACE if the pool cannot promise more bytes. */
export function checkPromise(pool: PoolState, moreBytes: number): void {
  const refusal = promiseRefusal(pool, moreBytes);
  if (refusal !== null) throw refusal;
}

function promiseRefusal(pool: PoolState, moreBytes: number): RsError | null {
  // A pool that promises too much has 0 left. A volume of several files can therefore grow if such a pool gets nothing more.
  if (moreBytes <= promiseLeft(pool)) return null;
  if (pool.limitBytes === null || promisedBytes(pool) + moreBytes <= pool.limitBytes) return uncovered(pool, moreBytes);
  const remedy = `remove a volume, use another pool, or raise limit in section [pool ${pool.name}] of rssrvcfg`;
  return noSpace(pool, moreBytes, purgeRemedy(pool) ?? remedy);
}

/** Returns the refusal of a pool with overcommit = refuse. */
function uncovered(pool: PoolState, moreBytes: number): RsError {
  const { name } = pool;
  const [promised, holdable] = [promisedBytes(pool), holdableBytes(pool)];
  const context = { pool: name, askedBytes: moreBytes, promisedBytes: promised, holdableBytes: holdable };
  const key = `overcommit = refuse in section [pool ${name}] of rssrvcfg`;
  if (holdable === null)
    return new RsError('E_SPACE', `Pool ${name} promises nothing more while its size is unknown (${key}): try again later`, context);
  const sizes = `would promise ${roundedSize(promised + moreBytes)}, and has ${roundedSize(holdable)} above its reserve`;
  const remedy = purgeRemedy(pool) ?? 'remove a volume, use another pool, or enlarge its file system';
  return new RsError('E_SPACE', `Pool ${name} ${sizes} (${key}): ${remedy}`, context);
}

/** Returns the remedy to purge removed volumes; null if the pool has no removed volumes. */
function purgeRemedy(pool: PoolState): string | null {
  if (pool.removed.size === 0) return null;
  return `${roundedSize(removedBytes(pool))} are removed volumes, which volume purge deletes for good`;
}

function noSpace(pool: PoolState, askedBytes: number, remedy: string): RsError {
  const { name, limitBytes } = pool;
  const [freeBytes, promised] = [usableBytes(pool), promisedBytes(pool)];
  const limit = limitBytes === null ? 'none' : printSize(limitBytes);
  return new RsError(
    'E_SPACE',
    `Pool ${name} has no room: asked ${printSize(askedBytes)}, free ${roundedSize(freeBytes)}, promised ${roundedSize(promised)}, limit ${limit}: ${remedy}`,
    { pool: name, askedBytes, freeBytes, promisedBytes: promised, limitBytes },
  );
}

/** Throws E_USAGE if a volume is named twice. */
export function checkOnce(names: readonly VolumeName[]): void {
  const texts = names.map(volumeText);
  const twice = texts.find((text, index) => texts.indexOf(text) !== index);
  if (twice !== undefined) throw new RsError('E_USAGE', `Volume ${twice} is given twice: give each volume once`);
}

/** Prints whole MiB, because the exact number of bytes is hard to read. */
function roundedSize(bytes: number): string {
  return printSize(bytes < MIB ? bytes : bytes - (bytes % MIB));
}

export function unusable({ name, trouble }: PoolState): RsError {
  return new RsError('E_POOL', `Pool ${name} cannot be used: ${trouble ?? 'it is not open'}`, { pool: name });
}

export function checkName(
  catalogue: Catalogue,
  { name, universe }: VolumeName,
  ownId: string | null,
  remedy = 'choose another name',
): void {
  if (!isName(name)) throw new RsError('E_USAGE', `Wrong volume name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const rawName = `r${name}`;
  const cookedName = name.startsWith('r') ? name.slice(1) : null;
  const taken = [name, rawName, ...(cookedName === null ? [] : [cookedName])];
  const check = (other: NamedVolume): void => {
    if (other.universe !== universe) return;
    if (other.name === name) throw new RsError('E_EXISTS', `Volume ${volumeText(other)} exists: ${remedy}`, { volume: name });
    const raw = other.name === rawName ? [other.name, name] : other.name === cookedName ? [name, other.name] : null;
    if (raw === null) return;
    throw new RsError(
      'E_EXISTS',
      `Volume ${volumeText(other)} exists, and ${raw[0]} is the name of the raw device of ${raw[1]}: ${remedy}`,
      { volume: name },
    );
  };
  for (const volume of catalogue.configured) check(volume);
  for (const { volumes } of catalogue.pools) {
    const others = taken.flatMap((one) => volumesNamed(volumes, { name: one, universe }));
    for (const manifest of others) if (manifest.id !== ownId) check(manifest);
  }
}
