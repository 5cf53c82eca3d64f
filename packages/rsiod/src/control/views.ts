// Converts the daemon's state to the views that the control methods return, and writes the texts about stalls. Invariant: the functions in
// this file never change the daemon's state.

import {
  type AttachmentView,
  type InterfaceView,
  type LogView,
  type NamespaceView,
  type PathStats,
  type PathView,
  type ServerView,
  type StatsView,
  type StatusView,
  type WaitingView,
  waitingText,
} from '@rsio/api/rsiod/methods';
import type { ClientServerConfig, RscltConfig } from '@rsio/common/config/schema/types';
import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import type { Clock } from '@rsio/base/lib/clock';
import { plural, printDuration } from '@rsio/base/lib/units';
import { endPointKey } from '@rsio/base/lib/subnet';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/base/log/limits';
import { STALL_FAIL_GRACE_MS } from '../volumes/limits.ts';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { Namespace, Route } from '../network/namespace.ts';
import { type HeldOffer, labelOf } from '../attachments/offers.ts';
import type { Server } from '../network/server.ts';
import { secondsOf, storageStallReason } from '../volumes/storage-stall.ts';
import type { StorageErrorEvent } from '../volumes/storage-failures.ts';
import { volumeById } from '../volumes/volume-by-id.ts';
import type { ShownAs } from '../frontends/frontend.ts';
import type { Volume, VolumeEvent } from '../volumes/volume.ts';

/** `tls`: true if the configuration of the namespace demands encrypted paths. */
export function pathView({ local, remote, port, supervisor, replacement }: Route, tls: boolean): PathView {
  const { path, state } = supervisor;
  // If a replacement cannot connect, the view shows the error of the replacement, because this error explains why the path is still plain
  // or still encrypted, contrary to the configuration.
  const { lastErrorSentence, lastErrorMs } = replacement === null || replacement.lastError === null ? supervisor : replacement;
  return {
    number: path?.number ?? null,
    interface: local.name,
    localAddress: local.address,
    address: remote.address,
    port,
    state,
    ...supervisor.directions,
    sinceMs: supervisor.sinceMs,
    lastError: lastErrorSentence,
    lastErrorMs,
    retries: supervisor.retries,
    roundTripMs: path?.roundTripMs ?? null,
    cipher: path?.connection.transport.cipher ?? null,
    tls,
  };
}

type Copies = NonNullable<NamespaceView['copies']>;

interface ServerGroup {
  readonly server: Server | null;
  readonly sections: ClientServerConfig[];
}

/** Groups the [server] sections of a namespace by server. A section whose server is not known yet forms a separate group. */
function serverGroups(namespace: Namespace): ServerGroup[] {
  const groups: ServerGroup[] = [];
  const byServer = new Map<Server, ServerGroup>();
  const servers = namespace.serversBySection();
  for (const section of namespace.config.servers) {
    const server = servers.get(section.position) ?? null;
    const group = server === null ? undefined : byServer.get(server);
    if (group !== undefined) {
      group.sections.push(section);
      continue;
    }
    const begun: ServerGroup = { server, sections: [section] };
    groups.push(begun);
    if (server !== null) byServer.set(server, begun);
  }
  return groups;
}

/** `copiesIn` returns the volumes of a namespace that may be copies (attachments/volume-origins.ts). */
export function namespaceViews(namespaces: readonly Namespace[], copiesIn: (namespace: string) => Copies): NamespaceView[] {
  return namespaces.map((namespace, position) => {
    const copies = copiesIn(namespace.config.name);
    return { ...namespaceView(namespace, position), ...(copies.length === 0 ? {} : { copies }) };
  });
}

export function namespaceView(namespace: Namespace, position: number): NamespaceView {
  const { name, namespaceid, nodename } = namespace.config;
  const servers = serverGroups(namespace).map((group, index) => serverView(namespace, group, index));
  return { position, name, namespaceid, nodename, servers };
}

function serverView(namespace: Namespace, { server, sections }: ServerGroup, position: number): ServerView {
  const isOurs = ({ remote }: Route): boolean =>
    remote.position === null ? remote.serverid === server?.serverid : sections.some((one) => one.position === remote.position);
  const routes = namespace.routes.filter(isOurs);
  const session = server?.trunk.session ?? null;
  // Only paths that have never failed count, so that a server whose paths have failed stays `down` while the paths are retried.
  const isTriedFirst = routes.some(({ supervisor }) => supervisor.lastError === null);
  return {
    position,
    name: server?.name ?? sections[0]?.name ?? '',
    sections: sections.map(({ name }) => name),
    serverid: server?.serverid ?? null,
    instance: session?.serverInstance ?? null,
    release: session?.release ?? null,
    clockOffMs: session?.clockOffMs ?? null,
    state: server?.isConnected === true ? 'connected' : isTriedFirst ? 'connecting' : 'down',
    addresses: addressesOf(namespace, sections, routes),
    limits: session === null ? null : { slots: session.slots, windowBytes: session.windowBytes },
    volumes: (server?.volumes ?? []).map((volume) => ({
      name: volume.name,
      universe: volume.universe,
      id: volume.id,
      blocks: volume.sizeBytes / volume.blockSizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      readonly: volume.readonly,
      shared: volume.shared,
      holders: volume.holders,
      mirror: volume.mirror ?? null,
      follows: volume.follows ?? null,
    })),
    paths: routes.map((route) => pathView(route, namespace.config.tls)),
  };
}

/** Lists the addresses from the [server] sections, then the addresses that the server has reported. */
function addressesOf(namespace: Namespace, sections: readonly ClientServerConfig[], routes: readonly Route[]): ServerView['addresses'] {
  const named = sections.map(({ name, address, port, position }) => ({
    section: name,
    address,
    // If the section has no route, `port` is the port that a route would use.
    port: routes.find(({ remote }) => remote.position === position)?.port ?? namespace.portOf(port),
  }));
  const learned = routes.filter(({ remote }) => remote.position === null);
  const distinct = new Map(learned.map(({ remote, port }) => [endPointKey(remote.address, port), { remote, port }]));
  return [...named, ...[...distinct.values()].map(({ remote, port }) => ({ section: remote.name, address: remote.address, port }))];
}

/** `offers`: the servers' offers of this volume. */
export function attachmentView(
  volume: Volume,
  shown: ShownAs | null,
  offers: readonly Pick<HeldOffer, 'poolGeneration'>[],
): AttachmentView {
  return {
    namespace: volume.namespace,
    name: volume.name,
    universe: volume.universe,
    id: volume.id,
    byId: volumeById(volume),
    state: waitsFor(volume) === null ? 'attached' : 'waiting',
    readonly: volume.readonly,
    shared: volume.shared,
    blocks: volume.sizeBytes / volume.blockSizeBytes,
    blockSizeBytes: volume.blockSizeBytes,
    servers: offers.length,
    sharedPool: offers.some(({ poolGeneration }) => poolGeneration !== null),
    rawDevice: shown?.raw ?? null,
    blockDevice: shown?.block ?? '-',
  };
}

const OR_OWNER = ', or for another owner of its pool (rsadm farm on the other owners says what the pool waits for)';

/** Returns the reason why the volume's I/O cannot be sent now, or null if I/O can be sent. */
function waitsFor(volume: Volume): string | null {
  const { target, stall } = volume;
  if (target.pathCount === 0) {
    const message = stall.serverMessage;
    // In a shared pool, the I/O also waits for any other server that can own the pool.
    const orOwner = target.attachments.some(({ ownership }) => ownership !== null) ? OR_OWNER : '';
    const path =
      message === null ? `a path to ${volume.serverText}${orOwner}` : `${volume.serverText}, which is there and slow: ${message}`;
    return stall.hasAbandoned ? `${path}: I/O was abandoned, its outcome is unknown` : path;
  }
  return target.reason === '' ? null : target.reason;
}

/** Returns the reason for the current storage stall if the stall has been reported; otherwise null. */
function storageStallOf(volume: Volume, clock: Clock): string | null {
  const { waitingSinceMs, storageStall, target, serverText } = volume;
  if (target.heldBy !== null) return `held by ${target.heldBy.text} on ${serverText}`;
  if (waitingSinceMs !== null && target.waitsForSpace)
    return `space on ${serverText}, because the pool of the volume is full: enlarge its file system there, or remove volumes (rsadm)`;
  if (waitingSinceMs === null || storageStall.reportedSinceMs !== waitingSinceMs) return null;
  return storageStallReason(serverText, waitingSinceMs, target.storageReport, clock.monotonicMs());
}

/** Returns the old state, the new state and the text of the event that reports a change in a volume's I/O. */
export function stallNotification(volume: Volume, event: VolumeEvent, clock: Clock): { from: string; to: string; sentence: string } {
  const { policy } = volume.stall;
  const limit = policy === 'forever' ? null : printDuration(policy === 'fail' ? STALL_FAIL_GRACE_MS : policy);
  switch (event) {
    case 'waits':
      return {
        from: 'open',
        to: 'waiting',
        sentence: `I/O ${waitingText({ waitsFor: waitsFor(volume) ?? volume.serverText })}${limit === null ? '' : `; it fails after ${limit}`} (stall = ${policyText(policy)})`,
      };
    case 'gave-up':
      return {
        from: 'waiting',
        to: 'given-up',
        sentence: `I/O that waited${limit === null ? '' : ` for ${limit}`} is answered with an error, and its outcome is unknown. The volume resumes when its server is back (stall = ${policyText(policy)})`,
      };
    case 'stands-still': {
      const waitedMs = clock.monotonicMs() - (volume.waitingSinceMs ?? clock.monotonicMs());
      const reason = storageStallOf(volume, clock) ?? volume.serverText;
      return {
        from: 'open',
        to: 'waiting',
        sentence: `No I/O was answered for ${secondsOf(waitedMs)}: it ${waitingText({ waitsFor: reason })}`,
      };
    }
    case 'moves':
    case 'goes-on':
      return { from: 'waiting', to: 'open', sentence: 'I/O resumes' };
    default:
      return storageNotification(volume, event);
  }
}

function storageNotification(
  { storageErrors: { reported }, serverText }: Volume,
  event: StorageErrorEvent,
): { from: string; to: string; sentence: string } {
  const { op, status, count } = reported ?? { op: 'read', status: STATUS.IO_ERROR, count: 0 };
  const { errno, sentence } = statusEntry(status);
  const remedy =
    status === STATUS.NO_SPACE ? 'free space on the server' : status === STATUS.STOPPED ? 'rsadm volume start' : 'repair the storage';
  switch (event) {
    case 'storage-fails':
      return {
        from: 'open',
        to: 'failing',
        sentence: `A ${op} ended with ${errno}: ${sentence}: ${remedy} (see the log of ${serverText})`,
      };
    case 'storage-fails-on': {
      const times = plural(count, 'time');
      return {
        from: 'failing',
        to: 'failing',
        sentence: `A ${op} ended with ${errno} ${times} more in ${STORAGE_ERRORS_LOG_MS / 1_000} s`,
      };
    }
    case 'storage-works':
      return { from: 'failing', to: 'open', sentence: `A ${op} has succeeded since, and ${errno} has not occurred again` };
  }
}

function policyText(policy: StallPolicy): string {
  return typeof policy === 'number' ? printDuration(policy) : policy;
}

export function statusView(
  config: RscltConfig,
  namespaces: readonly Namespace[],
  volumes: readonly Volume[],
  mirrors: StatusView['mirrors'],
  clock: Clock,
): StatusView {
  const positions = remotePositions(namespaces);
  const interfaces: InterfaceView[] = config.interfaces.map((one, position) => ({
    position,
    name: one.name,
    address: one.address,
    port: one.port,
    reps: namespaces
      .flatMap(({ routes, config: { tls } }) => routes.map((route) => ({ route, tls })))
      .filter(({ route }) => route.local.address === one.address)
      .map(({ route, tls }) => ({ ...pathView(route, tls), position: positions.get(route) ?? 0, section: route.remote.name })),
  }));
  return {
    interfaces,
    waiting: volumes.flatMap((volume) => waitingView(volume, clock)),
    logs: volumes.flatMap((volume) => logView(volume, clock)),
    mirrors,
  };
}

function logView(volume: Volume, clock: Clock): LogView[] {
  const { log } = volume.target;
  if (log === null) return [];
  const toWall = (ms: number | null): number | null => (ms === null ? null : clock.wallMs() - clock.monotonicMs() + ms);
  const { dataBytes, rangeBytes, usedBytes, sizeBytes } = log;
  const times = { sinceMs: toWall(log.sinceMs), flushedMs: toWall(log.flushedMs) };
  return [{ volume: labelOf(volume), dataBytes, rangeBytes, usedBytes, sizeBytes, ...times }];
}

/**
 * Assigns a number to the remote end of each route. An address from a [server] section gets that section's position in the file. Addresses
 * that servers have reported get the next numbers.
 */
function remotePositions(namespaces: readonly Namespace[]): ReadonlyMap<Route, number> {
  const positions = new Map<Route, number>();
  let next = namespaces.reduce((sum, { config }) => sum + config.servers.length, 0);
  for (const { routes } of namespaces) {
    const learned = new Map<string, number>();
    for (const route of routes) {
      const key = endPointKey(route.remote.address, route.port);
      if (route.remote.position === null && !learned.has(key)) learned.set(key, next++);
      positions.set(route, route.remote.position ?? learned.get(key) ?? next);
    }
  }
  return positions;
}

/** Describes why the I/O of a volume waits. The list is empty if no I/O waits. */
export function waitingView(volume: Volume, clock: Clock): WaitingView[] {
  const reason = waitsFor(volume) ?? storageStallOf(volume, clock);
  const sinceMs = volume.target.heldBy?.sinceMs ?? volume.waitingSinceMs;
  if (reason === null || sinceMs === null) return [];
  const toWallMs = clock.wallMs() - clock.monotonicMs();
  // While the server reports that it is slow, I/O has no deadline, because the stall policy does not apply.
  const untilMs = volume.stall.serverMessage === null ? volume.stall.untilMs : null;
  return [
    {
      volume: labelOf(volume),
      waitsFor: reason,
      sinceMs: toWallMs + sinceMs,
      untilMs: untilMs === null ? null : toWallMs + untilMs,
      requests: volume.outstanding,
    },
  ];
}

export function pathStats({ local, remote, port, supervisor }: Route): PathStats {
  return {
    interface: local.name,
    address: remote.address,
    port,
    state: supervisor.state,
    ...supervisor.totals,
    readLatency: supervisor.latencies.read.figures(),
    writeLatency: supervisor.latencies.write.figures(),
  };
}

export function statsView(namespaces: readonly Namespace[], volumes: readonly Volume[]): StatsView {
  const routes = namespaces.flatMap((namespace) => namespace.routes);
  return {
    paths: routes.map(pathStats),
    volumes: volumes.map((volume) => volume.counters.view(labelOf(volume), volume.outstanding)),
  };
}
