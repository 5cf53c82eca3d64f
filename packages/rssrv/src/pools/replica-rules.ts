// Refuses changes to a volume that is a replica of a mirror, and decides which volumes may become replicas. Pure. Invariant: only the
// mirror changes the content, the name or the place of its replica.

import { RsError } from '@rsio/base/lib/errors';
import type { Manifest } from './disk/manifest.ts';

/** Throws E_USAGE, naming the mirror, if the volume is a replica. `what`: the refused change, such as `be renamed`. */
export function checkNoReplica(manifest: Pick<Manifest, 'name' | 'universe' | 'replica'>, what: string): void {
  const { replica } = manifest;
  if (replica !== undefined)
    throw new RsError('E_USAGE', replicaText(manifest, what), { volume: textOf(manifest), mirror: replica.mirror });
}

export function replicaText(manifest: Pick<Manifest, 'name' | 'universe' | 'replica'>, what: string): string {
  const text = textOf(manifest);
  return (
    `Volume ${text} is a replica of mirror ${manifest.replica?.mirror}, and cannot ${what}: change or remove the mirror on its client ` +
    `(rsconfig mirror); if the mirror is gone for ever, rsadm volume split ${text} makes this an ordinary volume`
  );
}

/** Throws E_USAGE unless the volume is a replica of this mirror, which grows it. */
export function checkGrower(manifest: Pick<Manifest, 'name' | 'universe' | 'replica'>, mirror: string): void {
  if (manifest.replica?.mirror === mirror) return;
  const volume = textOf(manifest);
  throw new RsError('E_USAGE', `Volume ${volume} is no replica of mirror ${mirror}, and cannot grow with it`, { volume, mirror });
}

/**
 * Throws if the volume cannot become a replica of this mirror. A volume that already is a replica of this mirror may be made a replica
 * again; the data of the volume then gets a new identity. `isInSharedPool`: true if the volume is in a shared pool.
 */
export function checkPlace(manifest: Manifest, mirror: string, isInSharedPool: boolean): void {
  const text = textOf(manifest);
  const refusal = (what: string, remedy: string): RsError =>
    new RsError('E_USAGE', `Volume ${text} cannot become a replica of a mirror, because it ${what}: ${remedy}`, { volume: text });
  const { replica, shared, readonly } = manifest;
  if (replica !== undefined && replica.mirror !== mirror) throw refusal(`is one of mirror ${replica.mirror}`, 'use another volume');
  // The voter's record is in the state directory of one server, and would not move with the pool.
  if (isInSharedPool) throw refusal('is in a shared pool', 'use a volume of a pool on a disk of this server');
  if (shared) throw refusal('is shared', `rsadm volume set ${text} shared=no changes that`);
  if (readonly) throw refusal('is read-only', `rsadm volume set ${text} readonly=no changes that`);
}

function textOf({ name, universe }: Pick<Manifest, 'name' | 'universe'>): string {
  return universe === 0 ? name : `${name}@${universe}`;
}
