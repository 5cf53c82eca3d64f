// Finds the server for a volume command: by --server and --namespace, or by asking all servers for the volume. Invariants: an ambiguous
// name is refused with a list of the volumes; a change is refused while a server that may have a volume with the name does not answer. A server
// whose last word was that it has none may not have it. A new volume is an exception, because a lost request may have made it there since.

import { HAD_NONE, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import type { Purpose, VolumeTarget, Wanted } from '@rsio/api/manage/volumes/door';
import { roomBytes } from '@rsio/api/views/capacity';
import { type VolumeName, volumeName } from '@rsio/api/views/values';
import { volumeText } from '@rsio/api/views/server-tables';
import { type CommandContext, usageError } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../../limits.ts';
import { type Asked, capital, type Place } from '@rsio/api/manage/asked-servers';
import { askAll, callAt, type PlaceFilter, placesOf } from './servers.ts';
import { mirrorTarget, type NamedMirror } from './mirror-target.ts';
import { watched } from './slow-call.ts';

type Context = Pick<CommandContext, 'call' | 'clock' | 'note' | 'waiting'>;

export interface NamedVolume extends VolumeName {
  /** Name of the namespace; null if neither the name of the volume nor --namespace contains it. */
  readonly namespace: string | null;
}

/** Parses `oracle`, `oracle@1` or `osl:oracle@1`. `namespace`: value of --namespace. Throws E_USAGE. */
export function namedVolume(text: string, namespace: string | null): NamedVolume {
  const [, prefix, rest = text] = /^([^:@]*):(.*)$/s.exec(text) ?? [];
  if (prefix !== undefined && namespace !== null && prefix !== namespace)
    throw usageError(`${text} is in namespace ${prefix}, and --namespace is ${namespace}: give one of them`);
  return { ...volumeName(rest, 'rsconfig'), namespace: prefix ?? namespace };
}

export function labelAt({ namespace }: Pick<Place, 'namespace'>, volume: VolumeName): string {
  return `${namespace}:${volumeText(volume)}`;
}

function targetAt(context: Context, place: Place, volume: VolumeName): VolumeTarget {
  const { namespace, server } = place;
  return {
    volume,
    call: (method, params) => watched(context, place, callAt(context, place, method, params)),
    ofServer: ` of server ${server}`,
    server,
    place: { namespace, server },
    label: (named) => labelAt(place, named),
    parse: (text) => {
      const other = namedVolume(text, null);
      if (other.namespace !== null && other.namespace !== namespace)
        throw usageError(`${text} is in another namespace than ${labelAt(place, volume)}: a volume stays in its namespace`);
      return { name: other.name, universe: other.universe };
    },
  };
}

/** Finds the server that has the volume. Throws E_UNKNOWN_VOLUME, E_AMBIGUOUS or E_NO_PATH. */
export async function findVolume(
  context: CommandContext,
  name: string,
  filter: PlaceFilter,
  purpose: Purpose,
  remedy: Remedy = BY_SERVER,
): Promise<VolumeTarget> {
  const volume = namedVolume(name, filter.namespace);
  const places = await placesOf(context, { ...filter, namespace: volume.namespace });
  const [only] = places;
  const isReplica = only?.listed.some((one) => one.name === volume.name && one.universe === volume.universe && one.mirror !== null);
  if (only !== undefined && places.length === 1 && (isReplica !== true || filter.server !== null))
    return targetAt(context, only, bare(volume));
  const asked = await askAll(context, places, 'volume-show', bare(volume), INVENTORY_WAIT_MS);
  const mirror = filter.server === null ? mirrorOf(asked, volume) : null;
  if (mirror !== null) return mirrorTarget(context, mirror, targetAt(context, mirror.replicas[0].place, mirror.volume));
  const { holding, silent } = sorted(asked, ({ place, result }) => result !== null || isListed(place, volume));
  const left = purpose === 'show' || holding.length === 0 ? silent : silent.filter(({ hadNone }) => !hadNone);
  return oneOf(context, volume, { holding, silent: left }, purpose, 'volume', remedy);
}

/** For commands that have no option --server. */
export async function findAnywhere(context: CommandContext, name: string, purpose: Purpose): Promise<VolumeTarget> {
  return await findVolume(context, name, { server: null, namespace: null }, purpose, () => REMEDY_ANYWHERE);
}

/**
 * Finds a mirror by name. Resolves with null if no volume has the name, if several volumes have it, or if the volume with the name is not a
 * mirror.
 */
export async function findMirror(context: CommandContext, name: string): Promise<NamedMirror | null> {
  const volume = namedVolume(name, null);
  const places = await placesOf(context, { server: null, namespace: volume.namespace });
  return mirrorOf(await askAll(context, places, 'volume-show', bare(volume), INVENTORY_WAIT_MS), volume);
}

/** Returns the mirror if all volumes that were found are its replicas; otherwise null. */
function mirrorOf(asked: readonly Asked<ServerMethods['volume-show']['result']>[], volume: NamedVolume): NamedMirror | null {
  const shown = asked.flatMap(({ place, result }) => (result === null ? [] : [{ place, shown: result }]));
  const [first, ...others] = shown;
  const mirror = first?.shown.volume.mirror ?? null;
  if (first === undefined || mirror === null) return null;
  const isOne = others.every(({ place, shown: its }) => its.volume.mirror === mirror && place.namespace === first.place.namespace);
  const mute = asked.filter(({ result, error }) => result === null && error !== null && !ANSWERED_NO.includes(error.code));
  const silent = mute.map(({ error }) => error?.message ?? '');
  return isOne ? { mirror, volume: bare(volume), replicas: [first, ...others], silent } : null;
}

/** Finds the server that has the removed volume. Throws the same errors as `findVolume`. */
export async function findRemoved(context: Context, name: string, filter: PlaceFilter): Promise<VolumeTarget> {
  const volume = namedVolume(name, filter.namespace);
  const places = await placesOf(context, { ...filter, namespace: volume.namespace });
  const [only] = places;
  if (only !== undefined && places.length === 1) return targetAt(context, only, bare(volume));
  const asked = await askAll(context, places, 'volume-list', { pool: null }, INVENTORY_WAIT_MS);
  const has = ({ result }: Asked<ServerMethods['volume-list']['result']>): boolean =>
    result?.removed.some((one) => one.name === volume.name && one.universe === volume.universe) === true;
  return oneOf(context, volume, sorted(asked, has), 'change', 'removed volume', BY_SERVER);
}

/** Says how to go on although other servers than this one are silent. */
type Remedy = (server: string) => string;

const BY_SERVER: Remedy = (server) => `give --server ${server} if you mean it`;
const REMEDY_ANYWHERE =
  'the command works as soon as each has answered once; if one is gone for good, rsconfig server remove SECTION removes it from this client';

interface Sorted {
  readonly holding: readonly Place[];
  /** Servers that may have the volume but did not answer, each with the reason. */
  readonly silent: readonly { readonly why: string /** Its last word was that it has none. */; readonly hadNone: boolean }[];
}

/**
 * Errors which mean that the server does not have the volume. E_VERSION is one of these errors: a server of an old release does not know
 * the method, but its list contains all its volumes.
 */
const ANSWERED_NO: readonly string[] = ['E_UNKNOWN_VOLUME', 'E_VERSION'];

function sorted<R>(asked: readonly Asked<R>[], has: (one: Asked<R>) => boolean): Sorted {
  const holding = asked.filter(has);
  const silent = asked.filter((one) => !holding.includes(one) && one.error !== null && !ANSWERED_NO.includes(one.error.code));
  return {
    holding: holding.map(({ place }) => place),
    silent: silent.map(({ error }) => ({ why: error?.message ?? '', hadNone: error?.context[HAD_NONE] === true })),
  };
}

function isListed({ isConnected, listed }: Place, { name, universe }: VolumeName): boolean {
  return isConnected && listed.some((one) => one.name === name && one.universe === universe);
}

function oneOf(
  context: Context,
  volume: NamedVolume,
  { holding, silent }: Sorted,
  purpose: Purpose,
  what: string,
  remedy: Remedy,
): VolumeTarget {
  const text = volumeText(volume);
  const [only, second] = holding;
  const because = silent.map(({ why }) => why).join('; ');
  if (second !== undefined) {
    const candidates = holding.map((place) => `${labelAt(place, volume)} (server ${place.server})`).join(', ');
    throw new RsError('E_AMBIGUOUS', `${text} means more than one ${what}: ${candidates}: choose one with --server or --namespace`);
  }
  if (only === undefined && silent.length === 0)
    throw new RsError(
      'E_UNKNOWN_VOLUME',
      `No server has a ${what} ${text}: rsconfig volume list${what === 'volume' ? '' : ' --removed'} shows them`,
    );
  if (only === undefined) throw new RsError('E_NO_PATH', `No connected server has a ${what} ${text}, and not all answer: ${because}`);
  if (silent.length === 0) return targetAt(context, only, bare(volume));
  if (purpose !== 'show')
    throw new RsError(
      'E_NO_PATH',
      `${labelAt(only, volume)} of server ${only.server} may not be the only ${what} ${text}, because not all servers answer (${because}): ${remedy(only.server)}`,
    );
  for (const { why } of silent) context.note(capital(why));
  return targetAt(context, only, bare(volume));
}

/**
 * Returns the servers for a new volume; the server with the most room in its pools comes first. Throws E_EXISTS if a server already has a
 * volume with this name. Throws E_NO_PATH if a server does not answer, because an earlier attempt may have created the volume there.
 */
export async function serversFor(
  context: Context,
  name: string,
  filter: PlaceFilter,
  { pools }: Wanted,
): Promise<[VolumeTarget, ...VolumeTarget[]]> {
  const volume = namedVolume(name, filter.namespace);
  const places = await placesOf(context, { ...filter, namespace: volume.namespace });
  const [only] = places;
  if (only !== undefined && places.length === 1) return [targetAt(context, only, bare(volume))];
  const shown = await askAll(context, places, 'volume-show', bare(volume), INVENTORY_WAIT_MS);
  const { holding, silent } = sorted(shown, ({ place, result }) => result !== null || isListed(place, volume));
  const [holder] = holding;
  if (holder !== undefined)
    throw new RsError('E_EXISTS', `Volume ${labelAt(holder, volume)} exists on server ${holder.server}: choose another name`);
  const [mute] = silent;
  if (mute !== undefined)
    throw new RsError(
      'E_NO_PATH',
      `${capital(mute.why)}; it may have a volume ${volumeText(volume)}, too: choose the server of the new volume with --server`,
    );
  const able = shown.filter(({ error }) => error?.code !== 'E_VERSION').map(({ place }) => place);
  const rooms = (await askAll(context, able, 'pool-list', {}, INVENTORY_WAIT_MS)).map(({ place, result }) => ({
    place,
    // A server that does not show its pools to this client comes last. If such a server is chosen and refuses the volume, its answer gives
    // the reason.
    room: result === null ? { clones: false, bytes: -1 } : roomOf(result.pools, pools),
  }));
  const fitting = rooms.flatMap(({ place, room }) => (room === null ? [] : [{ place, room }])).toSorted((a, b) => byRoom(a.room, b.room));
  const [first, ...others] = fitting.map(({ place }) => targetAt(context, place, bare(volume)));
  if (first !== undefined) return [first, ...others];
  const which = pools.length === 0 ? 'a pool that can be used' : `pool ${pools.join(' and ')}`;
  throw new RsError('E_UNKNOWN_POOL', `No connected server has ${which}: on the server, rsadm pool add NAME PATH makes a pool`);
}

type PoolView = ServerMethods['pool-list']['result']['pools'][number];

interface Room {
  /** True if the file system of the pool supports reflinks and has room. */
  readonly clones: boolean;
  /** Maximum size of a new volume. */
  readonly bytes: number;
}

/** Compares the rooms of two servers, so that sorting puts the best room first. rssrv orders its own pools in the same way. */
function byRoom(a: Room, b: Room): number {
  return Number(b.clones) - Number(a.clones) || b.bytes - a.bytes;
}

/**
 * Returns the room for a new volume; null if the server has no suitable pool. `wanted`: the names of the pools that the volume needs; if
 * the list is empty, any pool is suitable.
 */
function roomOf(pools: readonly PoolView[], wanted: readonly string[]): Room | null {
  const rooms = pools
    .filter(({ name, state }) => state === 'ready' && (wanted.length === 0 || wanted.includes(name)))
    .map((pool): Room => ({ clones: pool.reflink !== false && roomBytes(pool) > 0, bytes: roomBytes(pool) }))
    .toSorted(byRoom);
  if (wanted.length === 0) return rooms[0] ?? null;
  return rooms.length < wanted.length
    ? null
    : { clones: rooms.every(({ clones }) => clones), bytes: Math.min(...rooms.map(({ bytes }) => bytes)) };
}

function bare({ name, universe }: VolumeName): VolumeName {
  return { name, universe };
}
