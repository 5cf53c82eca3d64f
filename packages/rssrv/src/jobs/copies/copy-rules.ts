// Decides whether a volume can be copied to a new volume, and makes the new manifest. This module is pure, and to-volume.ts makes the copy.
// Invariant: when the new volume gets its name, all checks of the request are repeated with the asker's current rights.

import { RsError } from '@rsio/base/lib/errors';
import { isOpen } from '../job-plan.ts';
import type { JobRecord } from '../job-record.ts';
import type { Asker } from '../../pools/asker.ts';
import {
  type Catalogue,
  checkChange,
  checkCount,
  checkName,
  checkRoom,
  choosePool,
  type Found,
  ownedBytes,
  type PoolState,
  poolNamed,
  unusable,
  type VolumeName,
  volumeText,
} from '../../pools/catalogue.ts';
import type { VolumeId } from '../../pools/disk/ids.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';

/** Size and block size of the volume or snapshot that is copied. */
export interface CopiedSize {
  readonly sizeBytes: number;
  readonly blockSizeBytes: 512 | 4096;
}

export interface NewVolume extends VolumeName {
  readonly id: VolumeId;
  /**
   * Name of the pool for the new volume. If null, the server chooses among the pools that have no file of the copied volume, and takes the
   * pool with the most room.
   */
  readonly pool: string | null;
  /** Id of the copied snapshot; null for the volume at the moment of the copy. */
  readonly snapshotId: string | null;
}

/** Returns the pool of the new volume, and its manifest without stamps. Throws if the volume cannot be copied to this pool. */
export function decideCopy(
  catalogue: Catalogue,
  source: Found,
  { sizeBytes, blockSizeBytes }: CopiedSize,
  to: NewVolume,
  asker: Asker,
  nowMs: number,
): { readonly pool: PoolState; readonly manifest: Omit<Manifest, 'stamps'> } {
  checkSource(catalogue, source, asker);
  checkName(catalogue, to, null);
  checkCount(catalogue, asker);
  asker.checkLimit(ownedBytes(catalogue, asker.node), sizeBytes);
  // Only an administrator may know the names of all pools.
  if (to.pool !== null) asker.checkPool(to.pool);
  const pool = to.pool === null ? otherPool(catalogue, source, sizeBytes, asker) : poolNamed(catalogue, to.pool);
  asker.checkPool(pool.name);
  if (pool.trouble !== null || pool.identity === null) throw unusable(pool);
  checkRoom(pool, sizeBytes, false);
  // Only clients that may attach the volume may attach its copy.
  const { clients } = source.manifest;
  const rights = { ...asker.access({ clients, takeOver: null }), takeOverForce: false, owner: asker.node };
  const flags = { thick: false, readonly: false, shared: false };
  const { id, name, universe, snapshotId } = to;
  const origin = { volumeId: source.manifest.id, snapshotId };
  const base = { id, name, universe, sizeBytes, blockSizeBytes, layout: { kind: 'simple' as const } };
  return { pool, manifest: { ...base, ...flags, ...rights, createdMs: nowMs, origin, request: null } };
}

/** Throws unless the asker may copy the volume. */
export function checkSource(catalogue: Catalogue, { pool, manifest }: Found, asker: Asker): void {
  checkChange(catalogue, asker, pool, manifest, 'copy volumes');
}

/**
 * Returns a pool that has no file of the volume. A copy in the volume's own pool is not useful, because a clone would take no time and no
 * space.
 */
function otherPool(catalogue: Catalogue, { pool, manifest }: Found, sizeBytes: number, asker: Asker): PoolState {
  const { layout } = manifest;
  const own = new Set([pool.identity?.id, ...(layout.kind === 'simple' ? [] : layout.parts.map(({ poolId }) => poolId))]);
  const others = catalogue.pools.filter(({ identity }) => identity === null || !own.has(identity.id));
  // A clone of a volume of several files also has several files, but a copy has one file. A copy of such a volume is therefore useful even
  // in one of the volume's pools.
  const pools = others.length === 0 && layout.kind !== 'simple' ? catalogue.pools : others;
  if (pools.length === 0)
    throw new RsError(
      'E_USAGE',
      `Volume ${volumeText(manifest)} is in the only pool: make a snapshot, and clone it (volume clone); --pool ${pool.name} copies there nevertheless`,
    );
  return choosePool({ ...catalogue, pools }, sizeBytes, false, asker);
}

/** Throws E_BUSY if a job that has not ended already makes the same target. */
export function checkNotCopied(jobs: readonly JobRecord[], isSame: (job: JobRecord) => boolean, what: string): void {
  const other = jobs.find((job) => isOpen(job) && isSame(job));
  if (other !== undefined) throw new RsError('E_BUSY', `Job ${other.id} is making ${what}: wait for it, or cancel it`, { job: other.id });
}
