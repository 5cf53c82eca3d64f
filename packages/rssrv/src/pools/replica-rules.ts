// Refuses changes to a volume that is a replica of a mirror, and decides which volumes may become replicas. Pure. Invariant: only the
// mirror changes the content, the name or the place of its replica.

import { RsError } from '@rsio/common/lib/errors';
import type { Manifest } from './disk/manifest.ts';
import { checkNoFollower } from './follower-rules.ts';

interface Settings {
  readonly shared?: boolean | undefined;
  readonly readonly?: boolean | undefined;
  readonly sameContent?: string | undefined;
  readonly schedule?: string | null | undefined;
}

/** Throws E_USAGE, naming the mirror, if the volume is a replica. `what`: the refused change, such as `be renamed`. */
export function checkNoReplica(manifest: Pick<Manifest, 'name' | 'universe' | 'replica'>, what: string): void {
  const { replica } = manifest;
  if (replica === undefined) return;
  const text = textOf(manifest);
  throw new RsError(
    'E_USAGE',
    `Volume ${text} is a replica of mirror ${replica.mirror}, and cannot ${what}: change or remove the mirror on its client ` +
      `(rsconfig mirror); if the mirror is gone for ever, rsadm volume split ${text} makes this an ordinary volume`,
    { volume: text, mirror: replica.mirror },
  );
}

/**
 * Throws E_USAGE unless `mirror` is the mirror of which the volume is a replica, or null if the volume is not a replica. Only the client of
 * a mirror can grow its replicas, because all replicas in sync must get the new size.
 */
export function checkGrower(manifest: Pick<Manifest, 'name' | 'universe' | 'replica'>, mirror: string | null): void {
  const { replica } = manifest;
  const isOwn = mirror === (replica?.mirror ?? null);
  if (isOwn) return;
  const text = textOf(manifest);
  const context = { volume: text, mirror: replica?.mirror ?? mirror };
  if (replica === undefined || mirror !== null)
    throw new RsError('E_USAGE', `Volume ${text} is no replica of mirror ${mirror}, and cannot grow with it`, context);
  throw new RsError(
    'E_USAGE',
    `Volume ${text} is a replica of mirror ${replica.mirror}, and grows with it: rsconfig mirror grow ${text} SIZE, on the client that has ` +
      'the mirror attached',
    context,
  );
}

/** Throws E_USAGE if a replica cannot have these settings. */
export function checkReplicaSettings(manifest: Manifest, { shared, readonly, sameContent, schedule }: Settings): void {
  if (typeof schedule === 'string') checkNoFollower(manifest, 'have a schedule');
  if (shared === true || readonly === true) checkNoFollower(manifest, 'be shared or read-only');
  if (sameContent !== undefined) checkNoFollower(manifest, 'get another file');
  // Only the holder of a mirror makes its snapshots, because only the holder knows whether a replica has all writes (M22).
  if (typeof schedule === 'string')
    checkNoReplica(manifest, 'have a schedule: a timer on the client that has the mirror runs rsconfig volume snapshot');
  if (shared === true || readonly === true) checkNoReplica(manifest, 'be shared or read-only');
  if (sameContent !== undefined) checkNoReplica(manifest, 'get another file');
}

/**
 * Throws if the volume cannot become a replica of this mirror. A volume that already is a replica of this mirror may be made a replica
 * again; the data of the volume then gets a new identity. `isInSharedPool`: true if the volume is in a shared pool.
 */
export function checkPlace(manifest: Manifest, mirror: string, isInSharedPool: boolean): void {
  const text = textOf(manifest);
  const refusal = (what: string, remedy: string): RsError =>
    new RsError('E_USAGE', `Volume ${text} cannot become a replica of a mirror, because it ${what}: ${remedy}`, { volume: text });
  const { replica, shared, readonly, image, layout } = manifest;
  checkNoFollower(manifest, 'become a replica of a mirror');
  if (replica !== undefined && replica.mirror !== mirror) throw refusal(`is one of mirror ${replica.mirror}`, 'use another volume');
  // The voter's record is in the state directory of one server, and would not move with the pool.
  if (isInSharedPool) throw refusal('is in a shared pool', 'use a volume of a pool on a disk of this server');
  if (shared) throw refusal('is shared', `rsadm volume set ${text} shared=no changes that`);
  if (readonly) throw refusal('is read-only', `rsadm volume set ${text} readonly=no changes that`);
  if (image !== undefined) throw refusal('is an image', `rsadm volume split ${text} makes it an ordinary volume`);
  if (layout.kind !== 'simple') throw refusal('has files in several pools', 'use a volume of one pool');
}

function textOf({ name, universe }: Pick<Manifest, 'name' | 'universe'>): string {
  return universe === 0 ? name : `${name}@${universe}`;
}
