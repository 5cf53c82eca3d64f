// Executes volume commands for a mirror: passes each method to one server, to all servers with a replica, or to rsiod. Invariants: a
// snapshot of a mirror is read only on a server where it is proven (M22). A method that would change only one replica is refused with a
// remedy.

import type { ServerCall } from '@rsio/api/rssrv/call-server';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { SnapshotView } from '@rsio/api/views/views';
import type { MirrorSnapshot } from '@rsio/api/views/mirror-views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { VolumeTarget } from '@rsio/api/manage/volumes/door';
import { provenAmong, type ProvenSnapshot } from '@rsio/api/manage/volumes/proven-snapshots';
import type { VolumeName } from '@rsio/api/views/values';
import { volumeText } from '@rsio/api/views/server-tables';
import type { CommandContext } from '../../cli/context.ts';
import { rollBackMirror } from './mirror-rollback.ts';
import { capital, type Place } from '@rsio/api/manage/asked-servers';
import { callAt } from './servers.ts';
import { watched } from './slow-call.ts';
import { whileAttached } from './while-attached.ts';

type Shown = ServerMethods['volume-show']['result'];

/** A server with a replica, and its answer to `volume-show`. */
export interface ReplicaPlace {
  readonly place: Place;
  readonly shown: Shown;
}

export interface NamedMirror {
  /** Id of the mirror. */
  readonly mirror: string;
  readonly volume: VolumeName;
  readonly replicas: readonly [ReplicaPlace, ...ReplicaPlace[]];
  /** Texts about servers that did not answer and may also have a replica. */
  readonly silent: readonly string[];
}

/** Returns the proven snapshots, oldest first. */
export function provenSnapshots({ mirror, replicas }: Pick<NamedMirror, 'mirror' | 'replicas'>): readonly ProvenSnapshot<Place>[] {
  return provenAmong(
    mirror,
    replicas.map(({ place, shown: { snapshots } }) => ({ place, snapshots })),
  );
}

/**
 * Methods that are refused for a mirror, each with a function that returns the remedy. `text`: the name of the mirror without its
 * namespace.
 */
const WAYS: Partial<Readonly<Record<ServerMethodName, (text: string) => string>>> = {
  'volume-grow': (text) => `rsconfig mirror grow ${text} SIZE, on the client that has it attached, makes it larger`,
  'volume-rename': (text) =>
    `its voters know it by this name. While no client has it: rsconfig mirror remove ${text} makes its replicas plain volumes; remove all but one with --server, rename that one with --server, and rsconfig mirror add NEW --server S makes it a mirror again`,
  'volume-remove': (text) => `rsconfig mirror remove ${text} --volumes removes it`,
  'volume-move': (text) => `rsconfig volume move ${text} --server S moves the replica on S, one after the other`,
  'volume-image': (text) =>
    `rsconfig volume snapshot ${text}@NAME and rsconfig volume clone ${text}@NAME NEW make a volume with its content`,
  'volume-image-restore': (text) => `rsconfig volume rollback ${text}@SNAPSHOT gives it the content of a snapshot`,
  'volume-split': (text) => `rsconfig mirror remove ${text} makes its replicas plain volumes`,
};

/** Methods that are sent to all servers with a replica. These methods do not change the content of a replica. */
const FOR_ALL: readonly ServerMethodName[] = [
  ...(['volume-set', 'volume-annotate', 'volume-pause', 'volume-resume', 'volume-stop', 'volume-start'] as const),
  'volume-replicate-end',
];

export function mirrorTarget(context: CommandContext, named: NamedMirror, one: VolumeTarget): VolumeTarget {
  const { volume, replicas } = named;
  const { namespace } = replicas[0].place;
  const servers = replicas.map(({ place }) => place.server);
  const label = one.label(volume);
  const call = async (method: ServerMethodName, params: object): Promise<unknown> => {
    switch (method) {
      case 'volume-show':
        return shownOf(context, named, label);
      case 'volume-snapshot':
        return { snapshots: [await snapshotOf(context, named, one, params as ServerMethods['volume-snapshot']['params'])] };
      case 'volume-snapshot-remove':
        return everywhere(context, named, label, params as ServerMethods['volume-snapshot-remove']['params']);
      case 'volume-rollback':
        return await rolledBack(context, named, one, params as ServerMethods['volume-rollback']['params']);
      case 'volume-clone':
      case 'volume-copy':
      case 'volume-diff':
        return await at(context, placeFor(named, label, params), method, params);
      case 'client-list':
        return await at(context, replicas[0].place, method, params);
      case 'volume-revoke':
      case 'volume-allow':
        return await accessChanged(context, named, label, method, params as ServerMethods['volume-revoke']['params']);
      case 'volume-replicate': {
        const { to } = params as ServerMethods['volume-replicate']['params'];
        if (!servers.includes(to)) return await onAll(context, named, method, params);
        const why = `Server ${to} has a replica of mirror ${label}, and cannot have its follower, which needs the same name`;
        throw new RsError('E_USAGE', `${why}: replicate the mirror to a server of another site that has no replica`);
      }
      default: {
        if (FOR_ALL.includes(method)) return await onAll(context, named, method, params);
        const way = WAYS[method]?.(volumeText(volume)) ?? `with --server S, the command is for the replica on server S alone`;
        throw new RsError('E_USAGE', `${label} is a mirror on ${servers.join(' and ')}: ${way}`);
      }
    }
  };
  return {
    ...one,
    // The compiler cannot know that the result type belongs to the method.
    call: call as ServerCall,
    ofServer: ` of servers ${servers.join(' and ')}`,
    server: servers.join(', '),
    place: { namespace, server: servers.join(', ') },
  };
}

function shownOf(context: CommandContext, named: NamedMirror, label: string): Shown {
  const { volume } = named.replicas[0].shown;
  const snapshots = provenSnapshots(named).map(({ view }) => view);
  const ids = new Set(snapshots.map(({ id }) => id));
  for (const { place, shown } of named.replicas) {
    const others = shown.snapshots.filter(({ id, moment }) => !ids.has(id) || moment?.isProven !== true).map(({ snapshot }) => snapshot);
    if (others.length > 0)
      context.note(
        `Server ${place.server} has snapshots of its replica that are not those of ${label}: ${others.join(', ')}; --server ${place.server} shows them`,
      );
  }
  for (const why of named.silent) context.note(capital(why));
  return { volume: { ...volume, snapshots: snapshots.length }, snapshots };
}

async function snapshotOf(
  context: CommandContext,
  { volume, replicas }: NamedMirror,
  one: VolumeTarget,
  { snapshots, request }: ServerMethods['volume-snapshot']['params'],
): Promise<SnapshotView> {
  const label = one.label(volume);
  const [wanted, second] = snapshots;
  if (wanted === undefined || second !== undefined)
    throw new RsError('E_USAGE', `${label} is a mirror, and shares no moment with other volumes: make its snapshot alone`);
  const id = request ?? context.newId();
  const params = { ...volume, namespace: replicas[0].place.namespace, snapshot: wanted.snapshot, id };
  const make = (): Promise<MirrorSnapshot> => context.call('mirror-snapshot', params);
  const made = await make().catch((thrown: unknown) => {
    if (toRsError(thrown).code !== 'E_UNKNOWN_VOLUME') throw thrown;
    // This client has not attached the mirror, so the command attaches it for the duration of the snapshot. Attaching fails if another
    // client has the mirror.
    return whileAttached(context, label, { as: 'share', server: null, what: 'rsconfig volume snapshot' }, make);
  });
  for (const { server, reason } of made.missing) context.note(`Server ${server} does not have ${label}@${wanted.snapshot}: ${reason}`);
  context.note(`${label}@${wanted.snapshot} is on ${made.servers.join(' and ')}`);
  return viewOf(made);
}

function viewOf({ name, universe, snapshot, id, sizeBytes, usedBytes, createdMs, mirror, term, number }: MirrorSnapshot): SnapshotView {
  const moment = { mirror, term, number, isProven: true };
  return { name, universe, snapshot, id, sizeBytes, usedBytes, createdMs, by: null, group: id, readers: null, moment };
}

async function rolledBack(
  context: CommandContext,
  named: NamedMirror,
  one: VolumeTarget,
  { snapshot }: ServerMethods['volume-rollback']['params'],
): Promise<ServerMethods['volume-rollback']['result']> {
  const { volume, replicas } = named;
  const [label, { place }] = [one.label(volume), replicas[0]];
  const servers = placesWith(named, label, [snapshot]).map(({ server }) => server);
  const snapshotId = provenSnapshots(named).find(({ view }) => view.snapshot === snapshot)?.view.id ?? '';
  const kept = await rollBackMirror(context, { namespace: place.namespace, label, volume, snapshot, snapshotId, servers });
  return { volume: replicas[0].shown.volume, kept: viewOf(kept) };
}

/**
 * Removes a snapshot of a mirror from all servers with a replica, whether or not the snapshot is proven (M22). With `onlyId`, another
 * snapshot of that name stays. Fails if a server that may have a replica does not answer, because the snapshot would reappear when that
 * server returns.
 */
async function everywhere(
  context: CommandContext,
  named: NamedMirror,
  label: string,
  params: ServerMethods['volume-snapshot-remove']['params'],
): Promise<unknown> {
  const { replicas, silent, volume } = named;
  const { onlyId = null } = params;
  const isMeant = ({ snapshot, id }: SnapshotView): boolean => snapshot === params.snapshot && (onlyId === null || id === onlyId);
  const having = replicas.filter(({ shown }) => shown.snapshots.some(isMeant));
  if (having.length === 0)
    throw new RsError(
      'E_UNKNOWN_SNAPSHOT',
      `Mirror ${label} has no snapshot ${params.snapshot}: volume show ${volumeText(volume)} lists them`,
    );
  if (silent.length > 0 && !(await areAll(context, named)))
    throw new RsError(
      'E_NO_PATH',
      `Snapshot ${label}@${params.snapshot} may be on a server that does not answer, too (${silent.join('; ')}): try again when it is back; ` +
        `--server S removes it on server S alone`,
    );
  return await inTurn(context, having, 'volume-snapshot-remove', params);
}

/** True if, by the configuration that a majority of the voters has, no other server than those that have shown theirs has a replica. */
async function areAll({ call }: Pick<CommandContext, 'call'>, { mirror, replicas }: NamedMirror): Promise<boolean> {
  const shown = replicas.map(({ place }) => place);
  const { mirrors } = await call('mirrors', { namespace: shown[0]?.namespace ?? null });
  const known = mirrors.find((one) => one.mirror === mirror && one.state === 'known');
  if (known === undefined || known.voters.filter(({ answers }) => answers).length < known.majority) return false;
  return known.replicas.every(({ server }) => shown.some((place) => place.server === server));
}

/**
 * Sends the request to the servers one after the other. Throws the error of the first server that refuses. The message of this error names
 * the servers that have already executed the request.
 */
async function inTurn(
  context: CommandContext,
  replicas: readonly ReplicaPlace[],
  method: ServerMethodName,
  params: object,
): Promise<unknown> {
  const done: string[] = [];
  let answer: unknown;
  for (const { place } of replicas) {
    try {
      answer = await at(context, place, method, params);
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      const before = done.length === 0 ? '' : `It is done on ${done.join(' and ')}, and not on ${place.server}: `;
      throw new RsError(code, `${before}${message}`);
    }
    done.push(place.server);
  }
  return answer;
}

async function onAll(
  context: CommandContext,
  { replicas, silent }: NamedMirror,
  method: ServerMethodName,
  params: object,
): Promise<unknown> {
  const answer = await inTurn(context, replicas, method, params);
  for (const why of silent) context.note(`${why}: its replica, if it has one, is as before; give the command again when it is back`);
  return answer;
}

/** Gives or takes a client's access at all servers with a replica. Throws unless every server has executed the order. */
async function accessChanged(
  context: CommandContext,
  { volume, replicas }: NamedMirror,
  label: string,
  method: 'volume-revoke' | 'volume-allow',
  { client }: ServerMethods['volume-revoke']['params'],
): Promise<ServerMethods['volume-revoke']['result']> {
  const [{ place, shown }] = replicas;
  const { namespace } = place;
  const order = { ...volume, namespace, client };
  const done = await context.call(method === 'volume-revoke' ? 'mirror-revoke' : 'mirror-allow', order);
  const left = done.left.map(({ server, reason }) => `server ${server}: ${reason}`).join('; ');
  if (left === '') {
    const clients = shown.volume.clients?.filter((name) => name !== client) ?? null;
    return {
      volume: { ...shown.volume, clients: method === 'volume-revoke' ? clients : withClient(clients, client) },
      client,
      wasHeld: done.wasHeld,
    };
  }
  const proof = done.isProven
    ? `A majority of the voters of mirror ${label} proves that nothing of client ${client} takes effect, but it may still attach the mirror`
    : `The order about client ${client} is not executed at all servers of mirror ${label}`;
  throw new RsError('E_NO_PATH', `${proof} (${left}): repeat the command when that has ended`, { ...done });
}

function withClient(clients: readonly string[] | null, client: string): readonly string[] | null {
  return clients === null ? null : [...clients, client];
}

/** Returns a server with the proven snapshot that the request reads. For a diff, the server must have both snapshots. */
function placeFor(named: NamedMirror, label: string, params: object): Place {
  const { snapshot = null, until = null } = params as { readonly snapshot?: string | null; readonly until?: string | null };
  if (snapshot === null)
    throw new RsError('E_USAGE', `${label} is a mirror: make a snapshot first (rsconfig volume snapshot ${label}@NAME), and copy that`);
  return placesWith(named, label, until === null ? [snapshot] : [snapshot, until])[0];
}

/** Returns the servers on which all of these snapshots are proven. Throws E_UNKNOWN_SNAPSHOT if no server has them all. */
export function placesWith(named: NamedMirror, label: string, snapshots: readonly string[]): readonly [Place, ...Place[]] {
  const proven = provenSnapshots(named);
  const each = snapshots.map((name) => ({ name, places: proven.find(({ view }) => view.snapshot === name)?.places ?? [] }));
  const [found, ...more] = (each[0]?.places ?? []).filter((place) => each.every(({ places }) => places.includes(place)));
  if (found !== undefined) return [found, ...more];
  const missing = each.find(({ places }) => places.length === 0);
  const silent = named.silent.length === 0 ? '' : `; not all servers answer (${named.silent.join('; ')})`;
  if (missing === undefined)
    throw new RsError('E_UNKNOWN_SNAPSHOT', `No server of mirror ${label} has both ${snapshots.join(' and ')}${silent}`);
  const others = named.replicas.filter(({ shown }) => shown.snapshots.some(({ snapshot }) => snapshot === missing.name));
  const only = others.map(({ place }) => place.server).join(' and ');
  const remedy = `rsconfig volume clone ${label}@${missing.name} NEW --server ${others[0]?.place.server ?? 'S'} makes a volume of it`;
  const why = others.length === 0 ? `volume show lists them` : `one of that name on ${only} is of that replica only; ${remedy}`;
  throw new RsError('E_UNKNOWN_SNAPSHOT', `Mirror ${label} has no snapshot ${missing.name}: ${why}${silent}`);
}

function at(context: CommandContext, place: Place, method: ServerMethodName, params: object): Promise<unknown> {
  return watched(context, place, callAt(context, place, method, params as never));
}
