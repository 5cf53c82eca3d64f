// Creates, removes, deletes and renames the volumes of replicas on a server. Invariants: a volume is noted before the server is asked to
// create it, so that it is not forgotten if the answer is lost. If a volume cannot be removed, a message names it and the command that
// removes it.

import type { ManagedVolumeView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { NAME_MAX_BYTES } from '@rsio/base/lib/limits';
import { nameInUniverse, volumeLabel } from '@rsio/base/lib/volume-name';
import { REPLICA_VOLUME_MS } from '../limits.ts';
import type { MirrorServer } from './mirror-server.ts';

/** Suffix of the name of a former replica. */
const ASIDE = '-detached';

export interface ReplicaVolume {
  readonly name: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  /** Name of the pool for the volume; null if the server chooses a pool itself. */
  readonly pool: string | null;
  readonly request: string;
}

interface NamedVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
}

/** A server with a replica, and the volume of the replica there. */
export interface Replica {
  readonly server: MirrorServer;
  readonly volume: { readonly name: string; readonly universe: number };
}

interface Shown {
  readonly volume: Pick<ManagedVolumeView, 'clients' | 'takeOver' | 'owner' | 'managers' | 'path' | 'isOwn'>;
}

/** Key: a server. Value: `made` if the server has created the volume, `unsure` if it may have created the volume. */
export type MadeVolumes = Map<MirrorServer, 'made' | 'unsure'>;

/**
 * Creates the volume of a replica. `like`: a server with a replica, whose clients the new one gets; null if there is none. Throws the error of
 * the server.
 */
export async function makeVolume(wanted: ReplicaVolume, server: MirrorServer, made: MadeVolumes, like: Replica | null): Promise<void> {
  const { name, universe, sizeBytes, blockSizeBytes, pool, request } = wanted;
  const settings = { thick: false, readonly: false, shared: false, clients: null, takeOver: null, takeOverForce: false };
  const params = { name, universe, sizeBytes, blockSizeBytes, pool, ...settings, request };
  made.set(server, 'unsure');
  try {
    const { volume } = (await server.callAdmin('volume-create', params, REPLICA_VOLUME_MS)) as {
      readonly volume?: Partial<ManagedVolumeView>;
    };
    made.set(server, 'made');
    // A server with tenants gives a volume for which no clients are named to this client alone.
    if (like !== null && Array.isArray(volume?.clients)) {
      const { volume: other } = (await like.server.callAdmin('volume-show', like.volume, REPLICA_VOLUME_MS)) as Shown;
      const access = { name, universe, settings: accessOf(other, like), request: `${request}.access` };
      await server.callAdmin('volume-set', access, REPLICA_VOLUME_MS);
    }
    if (volume?.state === 'unavailable') throw new RsError('E_VOLUME', `the volume is not served: ${volume.reason ?? 'see the log'}`);
  } catch (thrown) {
    const { code, message, context } = toRsError(thrown);
    const isUnsure = context['isOutcomeUnknown'] === true;
    if (!isUnsure && made.get(server) === 'unsure') made.delete(server);
    throw new RsError(code, `Server ${server.name}: ${message}`);
  }
}

/** Returns the settings that give a volume the clients of another one. Throws E_RIGHTS if this client does not see all of them. */
function accessOf({ clients, takeOver, owner, managers = [], path, isOwn }: Shown['volume'], { server, volume }: Replica): string[] {
  // The server hides the names of others in the lists of a volume that is not this client's. Then this client could lock them out.
  if (isOwn !== true && path === null && (clients !== null || takeOver !== null))
    throw new RsError(
      'E_RIGHTS',
      `The replica on server ${server.name} belongs to others, and this client does not know all its clients: with managers=A,B that names this client, too, its owner or a client with the right admin (rsconfig volume set ${volume.name}), or rsadm volume set ${volume.name} on each of its servers, permits it`,
    );
  const also = managers === null || owner === null ? managers : [...new Set([...managers, owner])];
  const names = (list: readonly string[] | null, all: string): string => (list === null ? all : list.length === 0 ? 'no' : list.join(','));
  return [
    ...(clients?.length === 0 ? [] : [`clients=${names(clients, 'all')}`]),
    `take-over=${names(takeOver, 'yes')}`,
    `managers=${names(also, 'yes')}`,
  ];
}

/**
 * Removes or deletes a volume. `left`: a sentence if the volume may still exist, otherwise null. `isUnknown`: true if the server had no
 * such volume. Never throws.
 */
export async function removeVolume(
  server: MirrorServer,
  volume: NamedVolume,
  becomes: 'removed' | 'deleted',
  newId: () => string,
): Promise<{ readonly left: string | null; readonly isUnknown: boolean }> {
  const { name, universe } = volume;
  try {
    const answer = await server.callAdmin('volume-remove', { name, universe, request: newId() }, REPLICA_VOLUME_MS);
    return { left: becomes === 'removed' ? null : await purge(server, volume, answer, newId), isUnknown: false };
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    const label = volumeLabel(volume);
    const here = `rsconfig volume remove ${label} --server ${server.name} removes it`;
    const left = `server ${server.name} still has volume ${label} (${message}): ${here}; while the mirror is attached, ${removalThere(volume)}`;
    return { left, isUnknown: code === 'E_UNKNOWN_VOLUME' };
  }
}

/** The client that has the mirror attached removes no volume of this name, so that the remedy is on the server. */
function removalThere({ name, universe }: Pick<NamedVolume, 'name' | 'universe'>): string {
  const own = universe === 0 ? name : nameInUniverse({ name, universe });
  return `on it, rsadm volume remove ${own} removes it, after rsadm volume split ${own} if it is still a replica`;
}

/** Deletes a removed volume at once, so that no administrator can restore an empty volume with the name of the mirror. */
async function purge(server: MirrorServer, volume: NamedVolume, answer: unknown, newId: () => string): Promise<string | null> {
  const { name, universe } = volume;
  const { removed } = answer as { readonly removed?: { readonly id?: unknown } };
  try {
    await server.callAdmin('volume-purge', { name, universe, id: String(removed?.id), olderMs: 0, request: newId() }, REPLICA_VOLUME_MS);
    return null;
  } catch (thrown) {
    const label = volumeLabel(volume);
    return `server ${server.name} keeps the removed volume ${label} for a day (${toRsError(thrown).message}): rsconfig volume purge ${label} --server ${server.name} deletes it`;
  }
}

/**
 * Renames a former replica, because a client could otherwise attach its outdated data by mistake under the name of the mirror. `said`: a
 * sentence with the new name or, if the volume was not renamed, with the command that renames the volume. `isGone`: true if the server has
 * no such volume. Never throws.
 */
export async function setAside(
  server: MirrorServer,
  { namespace, name, universe }: NamedVolume,
  newId: () => string,
): Promise<{ readonly said: string; readonly isSetAside: boolean; readonly isGone: boolean; readonly newName: string }> {
  const newName = `${name.slice(0, NAME_MAX_BYTES - ASIDE.length)}${ASIDE}`;
  const label = volumeLabel({ namespace, name, universe });
  try {
    await server.callAdmin('volume-rename', { name, universe, newName, newUniverse: universe, request: newId() }, REPLICA_VOLUME_MS);
    const aside = volumeLabel({ namespace, name: newName, universe });
    return {
      said: `Server ${server.name} keeps what was its replica as volume ${aside}, which is out of date from now on`,
      isSetAside: true,
      isGone: false,
      newName,
    };
  } catch (thrown) {
    const { code, message: why } = toRsError(thrown);
    return {
      said: `server ${server.name} offers volume ${label}, which has the name of the mirror and is out of date (${why}): ${removalThere({ name, universe })}`,
      isSetAside: false,
      isGone: code === 'E_UNKNOWN_VOLUME',
      newName: name,
    };
  }
}
