// What the server knows about a pool, as the pool is read and as changes modify it. Pools makes the changes. Invariant: a state is replaced as
// a whole and never modified.

import { statfs } from 'node:fs/promises';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import { errnoRemedy } from '@rsio/common/lib/errors';
import type { PoolState } from './catalogue.ts';
import { POOL_FINDINGS_MAX } from './disk/limits.ts';
import { type Manifest, otherParts } from './disk/manifest.ts';
import type { FoundPart, RemovedVolume } from './disk/pool-scan.ts';
import { pendingFindings } from './snapshots/snapshot-repair.ts';
import type { PoolContentScan, VolumeSnapshots } from './snapshots/snapshot-scan.ts';
import { partBytesIn, partFindings } from './parts/part-plan.ts';

type PoolContent = Pick<PoolState, 'volumes' | 'removed' | 'snapshots' | 'purging' | 'parts' | 'partBytes' | 'unreadable' | 'findings'>;

export const NO_CONTENT: PoolContent = {
  volumes: new Map(),
  removed: new Map(),
  snapshots: new Map(),
  purging: new Map(),
  parts: new Map(),
  partBytes: 0,
  unreadable: new Set(),
  findings: [],
};

export function contentOf({ volumes, removed, snapshots, purging, parts, unreadable, findings }: PoolContentScan): PoolContent {
  return {
    volumes: new Map(volumes.map((manifest) => [manifest.id, manifest])),
    removed: new Map(removed.map((one) => [one.manifest.id, one])),
    snapshots,
    purging: new Map(purging.map((manifest) => [manifest.id, manifest])),
    parts: new Map(parts.map((part) => [part.record.fileId, part])),
    partBytes: 0,
    unreadable,
    findings,
  };
}

/** Returns a part that the pool had, and that is neither there nor deleted by a change that was in progress. */
export function lostPartOf({ parts }: PoolState, scan: Pick<PoolContentScan, 'parts'>): string | null {
  const present = new Set(scan.parts.map(({ record }) => record.fileId));
  return [...parts.values()].find(({ record, isNew }) => !isNew && !present.has(record.fileId))?.record.fileId ?? null;
}

export function withVolume(state: PoolState, manifest: Manifest): PoolState {
  return {
    ...state,
    volumes: new Map(state.volumes).set(manifest.id, manifest),
    removed: without(state.removed, manifest.id),
  };
}

export function withRemoved(state: PoolState, removed: RemovedVolume): PoolState {
  const { id } = removed.manifest;
  return { ...state, volumes: without(state.volumes, id), removed: new Map(state.removed).set(id, removed) };
}

/** The parts of a volume of several files may still exist after the volume was deleted. */
export function withPurged(state: PoolState, manifest: Manifest): PoolState {
  const { id } = manifest;
  const purging = otherParts(manifest).length > 0 ? new Map([...state.purging, [id, manifest]]) : state.purging;
  return { ...state, removed: without(state.removed, id), snapshots: without(state.snapshots, id), purging };
}

export function withPart(state: PoolState, part: FoundPart): PoolState {
  return { ...state, parts: new Map([...state.parts, [part.record.fileId, part]]) };
}

export function withSnapshots(state: PoolState, volumeId: string, snapshots: VolumeSnapshots): PoolState {
  return { ...state, snapshots: new Map([...state.snapshots, [volumeId, snapshots]]) };
}

/** Recomputes what the parts in each pool promise, which the manifests in other pools say. */
export function account(pools: readonly { state: PoolState }[]): void {
  const states = pools.map(({ state }) => state);
  for (const pool of pools) {
    const partBytes = pool.state.parts.size === 0 ? 0 : partBytesIn(pool.state, states);
    if (partBytes !== pool.state.partBytes) pool.state = { ...pool.state, partBytes };
  }
}

/** What a pool contains, and its manifests do not explain, with what the manifests in other pools do not explain. */
export function findingsOf(pool: PoolState, pools: readonly PoolState[]): readonly string[] {
  const more = [...partFindings(pool, pools), ...pendingFindings(pool, pools)];
  return more.length === 0 ? pool.findings : [...pool.findings, ...more].slice(0, POOL_FINDINGS_MAX);
}

export async function spaceOf(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
}

export function emptyState({ name, path, limitBytes, reserve }: PoolConfig): PoolState {
  return { name, path, limitBytes, reserve, identity: null, isOpen: false, trouble: null, space: null, ...NO_CONTENT };
}

/** Returns what to do after a change of a pool's files has failed. */
export function remedyOf(errno: string | undefined): string {
  switch (errno) {
    case 'EFBIG':
      return 'its file system has no files of this size; choose a smaller size, or a pool on XFS';
    case 'EOPNOTSUPP':
      return 'its file system cannot allocate space; create the volume without --thick';
    case 'EACCES':
    case 'EPERM':
      return 'let rssrv write there';
    case 'ENOENT':
      return 'check that its file system is mounted';
    default:
      return errnoRemedy(errno) ?? "find the cause in the system's log (dmesg)";
  }
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  if (!map.has(key)) return map;
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
