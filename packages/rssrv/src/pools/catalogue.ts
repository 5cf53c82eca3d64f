// Decides whether a volume can be created, grown, renamed, changed, removed or restored, and what its manifest is then. Pure: pools.ts
// carries the decision out. Invariants: a name is used once in a universe, over all pools and all sections [volume]; the volumes of a pool
// never promise more than the limit of the pool; a refusal for lack of space gives the numbers.

import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { RsError } from '@rsio/common/lib/errors';
import { isName, NAME_ALLOWED, printSize, quoteText } from '@rsio/common/lib/units';
import { type Asker, checkLimit, checkPool, checkRole, checkVisible, mayUsePool } from './asker.ts';
import { POOL_VOLUMES_MAX } from './limits.ts';
import type { Manifest, PoolIdentity } from './disk/manifest.ts';
import type { RemovedVolume } from './disk/pool-scan.ts';

const MIB = 1024 * 1024;

/** What the server knows about a pool. It is replaced as a whole, never modified. */
export interface PoolState {
  readonly name: string;
  readonly path: string;
  /** The most bytes that the volumes of the pool may promise together; null for no limit. */
  readonly limitBytes: number | null;
  /** Share of the file system, from 0 to 1, that is kept free. */
  readonly reserve: number;
  readonly identity: PoolIdentity | null;
  /** True if the pool was read, so that its volumes are known. */
  readonly isOpen: boolean;
  /** Why the volumes of the pool cannot be changed; null if they can. */
  readonly trouble: string | null;
  /** Size of the file system and its free space; null if unknown. */
  readonly space: { readonly totalBytes: number; readonly freeBytes: number } | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, RemovedVolume>;
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
  readonly configured: readonly NamedVolume[];
}

export interface VolumeName {
  readonly name: string;
  readonly universe: number;
}

export interface CreateRequest extends VolumeName {
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
  /** Null: the pool with the most room is chosen. */
  readonly pool: string | null;
  readonly thick: boolean;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly clients: readonly string[] | null;
  readonly takeOver: readonly string[] | null;
  readonly takeOverForce: boolean;
}

/** Settings that can be changed. A missing setting stays as it is. */
export interface Settings {
  readonly readonly?: boolean;
  readonly shared?: boolean;
  readonly clients?: readonly string[] | null;
  readonly takeOver?: readonly string[] | null;
  readonly takeOverForce?: boolean;
  /** Stamp of the present data file, which confirms that it has the content that was served before. */
  readonly sameContent?: string;
}

export interface Found {
  readonly pool: PoolState;
  readonly manifest: Manifest;
}

export interface Stamp {
  readonly id: string;
  readonly request: string | null;
  readonly nowMs: number;
}

export function volumeText({ name, universe }: VolumeName): string {
  return universe === 0 ? name : `${name}@${universe}`;
}

/** Returns the volume with this name. Throws E_UNKNOWN_VOLUME, or E_VOLUME if its pool cannot be used. */
export function findVolume(catalogue: Catalogue, wanted: VolumeName): Found {
  for (const pool of catalogue.pools) {
    for (const manifest of pool.volumes.values()) {
      if (manifest.name !== wanted.name || manifest.universe !== wanted.universe) continue;
      if (pool.trouble !== null) throw unusable(pool);
      return { pool, manifest };
    }
  }
  const text = volumeText(wanted);
  if (catalogue.configured.some(({ name, universe }) => name === wanted.name && universe === wanted.universe))
    throw new RsError('E_VOLUME', `Volume ${text} is configured in a section of rssrvcfg: change the section and reload`, { volume: text });
  throw new RsError('E_UNKNOWN_VOLUME', `No volume ${text} in the pools of this server: rsadm volume list shows them`, { volume: text });
}

/** Sum of the sizes of the volumes in a pool. */
export function promisedBytes({ volumes }: PoolState): number {
  let sum = 0;
  for (const { sizeBytes } of volumes.values()) sum += sizeBytes;
  return sum;
}

/** Sum of the sizes of the volumes that a client owns in all pools. */
export function ownedBytes({ pools }: Catalogue, node: string | null): number {
  if (node === null) return 0;
  let sum = 0;
  for (const pool of pools) for (const { owner, sizeBytes } of pool.volumes.values()) if (owner === node) sum += sizeBytes;
  return sum;
}

/** Returns the free bytes above the reserve, at least 0. */
export function usableBytes({ space, reserve }: PoolState): number {
  return space === null ? 0 : Math.max(0, Math.floor(space.freeBytes - space.totalBytes * reserve));
}

/** Returns the manifest of the new volume, without stamps, and its pool. Throws if the volume cannot be created. */
export function decideCreate(
  catalogue: Catalogue,
  request: CreateRequest,
  asker: Asker,
  { id, request: requestId, nowMs }: Stamp,
): { readonly pool: PoolState; readonly manifest: Omit<Manifest, 'stamps'> } {
  checkRole(asker, 'manage', 'create volumes');
  if (request.takeOverForce) checkRole(asker, 'admin', 'permit forced take-over');
  const { pool: wantedPool, clients, ...settings } = request;
  checkSize(request.sizeBytes, request.blockSizeBytes);
  checkName(catalogue, request, null);
  checkCount(catalogue);
  if (clients !== null && asker.role !== 'admin' && asker.node !== null && !clients.includes(asker.node))
    throw new RsError('E_RIGHTS', `Client ${asker.node} would not be able to attach volume ${request.name}: name it in clients`);
  checkLimit(asker, ownedBytes(catalogue, asker.node), request.sizeBytes);
  const pool = wantedPool === null ? choosePool(catalogue, request, asker) : poolNamed(catalogue, wantedPool);
  checkPool(asker, pool.name);
  if (pool.trouble !== null) throw unusable(pool);
  checkRoom(pool, request.sizeBytes, request.thick);
  const manifest = {
    ...settings,
    id,
    clients,
    layout: { kind: 'simple' },
    owner: asker.node,
    createdMs: nowMs,
    request: requestId,
  } as const;
  return { pool, manifest };
}

/** Returns the manifest with the new size. Throws if the volume cannot be grown. */
export function decideGrow(
  catalogue: Catalogue,
  { pool, manifest }: Found,
  sizeBytes: number,
  asker: Asker,
  request: string | null,
): Manifest {
  checkChange(asker, pool, manifest, 'grow volumes');
  checkSize(sizeBytes, manifest.blockSizeBytes);
  const text = volumeText(manifest);
  if (sizeBytes <= manifest.sizeBytes)
    throw new RsError(
      'E_VOLUME',
      `Volume ${text} has ${printSize(manifest.sizeBytes)}, and ${printSize(sizeBytes)} is not more: a volume cannot be made smaller`,
    );
  const moreBytes = sizeBytes - manifest.sizeBytes;
  checkOwner(asker, manifest);
  checkLimit(asker, ownedBytes(catalogue, asker.node), moreBytes);
  checkRoom(pool, moreBytes, manifest.thick);
  return { ...manifest, sizeBytes, request };
}

/** Returns the manifest with the new name. Throws if the name cannot be used. */
export function decideRename(
  catalogue: Catalogue,
  { pool, manifest }: Found,
  to: VolumeName,
  asker: Asker,
  request: string | null,
): Manifest {
  checkChange(asker, pool, manifest, 'rename volumes');
  checkName(catalogue, to, manifest.id);
  return { ...manifest, name: to.name, universe: to.universe, request };
}

/** Returns the manifest with the new settings. */
export function decideSet({ pool, manifest }: Found, settings: Settings, asker: Asker, request: string | null): Manifest {
  checkChange(asker, pool, manifest, 'change volumes');
  if (settings.takeOverForce === true) checkRole(asker, 'admin', 'permit forced take-over');
  const { sameContent, ...others } = settings;
  const stamps = sameContent === undefined ? manifest.stamps : [sameContent, ...manifest.stamps.slice(1)];
  const next = { ...manifest, ...others, stamps, request };
  checkVisible(asker, volumeText(manifest), next.clients);
  return next;
}

/** Throws if the asker may not remove the volume. The caller also refuses to remove a volume in use. */
export function decideRemove({ pool, manifest }: Found, asker: Asker): void {
  checkChange(asker, pool, manifest, 'remove volumes');
}

/** Returns the removed volume with this name, the one that was removed last. Throws E_UNKNOWN_VOLUME. */
export function decideRestore(
  catalogue: Catalogue,
  wanted: VolumeName,
  asker: Asker,
  request: string | null,
): { readonly pool: PoolState; readonly manifest: Manifest } {
  checkRole(asker, 'manage', 'restore volumes');
  const candidates = catalogue.pools.flatMap((pool) =>
    [...pool.removed.values()]
      .filter(({ manifest }) => manifest.name === wanted.name && manifest.universe === wanted.universe)
      .map(({ manifest, removal }) => ({ pool, manifest, removal })),
  );
  const [last] = candidates.toSorted((a, b) => b.removal.removedMs - a.removal.removedMs);
  const text = volumeText(wanted);
  if (last === undefined)
    throw new RsError('E_UNKNOWN_VOLUME', `No removed volume ${text}: rsadm volume list --removed shows what can be restored`, {
      volume: text,
    });
  const { pool, manifest } = last;
  checkPool(asker, pool.name);
  checkVisible(asker, text, manifest.clients);
  if (pool.trouble !== null) throw unusable(pool);
  checkName(catalogue, wanted, null, 'rename that one first');
  checkCount(catalogue);
  checkOwner(asker, manifest);
  checkLimit(asker, ownedBytes(catalogue, asker.node), manifest.sizeBytes);
  checkPromise(pool, manifest.sizeBytes);
  return { pool, manifest: { ...manifest, request } };
}

/** Returns the pool with this name. Throws E_UNKNOWN_POOL. */
export function poolNamed({ pools }: Catalogue, name: string): PoolState {
  const pool = pools.find((one) => one.name === name);
  if (pool !== undefined) return pool;
  const names = pools.map((one) => one.name);
  const remedy = names.length === 0 ? 'there is none; rsadm pool add NAME PATH makes one' : `there are ${names.join(', ')}`;
  throw new RsError('E_UNKNOWN_POOL', `No pool ${quoteText(name)}: ${remedy}`, { pool: name });
}

function checkChange(asker: Asker, pool: PoolState, manifest: Manifest, what: string): void {
  checkRole(asker, 'manage', what);
  checkPool(asker, pool.name);
  checkVisible(asker, volumeText(manifest), manifest.clients);
}

function checkCount(catalogue: Catalogue): void {
  if (catalogue.pools.reduce((sum, { volumes }) => sum + volumes.size, 0) >= POOL_VOLUMES_MAX)
    throw new RsError('E_LIMIT', `The pools have ${POOL_VOLUMES_MAX} volumes, and no more are allowed: remove one`);
}

/** Throws E_RIGHTS if the asker has a limit, and the volume counts towards the limit of somebody else. */
function checkOwner({ role, limitBytes, node }: Asker, { owner, name }: Manifest): void {
  if (role === 'admin' || limitBytes === null || owner === node) return;
  throw new RsError(
    'E_RIGHTS',
    `Client ${node} has a limit, and may not take space for volume ${name}, which ${owner ?? 'an administrator'} created: ask ${owner ?? 'an administrator'}`,
    { volume: name, node, owner },
  );
}

/** Chooses the usable pool with the most room among those that the asker may use. Throws E_UNKNOWN_POOL or E_SPACE. */
function choosePool(catalogue: Catalogue, { sizeBytes, thick }: CreateRequest, asker: Asker): PoolState {
  const mine = catalogue.pools.filter(({ name }) => mayUsePool(asker, name));
  if (mine.length === 0) {
    const why = catalogue.pools.length === 0 ? 'rsadm pool add NAME PATH makes one' : 'its line in [rights] of rssrvcfg names other pools';
    throw new RsError('E_UNKNOWN_POOL', `The server has no pool for this volume: ${why}`);
  }
  const usable = mine.filter(({ trouble }) => trouble === null);
  const [first] = mine;
  if (usable.length === 0 && first !== undefined) throw unusable(first);
  const withRoom = usable.filter((pool) => roomRefusal(pool, sizeBytes, thick) === null);
  const byRoom = (a: PoolState, b: PoolState): number => roomBytes(b) - roomBytes(a);
  const [best] = (withRoom.length > 0 ? withRoom : usable).toSorted(byRoom);
  if (best === undefined) throw new RsError('E_INTERNAL', 'No pool to choose from');
  return best;
}

/** Bytes that new volumes can have: the free space above the reserve, and no more than the limit leaves. */
function roomBytes(pool: PoolState): number {
  const left = pool.limitBytes === null ? Number.POSITIVE_INFINITY : pool.limitBytes - promisedBytes(pool);
  return Math.min(usableBytes(pool), left);
}

function checkRoom(pool: PoolState, moreBytes: number, thick: boolean): void {
  const refusal = roomRefusal(pool, moreBytes, thick);
  if (refusal !== null) throw refusal;
}

function roomRefusal(pool: PoolState, moreBytes: number, thick: boolean): RsError | null {
  const promise = promiseRefusal(pool, moreBytes);
  if (promise !== null || !thick || usableBytes(pool) >= moreBytes) return promise;
  return noSpace(pool, moreBytes, 'free space there, or create the volume without --thick');
}

function checkPromise(pool: PoolState, moreBytes: number): void {
  const refusal = promiseRefusal(pool, moreBytes);
  if (refusal !== null) throw refusal;
}

function promiseRefusal(pool: PoolState, moreBytes: number): RsError | null {
  if (pool.limitBytes === null || promisedBytes(pool) + moreBytes <= pool.limitBytes) return null;
  return noSpace(pool, moreBytes, `remove a volume, use another pool, or raise limit in section [pool ${pool.name}] of rssrvcfg`);
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

/** Prints whole MiB, because the exact number of bytes helps nobody. */
function roundedSize(bytes: number): string {
  return printSize(bytes < MIB ? bytes : bytes - (bytes % MIB));
}

function unusable({ name, trouble }: PoolState): RsError {
  return new RsError('E_POOL', `Pool ${name} cannot be used: ${trouble ?? 'it is not open'}`, { pool: name });
}

function checkSize(sizeBytes: number, blockSizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < blockSizeBytes || sizeBytes > VOLUME_MAX_BYTES)
    throw new RsError('E_USAGE', `Wrong size ${sizeBytes}: allowed is ${blockSizeBytes} to ${printSize(VOLUME_MAX_BYTES)}`);
  const nextMultiple = Math.ceil(sizeBytes / blockSizeBytes) * blockSizeBytes;
  if (nextMultiple !== sizeBytes)
    throw new RsError(
      'E_USAGE',
      `Wrong size ${sizeBytes}: allowed are multiples of the block size ${blockSizeBytes}, such as ${printSize(nextMultiple)}`,
    );
  if (sizeBytes % SECTOR_BYTES !== 0) throw new RsError('E_USAGE', `Wrong size ${sizeBytes}: allowed are multiples of ${SECTOR_BYTES}`);
}

/** Throws unless the name can be used. `ownId`: id of the volume that gets the name. `remedy`: what to do if it is in use. */
function checkName(catalogue: Catalogue, { name, universe }: VolumeName, ownId: string | null, remedy = 'choose another name'): void {
  if (!isName(name)) throw new RsError('E_USAGE', `Wrong volume name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  const others: NamedVolume[] = [...catalogue.configured];
  for (const { volumes } of catalogue.pools) for (const manifest of volumes.values()) if (manifest.id !== ownId) others.push(manifest);
  for (const other of others) {
    if (other.universe !== universe) continue;
    if (other.name === name) throw new RsError('E_EXISTS', `Volume ${volumeText(other)} exists: ${remedy}`, { volume: name });
    const raw = other.name === `r${name}` ? [other.name, name] : name === `r${other.name}` ? [name, other.name] : null;
    if (raw === null) continue;
    throw new RsError(
      'E_EXISTS',
      `Volume ${volumeText(other)} exists, and ${raw[0]} is the name of the raw device of ${raw[1]}: ${remedy}`,
      { volume: name },
    );
  }
}
