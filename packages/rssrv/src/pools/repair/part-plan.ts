// Decides whether parts that an interrupted change has left are kept or deleted. Pure: part-repair.ts executes the plan. Invariants: the
// manifest of a volume decides whether a part of the volume is kept, and the description of a snapshot decides the same for parts of the
// snapshot. While this manifest or description cannot be read, the part does not change. A part is deleted only if it is new and this
// manifest or description does not name it, or if its volume is being deleted for good. All other parts that are not named are kept and
// reported.

import { type Manifest, otherParts, type PartRecord } from '../disk/manifest.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import type { FoundPart } from '../disk/pool-scan.ts';
import { filesOf } from '../snapshots/snapshot-record.ts';
import { NO_SNAPSHOTS } from '../snapshots/snapshot-scan.ts';
import type { SnapshotPool } from './repaired-pool.ts';

/** The fields of PoolState (catalogue.ts) that the plan needs. */
export interface PartPool extends SnapshotPool {
  readonly purging: ReadonlyMap<string, Manifest>;
  readonly parts: ReadonlyMap<string, FoundPart>;
}

export type PartAction =
  | { readonly kind: 'confirm'; readonly pool: string; readonly fileId: string }
  | { readonly kind: 'delete'; readonly pool: string; readonly fileId: string; readonly isNew: boolean }
  /** Deletes the rest of a purged volume, because all its parts have been deleted. */
  | { readonly kind: 'forget'; readonly pool: string; readonly volumeId: string };

export interface PartPlan {
  readonly actions: readonly PartAction[];
  /** Maps the name of a pool to texts about unexplained or missing parts. */
  readonly findings: ReadonlyMap<string, readonly string[]>;
}

export function planParts(pools: readonly PartPool[]): PartPlan {
  const actions: PartAction[] = [];
  const findings = new Map<string, string[]>();
  for (const pool of pools.filter(isUsable)) {
    for (const part of pool.parts.values()) {
      const decision = decide(pool, part, pools);
      if (typeof decision === 'string') findings.set(pool.name, [...(findings.get(pool.name) ?? []), decision]);
      else if (decision !== null) actions.push(decision);
    }
    for (const { pool: where, text } of missingParts(pool, pools)) findings.set(where, [...(findings.get(where) ?? []), text]);
    for (const manifest of pool.purging.values())
      if (isAllGone(manifest, pools)) actions.push({ kind: 'forget', pool: pool.name, volumeId: manifest.id });
  }
  return { actions, findings };
}

/**
 * Decides about one part. Returns an action if something must be done. Returns a text if no volume names the part, but the part stays.
 * Returns null if nothing must be done, or if nothing can be decided yet.
 */
function decide({ name, path }: PartPool, { record, isNew }: FoundPart, pools: readonly PartPool[]): PartAction | string | null {
  const { fileId, poolId, homeId, volumeId, snapshotId } = record;
  const folder = poolPaths.part(path, fileId);
  const home = poolOf(pools, homeId);
  if (home === null)
    return `${folder} belongs to volume id ${volumeId} of pool id ${homeId}, which is not open: mount that pool, and add its section [pool]`;
  if (!isUsable(home) || home.unreadable.has(volumeId)) return null;
  const isNamed = snapshotId === undefined ? names(manifestIn(home, volumeId), poolId, fileId) : isInSnapshot(home, record);
  if (isNamed === null) return null;
  if (isNamed) return isNew ? { kind: 'confirm', pool: name, fileId } : null;
  if (isNew || home.purging.has(volumeId)) return { kind: 'delete', pool: name, fileId, isNew };
  return `${folder} belongs to volume id ${volumeId}, which pool ${home.name} does not have with this part: restore the volume from a backup of that pool, or delete the folder`;
}

function manifestIn({ volumes, removed }: PartPool, volumeId: string): Manifest | undefined {
  return volumes.get(volumeId) ?? removed.get(volumeId)?.manifest;
}

function names(manifest: Pick<Manifest, 'layout'> | undefined, poolId: string, fileId: string): boolean {
  return manifest !== undefined && otherParts(manifest).some((part) => part.fileId === fileId && part.poolId === poolId);
}

/**
 * Returns true if a snapshot in the home names the part, and null if this is unknown, because the snapshots cannot be read or are not
 * settled yet.
 */
function isInSnapshot(home: PartPool, { volumeId, snapshotId, poolId, fileId }: PartRecord): boolean | null {
  const { list, pending, making, hasUnreadable } = home.snapshots.get(volumeId) ?? NO_SNAPSHOTS;
  const found = list.find(({ id }) => id === snapshotId);
  if (found !== undefined) return names(filesOf(found), poolId, fileId);
  return hasUnreadable || [...pending, ...making].some(({ id }) => id === snapshotId) ? null : false;
}

/** Returns true if all parts of the volume and of its snapshots certainly no longer exist. */
function isAllGone(manifest: Manifest, pools: readonly PartPool[]): boolean {
  return (
    otherParts(manifest).every(({ poolId, fileId }) => isGone(pools, poolId, fileId)) &&
    !pools.some(({ parts }) => [...parts.values()].some(({ record }) => record.volumeId === manifest.id))
  );
}

/** Returns texts about parts that do not exist although a manifest or a description of a snapshot in this pool names them. */
function missingParts(home: PartPool, pools: readonly PartPool[]): { readonly pool: string; readonly text: string }[] {
  const manifests = [...home.volumes.values(), ...[...home.removed.values()].map(({ manifest }) => manifest)];
  const missing = (files: Pick<Manifest, 'layout'>, owner: string): { readonly pool: string; readonly text: string }[] =>
    otherParts(files).flatMap(({ poolId, fileId }) => {
      const pool = poolOf(pools, poolId);
      if (pool === null || !isGone(pools, poolId, fileId)) return [];
      return [
        {
          pool: pool.name,
          text: `${poolPaths.part(pool.path, fileId)} of ${owner} is missing: restore it from a backup of the pool`,
        },
      ];
    });
  return manifests.flatMap((manifest) => [
    ...missing(manifest, `volume ${manifest.name}`),
    ...(home.snapshots.get(manifest.id)?.list ?? []).flatMap((one) =>
      one.layout === undefined ? [] : missing(filesOf(one), `snapshot ${manifest.name}@${one.name}`),
    ),
  ]);
}

/**
 * Returns true if the part certainly does not exist. Returns false if the part exists, if its record cannot be read, or if its pool
 * cannot be used.
 */
function isGone(pools: readonly PartPool[], poolId: string, fileId: string): boolean {
  const pool = poolOf(pools, poolId);
  return pool !== null && isUsable(pool) && !pool.parts.has(fileId) && !pool.unreadable.has(fileId);
}

/**
 * Returns the bytes that a pool promises for the parts in it. Parts of removed and unreadable volumes count. Parts of snapshots do not
 * count.
 */
export function partBytesIn(pool: PartPool, pools: readonly PartPool[]): number {
  let sum = 0;
  for (const { record } of pool.parts.values()) {
    if (record.snapshotId !== undefined) continue;
    const home = poolOf(pools, record.homeId);
    if (home === null || home.unreadable.has(record.volumeId)) sum += record.sizeBytes;
    else {
      const volume = manifestIn(home, record.volumeId);
      const part = volume === undefined ? undefined : otherParts(volume).find(({ fileId }) => fileId === record.fileId);
      sum += part?.sizeBytes ?? 0;
    }
  }
  return sum;
}

/** Returns the findings about parts of a pool: parts that no manifest explains, and parts that are missing. */
export function partFindings(pool: PartPool, pools: readonly PartPool[]): readonly string[] {
  return planParts(pools).findings.get(pool.name) ?? [];
}

function poolOf(pools: readonly PartPool[], id: string): PartPool | null {
  return pools.find((pool) => pool.isOpen && pool.identity?.id === id) ?? null;
}

function isUsable({ isOpen, trouble }: PartPool): boolean {
  return isOpen && trouble === null;
}
