// Decides after a stop in which pool a volume is whose move was in its last step, and cleans up the other one. Only the new pool tells: the
// move is done if that pool has the volume. Invariants: a volume is never in both pools or in none; while the new pool is not open, the old
// one keeps the volume, which is then not served.

import { RsError } from '@rsio/common/lib/errors';
import type { Manifest } from '../disk/manifest.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import type { VolumeSnapshots } from '../snapshots/snapshot-scan.ts';
import { MoveFiles } from '../moves/move-files.ts';

/** What is needed of a pool (see PoolState in catalogue.ts). */
export interface MovePool {
  readonly identity: { readonly id: string } | null;
  readonly isOpen: boolean;
  readonly trouble: string | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
  readonly unreadable: ReadonlySet<string>;
}

/** Throws E_BUSY if a last step is not over, because the volume may be in another pool. */
export function checkNotMoving({ name, universe, movedTo }: Manifest): void {
  if (movedTo === undefined) return;
  const text = universe === 0 ? name : `${name}@${universe}`;
  throw new RsError('E_BUSY', `Volume ${text} is in the last step of its move to another pool: try again when it is there`, {
    volume: text,
  });
}

/** Returns true if the volume was moved, false if it was not, and null if that is not known. */
export function isMoved({ id, movedTo }: Manifest, pools: readonly MovePool[]): boolean | null {
  const target = pools.find(({ isOpen, identity }) => isOpen && identity?.id === movedTo);
  if (target === undefined || target.unreadable.has(id)) return null;
  if (target.volumes.has(id) || target.removed.has(id)) return true;
  return target.trouble === null ? false : null;
}

/** True if the pool from which the volume was moved may still have it. */
export function mayBeLeft({ id, movedFrom }: Manifest, pools: readonly MovePool[]): boolean {
  if (movedFrom === undefined) return false;
  const source = pools.find(({ isOpen, identity }) => isOpen && identity?.id === movedFrom);
  return source === undefined || source.trouble !== null || source.volumes.has(id) || source.unreadable.has(id);
}

/** `perform` executes the work. If it returns false, the work has failed, and the pool has a trouble. */
export async function settleMoves<State extends MovePool, Pool extends { state: State; readonly files: PoolFiles }>(
  pools: readonly Pool[],
  perform: (pool: Pool, work: (files: PoolFiles) => Promise<void>) => Promise<boolean>,
): Promise<void> {
  for (const pool of pools) {
    for (const manifest of pool.state.volumes.values()) {
      if (manifest.movedTo === undefined) continue;
      const states = pools.map(({ state }) => state);
      const moved = isMoved(manifest, states);
      if (moved === null || pool.state.trouble !== null) continue;
      if (moved) {
        // Also if it cannot be deleted now, it is no volume of this pool.
        const { volumes, snapshots } = pool.state;
        pool.state = { ...pool.state, volumes: without(volumes, manifest.id), snapshots: without(snapshots, manifest.id) };
        await perform(pool, (files) => new MoveFiles(files).forget(manifest.id));
      } else {
        await put(pool, withoutMove(manifest), perform);
      }
    }
  }
  for (const pool of pools) {
    for (const manifest of pool.state.volumes.values()) {
      if (manifest.movedFrom === undefined || pool.state.trouble !== null) continue;
      const states = pools.map(({ state }) => state);
      if (!mayBeLeft(manifest, states)) await put(pool, withoutMove(manifest), perform);
    }
  }
}

async function put<State extends MovePool, Pool extends { state: State; readonly files: PoolFiles }>(
  pool: Pool,
  manifest: Manifest,
  perform: (pool: Pool, work: (files: PoolFiles) => Promise<void>) => Promise<boolean>,
): Promise<void> {
  if (!(await perform(pool, (files) => files.replaceManifest(manifest)))) return;
  pool.state = { ...pool.state, volumes: new Map(pool.state.volumes).set(manifest.id, manifest) };
}

/** The manifest of a volume whose move is over. */
export function withoutMove(manifest: Manifest): Manifest {
  const { movedTo: _to, movedFrom: _from, ...others } = manifest;
  return others;
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
