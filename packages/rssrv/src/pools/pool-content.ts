// Makes the PoolState of a pool from a scan, and the next state after each change. pools.ts keeps the states. Invariant: a state is
// replaced as a whole and never modified.

import { statfs } from 'node:fs/promises';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import { errnoName, errnoRemedy, RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import { type PoolState, volumeText } from './catalogue.ts';
import { POOL_FINDINGS_MAX } from './limits.ts';
import { type Manifest, otherParts } from './disk/manifest.ts';
import type { Reflink } from './disk/data-file.ts';
import { poolPaths } from './disk/pool-paths.ts';
import { withManifest, withoutManifest } from './disk/volume-index.ts';
import type { FoundPart, RemovedVolume } from './disk/pool-scan.ts';
import { canClone } from './snapshots/file-copy.ts';
import { systemReflink } from './snapshots/reflink.ts';
import { pendingFindings } from './repair/snapshot-repair.ts';
import type { PoolContentScan, VolumeSnapshots } from './snapshots/snapshot-scan.ts';
import { partBytesIn, partFindings } from './repair/part-plan.ts';

type PoolContent = Pick<PoolState, 'volumes' | 'removed' | 'snapshots' | 'purging' | 'parts' | 'partBytes' | 'unreadable' | 'findings'>;

const NO_CONTENT: PoolContent = {
  volumes: new Map(),
  removed: new Map(),
  snapshots: new Map(),
  purging: new Map(),
  parts: new Map(),
  partBytes: 0,
  unreadable: new Set(),
  findings: [],
};

/** The state of a pool that cannot be used. */
export const CLOSED = { identity: null, ownership: null, isOpen: false, space: null, hasReflink: null, ...NO_CONTENT } as const;

export function contentOf({ volumes, removed, snapshots, purging, parts, unreadable, findings }: PoolContentScan): PoolContent {
  return {
    volumes: VersionedMap.of(new Map(volumes.map((manifest) => [manifest.id, manifest]))),
    removed: new Map(removed.map((one) => [one.manifest.id, one])),
    snapshots,
    purging: new Map(purging.map((manifest) => [manifest.id, manifest])),
    parts: new Map(parts.map((part) => [part.record.fileId, part])),
    partBytes: 0,
    unreadable,
    findings,
  };
}

/**
 * Returns the folder of a volume or part that the pool had before the scan and that the scan has not found; null if the scan has found all
 * folders.
 */
export function lostIn({ path, volumes, parts }: PoolState, scan: Pick<PoolContentScan, 'volumes' | 'removed' | 'parts'>): string | null {
  const present = new Set<string>([...scan.volumes, ...scan.removed.map(({ manifest }) => manifest)].map(({ id }) => id));
  const volume = [...volumes.keys()].find((id) => !present.has(id));
  if (volume !== undefined) return poolPaths.volume(path, volume);
  const files = new Set(scan.parts.map(({ record }) => record.fileId));
  const part = [...parts.values()].find(({ record, isNew }) => !isNew && !files.has(record.fileId));
  return part === undefined ? null : poolPaths.part(path, part.record.fileId);
}

/** Returns texts about volumes that the pool had before the scan and that the scan has not found. */
export function missingFindings({ path, volumes }: PoolState, scan: Pick<PoolContentScan, 'volumes' | 'findings'>): readonly string[] {
  const found = new Set(scan.volumes.map(({ id }) => id));
  return [...volumes.values()].flatMap((volume) => {
    const folder = poolPaths.volume(path, volume.id);
    const isExplained = found.has(volume.id) || scan.findings.some((finding) => finding.includes(folder));
    return isExplained ? [] : [`${folder} of volume ${volumeText(volume)} is missing: restore it from a backup of the pool`];
  });
}

export function withVolume(state: PoolState, manifest: Manifest): PoolState {
  return {
    ...state,
    volumes: withManifest(state.volumes, manifest),
    removed: without(state.removed, manifest.id),
  };
}

export function withRemoved(state: PoolState, removed: RemovedVolume): PoolState {
  const { id } = removed.manifest;
  return { ...state, volumes: withoutManifest(state.volumes, id), removed: VersionedMap.of(state.removed).with(id, removed) };
}

/**
 * Returns the state after a removed volume was deleted for good. A volume of several files stays in `purging`, because its parts may
 * still exist.
 */
export function withPurged(state: PoolState, manifest: Manifest): PoolState {
  const { id } = manifest;
  const purging = otherParts(manifest).length > 0 ? new Map([...state.purging, [id, manifest]]) : state.purging;
  return { ...state, removed: without(state.removed, id), snapshots: without(state.snapshots, id), purging };
}

export function withPart(state: PoolState, part: FoundPart): PoolState {
  return { ...state, parts: new Map([...state.parts, [part.record.fileId, part]]) };
}

export function withSnapshots(state: PoolState, volumeId: string, snapshots: VolumeSnapshots): PoolState {
  return { ...state, snapshots: VersionedMap.of(state.snapshots).with(volumeId, snapshots) };
}

/** Recomputes, for each pool, the bytes that it promises for the parts in it. The manifests in other pools determine these bytes. */
export function account(pools: readonly { state: PoolState }[]): void {
  const states = pools.map(({ state }) => state);
  for (const pool of pools) {
    const partBytes = pool.state.parts.size === 0 ? 0 : partBytesIn(pool.state, states);
    if (partBytes !== pool.state.partBytes) pool.state = { ...pool.state, partBytes };
  }
}

/** Returns the findings about a pool, from the scan of the pool and from the manifests in other pools. */
export function findingsOf(pool: PoolState, pools: readonly PoolState[]): readonly string[] {
  const more = [...partFindings(pool, pools), ...pendingFindings(pool, pools)];
  return more.length === 0 ? pool.findings : [...pool.findings, ...more].slice(0, POOL_FINDINGS_MAX);
}

/**
 * Returns the space of the file system of a pool, and whether the file system can clone files. The caller must hold the lock of the pool.
 */
export async function fileSystemFacts(path: string, reflink: Reflink | undefined): Promise<Pick<PoolState, 'space' | 'hasReflink'>> {
  const identity = poolPaths.identity(path);
  const hasReflink = await canClone(reflink ?? systemReflink(), identity, `${identity}.new`);
  return { space: await spaceOf(path), hasReflink };
}

export async function spaceOf(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
}

export function emptyState({ name, path, limitBytes, reserve, overcommit, shared }: PoolConfig): PoolState {
  return { name, path, limitBytes, reserve, overcommit, isShared: shared !== null, trouble: null, ...CLOSED };
}

/**
 * Returns why a pool without pool.json cannot be used. The text has advice for a file system that is not mounted, and for a lost disk that
 * can no longer be mounted.
 */
export function absentText({ name, path }: Pick<PoolConfig, 'name' | 'path'>): string {
  const lost = `if its disk is lost for good, rsadm pool remove ${name} forgets it and its volumes, and rsadm pool add makes a new one there`;
  return `${poolPaths.identity(path)} does not exist: mount the file system of the pool, then run rsadm reload; ${lost}`;
}

export function silentText(silentMs: number): string {
  return `its file system has not answered for ${printDuration(silentMs)}`;
}

/** Returns what to do after a change of a pool's files has failed. */
export function remedyOf(errno: string | undefined): string {
  switch (errno) {
    case 'EFBIG':
      return 'its file system has no files of this size; choose a smaller size, or a pool on XFS';
    case 'EOPNOTSUPP':
    case 'ENOTSUP':
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
  return map.has(key) ? VersionedMap.of(map).without([key]) : map;
}

/** Logs what has changed for a pool. `reported`: findings that were logged before. */
export function report(
  log: Pick<Log, 'info' | 'warn' | 'error'>,
  now: PoolState,
  before: PoolState | undefined,
  findings: readonly string[],
  reported: readonly string[],
): void {
  // A shared pool is usually served by another server.
  if (now.trouble !== null && now.isShared && !now.isOpen) log.info(`Pool ${now.name} is not open here: ${now.trouble}`);
  else if (now.trouble !== null) log.error(`Pool ${now.name} cannot be used: ${now.trouble}`);
  else if (before?.trouble !== null) log.info(`Pool ${now.name} at ${now.path} has ${now.volumes.size} volumes`);
  const known = new Set(reported);
  for (const finding of findings) if (!known.has(finding)) log.warn(`Pool ${now.name}: ${finding}`);
}

/** Errors after which a file system may show data that its disk does not have. */
export const UNTRUSTED: readonly string[] = ['EIO', 'EROFS', 'ESHUTDOWN', 'ENODEV', 'ENXIO', 'EUCLEAN', 'ETIMEDOUT'];

/** Returns the error of a change of the files of a pool. */
export function changeError({ name, path }: Pick<PoolState, 'name' | 'path'>, thrown: unknown): RsError {
  const errno = errnoName(thrown);
  const what = errno ?? toRsError(thrown).message;
  const text = `Pool ${name} at ${path} cannot be changed (${what}): ${remedyOf(errno)}`;
  return new RsError('E_POOL', text, { pool: name, path, errno }, thrown);
}
