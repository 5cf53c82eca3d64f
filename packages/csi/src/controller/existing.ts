// Decides whether a volume that exists under the name of a CreateVolume is what the call wants: its content source, size, access, pool and
// space. Pure, except `otherPlace`. Invariant: a volume whose content source is not proven by the record of its server is refused, because
// an answer OK would give a pod the data of another volume, or an empty one in place of a backup.

import type { JobView } from '@rsio/api/views/views';
import { quoteText } from '@rsio/base/lib/units';
import type { Site } from '../product/orders.ts';
import type { Found, Volumes } from '../product/volumes.ts';
import { isForSeveralWriters, isInRange, type SizeRange, type Use } from '../rpc/fields.ts';
import { CsiError } from '../rpc/status.ts';
import { conditionOf } from './answers.ts';
import type { Parameters } from './parameters.ts';

/** What a volume is created from: a snapshot, or (null) another volume at the moment of the copy. */
export interface Origin {
  readonly volumeId: string;
  readonly snapshotId: string | null;
}

export interface WantedVolume {
  readonly name: string;
  readonly range: SizeRange;
  readonly uses: readonly Use[];
  readonly parameters: Parameters;
  /** Null for an empty volume. */
  readonly origin: Origin | null;
}

/** Throws ALREADY_EXISTS if the volume is not what the call wants, and UNAVAILABLE if it cannot be used now. */
export function checkExisting(found: Found, site: Site, { name, range, uses, parameters, origin }: WantedVolume): void {
  const { volume, server } = found;
  const sizeBytes = volume.sizeBytes ?? 0;
  const refuse = refusal(found, name);
  if (volume.owner !== site.nodename) throw refuse('and was not created by this driver: choose another name');
  if (volume.mirror !== null) throw refuse('and is a replica of a mirror: choose another name');
  checkOrigin(found, site, name, origin);
  if (volume.state !== 'served')
    throw new CsiError('UNAVAILABLE', `Volume ${volume.name} of server ${server} cannot be used: ${conditionOf(volume).message}`);
  if (!isInRange(sizeBytes, range)) throw refuse(`with ${sizeBytes} bytes: ask for this size, or choose another name`);
  const shared = uses.some(isForSeveralWriters);
  if (shared !== volume.shared)
    throw refuse(`for ${volume.shared ? 'several writers' : 'one node at a time'}: ask for this access, or choose another name`);
  const { pool, thick } = parameters;
  if (pool !== null && pool !== volume.pool) throw refuse(`in pool ${volume.pool ?? ''}: ask for this pool, or choose another name`);
  // A clone or copy is never thick.
  if (origin === null && thick !== volume.thick)
    throw refuse(`with thick = ${volume.thick ? 'yes' : 'no'}: ask for this, or choose another name`);
}

/**
 * Throws ALREADY_EXISTS if the volume was created from something else, and UNAVAILABLE if its server cannot tell. `name`: the name in the
 * call.
 */
export function checkOrigin(found: Found, { nodename }: Pick<Site, 'nodename'>, name: string, wanted: Origin | null): void {
  const { volume, server } = found;
  if (volume.owner !== nodename) throw refusal(found, name)(`as ${volume.name}, and was not created by this driver: choose another name`);
  if (volume.origin === undefined && wanted !== null)
    throw new CsiError(
      'UNAVAILABLE',
      `Volume ${volume.name} exists, and server ${server} is of a release that does not tell from what it was created: upgrade rssrv there`,
    );
  const has = volume.origin ?? null;
  if (has?.volumeId === wanted?.volumeId && has?.snapshotId === wanted?.snapshotId) return;
  throw refusal(
    found,
    name,
  )(
    `as ${volume.name}, created ${originText(has)}, and ${originText(wanted)} is asked for: choose another name, ` +
      `or remove it there (rsadm volume remove ${volume.name} on ${server}) if nothing needs it`,
  );
}

/** Returns the job that is making this volume; null if there is none. Throws ALREADY_EXISTS if it copies something else. */
export function jobOf(
  jobs: readonly JobView[],
  newName: string,
  name: string,
  source: { readonly server: string; readonly volume: string; readonly snapshot: string | null },
): JobView | null {
  const job = jobs.find((one) => one.newName === newName && ['waiting', 'running'].includes(one.state));
  if (job === undefined) return null;
  if (job.name.replace(/@\d$/, '') === source.volume && job.snapshot === source.snapshot) return job;
  throw new CsiError(
    'ALREADY_EXISTS',
    `Volume ${quoteText(name)} is being copied from ${job.name}${job.snapshot === null ? '' : `@${job.snapshot}`} (job ${job.id} of server ` +
      `${source.server}): choose another name, or cancel the job`,
  );
}

/** Returns another server that has a volume with this name; null if none of those that answer has one. */
export async function otherPlace(volumes: Volumes, { places }: Site, server: string, volumeName: string): Promise<string | null> {
  for (const place of places)
    if (place.server !== server && place.trouble === null && (await volumes.named(place.server, volumeName)) !== null) return place.server;
  return null;
}

function refusal({ server }: Found, name: string): (what: string) => CsiError {
  return (what) => new CsiError('ALREADY_EXISTS', `Volume ${quoteText(name)} exists on server ${server} ${what}`);
}

function originText(origin: Origin | null): string {
  if (origin === null) return 'empty';
  return origin.snapshotId === null ? `from volume ${origin.volumeId}` : `from snapshot ${origin.snapshotId} of volume ${origin.volumeId}`;
}
