// The state of the server in the form of its control methods (common's control/server-methods.ts). Invariant: views only read.
// Programs do the layout.

import { stat } from 'node:fs/promises';
import type { ClientRights, RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ClientView, ManagedVolumeView, PoolView, RemovedVolumeView } from '@rsio/common/control/server-methods';
import type { Holder } from '@rsio/protocol/wire/messages';
import { clientAsker } from '../pools/asker.ts';
import { type Catalogue, ownedBytes, type PoolState, promisedBytes, usableBytes } from '../pools/catalogue.ts';
import { REMOVED_KEPT_MS } from '../pools/limits.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import type { RemovedVolume } from '../pools/disk/pool-scan.ts';
import { SIZE_READS_MAX } from './limits.ts';

const SECTOR_OF_STAT_BYTES = 512;

/** What the listener knows about a volume that it should serve. */
export interface VolumeStatus {
  readonly id: string | null;
  /** Null if the volume is not served. */
  readonly sizeBytes: number | null;
  readonly reason: string | null;
  readonly holders: readonly Holder[];
  /** True if writes wait because the pool is full. */
  readonly waitsForSpace: boolean;
}

/** What the listener knows about the session of a client. */
export interface SessionStatus {
  readonly node: string;
  readonly address: string;
  readonly beganMs: number;
  readonly isSilent: boolean;
}

export function poolView(pool: PoolState): PoolView {
  const { name, path, trouble, space, reserve, limitBytes, volumes, removed, findings } = pool;
  return {
    name,
    path,
    state: trouble === null ? 'ready' : 'unavailable',
    reason: trouble,
    totalBytes: space?.totalBytes ?? null,
    freeBytes: space?.freeBytes ?? null,
    usableBytes: space === null ? null : usableBytes(pool),
    reserve,
    promisedBytes: promisedBytes(pool),
    limitBytes,
    volumes: volumes.size,
    removed: removed.size,
    findings,
  };
}

/** `manifest`: of a volume of a pool; null for a volume that a section configures. */
export function volumeView(
  volume: ServerVolumeConfig,
  manifest: Manifest | null,
  status: VolumeStatus,
  usedBytes: number | null,
): ManagedVolumeView {
  const { name, universe, blockSizeBytes, readonly, shared, pool, path, clients, takeOver, takeOverForce } = volume;
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
    clients,
    takeOver,
    takeOverForce,
    owner: manifest?.owner ?? null,
    createdMs: manifest?.createdMs ?? null,
    holders: status.holders,
    waitsForSpace: status.waitsForSpace,
  };
}

export function removedView(pool: PoolState, { manifest, removal }: RemovedVolume): RemovedVolumeView {
  const { name, universe, id, sizeBytes, owner } = manifest;
  const { removedMs, by } = removal;
  return { name, universe, id, sizeBytes, pool: pool.name, owner, removedMs, by, untilMs: removedMs + REMOVED_KEPT_MS };
}

export function clientViews(
  { clients, rights }: { readonly clients: RssrvConfig['clients']; readonly rights: readonly ClientRights[] },
  catalogue: Catalogue,
  sessions: readonly SessionStatus[],
  held: ReadonlyMap<string, readonly string[]>,
): ClientView[] {
  return clients.map(({ name }) => {
    const { role, pools, limitBytes } = clientAsker(name, rights);
    const session = sessions.find(({ node }) => node === name);
    return {
      name,
      role,
      pools,
      limitBytes,
      ownedBytes: ownedBytes(catalogue, name),
      state: session === undefined ? 'absent' : session.isSilent ? 'silent' : 'connected',
      address: session?.address ?? null,
      sinceMs: session?.beganMs ?? null,
      volumes: held.get(name) ?? [],
    };
  });
}

/** Returns the bytes that each file takes, a few files at a time; null for a file that cannot be inspected. */
export async function usedBytesOf(paths: readonly (string | null)[]): Promise<(number | null)[]> {
  const used: (number | null)[] = [];
  for (let start = 0; start < paths.length; start += SIZE_READS_MAX) {
    used.push(...(await Promise.all(paths.slice(start, start + SIZE_READS_MAX).map(usedBytes))));
  }
  return used;
}

async function usedBytes(path: string | null): Promise<number | null> {
  if (path === null) return null;
  try {
    const { blocks } = await stat(path);
    return blocks * SECTOR_OF_STAT_BYTES;
  } catch {
    return null;
  }
}
