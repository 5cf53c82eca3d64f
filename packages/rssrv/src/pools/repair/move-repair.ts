// Finishes or undoes a move that stopped in its last step. If the new pool has the volume, the old pool deletes its files; if not, the
// old pool keeps the volume. Invariants: a volume that moves counts in exactly one of the two pools. While the new pool is not open, the
// old pool keeps the volume, and the volume is not served. Rules: C5.

import { RsError } from '@rsio/base/lib/errors';
import type { Manifest } from '../disk/manifest.ts';
import { withManifest, withoutManifest } from '../disk/volume-index.ts';
import { MoveFiles } from '../moves/move-files.ts';
import type { MovePool, Perform, RepairedPool } from './repaired-pool.ts';

/** Throws E_BUSY if the last step of a move of the volume is unfinished, because the volume may then be in either pool. */
export function checkNotMoving(manifest: Manifest): void {
  if (manifest.movedTo !== undefined) throw new RsError('E_BUSY', movingText(manifest), { volume: manifest.name });
}

export function movingText({ name, universe }: Manifest): string {
  const text = universe === 0 ? name : `${name}@${universe}`;
  return `Volume ${text} is in the last step of its move to another pool: try again when it is there`;
}

/** Returns true if the new pool has the volume, false if it does not have the volume, and null if the new pool cannot be read. */
export function isMoved({ id, movedTo }: Manifest, pools: readonly MovePool[]): boolean | null {
  const target = pools.find(({ isOpen, identity }) => isOpen && identity?.id === movedTo);
  if (target === undefined || target.unreadable.has(id)) return null;
  if (target.volumes.has(id) || target.removed.has(id)) return true;
  return target.trouble === null ? false : null;
}

/** Returns true if the pool from which the volume was moved may still have files of the volume. */
export function mayBeLeft({ id, movedFrom }: Manifest, pools: readonly MovePool[]): boolean {
  if (movedFrom === undefined) return false;
  const source = pools.find(({ isOpen, identity }) => isOpen && identity?.id === movedFrom);
  return source === undefined || source.trouble !== null || source.volumes.has(id) || source.unreadable.has(id);
}

/** Settles the interrupted moves in all pools. */
export async function settleMoves<State extends MovePool, Pool extends RepairedPool<State>>(
  pools: readonly Pool[],
  perform: Perform<Pool>,
): Promise<void> {
  for (const pool of pools) {
    for (const manifest of pool.state.volumes.values()) {
      if (manifest.movedTo === undefined) continue;
      const states = pools.map(({ state }) => state);
      const moved = isMoved(manifest, states);
      if (moved === null || pool.state.trouble !== null) continue;
      if (moved) {
        // Even if `forget` fails, the volume no longer belongs to this pool.
        const { volumes, snapshots } = pool.state;
        pool.state = { ...pool.state, volumes: withoutManifest(volumes, manifest.id), snapshots: without(snapshots, manifest.id) };
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

async function put<State extends MovePool, Pool extends RepairedPool<State>>(
  pool: Pool,
  manifest: Manifest,
  perform: Perform<Pool>,
): Promise<void> {
  if (!(await perform(pool, (files) => files.replaceManifest(manifest)))) return;
  pool.state = { ...pool.state, volumes: withManifest(pool.state.volumes, manifest) };
}

/** Returns the manifest without the marks of a move. */
export function withoutMove(manifest: Manifest): Manifest {
  const { movedTo: _to, movedFrom: _from, ...others } = manifest;
  return others;
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
