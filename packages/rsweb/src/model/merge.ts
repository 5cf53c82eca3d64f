// Merges the pictures of several sources into one. A server reports its clients and a client reports its servers, so an object can occur
// several times. The report of the object's own machine takes precedence; other reports only add missing values. Before the merge,
// owners.ts decides which reports of a source count at all. Pure. Invariants: ids are unique within a list; every list is bounded and
// shared fairly between the sources.

import { ELEMENTS_MAX, EVENTS_MAX, FINDINGS_MAX } from '../limits.ts';
import type { Client, Finding, Machine, Mirror, Path, Picture, Server, Volume } from './picture.ts';

/** Merges pictures. `takenMs`: the time that the merged picture gets. */
export function merged(parts: readonly Picture[], takenMs: number): Picture {
  const volumes = volumesOf(parts);
  const all = <T>(listOf: (part: Picture) => readonly T[]): readonly T[] => fairly(parts.map(listOf), ELEMENTS_MAX).flat();
  return {
    takenMs,
    machines: combined(
      all((part) => part.machines),
      joinMachines,
    ),
    servers: combined(
      all((part) => part.servers),
      joinServers,
    ),
    clients: combined(
      all((part) => part.clients),
      joinClients,
    ),
    paths: combined(
      all((part) => part.paths),
      joinPaths,
    ),
    volumes,
    pools: unique(all((part) => part.pools)),
    mirrors: combined(
      all((part) => part.mirrors),
      joinMirrors,
    ),
    applications: unique(all((part) => part.applications)),
    works: unique(all((part) => part.works)),
    replications: unique(all((part) => part.replications)),
    gates: unique(all((part) => part.gates)),
    snapshots: volumes.reduce((sum, { snapshots }) => sum + snapshots, 0),
    findings: findingsOf(parts.map(({ findings }) => findings)),
    events: unique(
      fairly(
        parts.map(({ events }) => events.toSorted((left, right) => right.atMs - left.atMs)),
        EVENTS_MAX,
      ).flat(),
    ).toSorted((left, right) => left.atMs - right.atMs),
  };
}

/**
 * Merges lists of findings. Errors come before warnings. Among the errors and among the warnings, the lists take turns, so that no source
 * can displace the findings of others. The oldest finding of a list comes first.
 */
export function findingsOf(lists: readonly (readonly Finding[])[]): readonly Finding[] {
  const ordered = lists.map((list) =>
    list.toSorted((left, right) => rankOf(left) - rankOf(right) || (left.sinceMs ?? 0) - (right.sinceMs ?? 0)),
  );
  const turns = new Map(ordered.flatMap((list) => list.map((one, at) => [one, at] as const)));
  return unique(
    fairly(ordered, FINDINGS_MAX)
      .flat()
      .toSorted((left, right) => rankOf(left) - rankOf(right) || (turns.get(left) ?? 0) - (turns.get(right) ?? 0)),
  );
}

function rankOf({ severity }: Finding): number {
  return severity === 'error' ? 0 : 1;
}

/** Shortens the lists to `most` elements in total. If a list is shorter than its share, the other lists get the rest of that share. */
function fairly<T>(lists: readonly (readonly T[])[], most: number): readonly (readonly T[])[] {
  const shares = lists.map(() => 0);
  let left = most;
  const bySize = lists.map(({ length }, at) => ({ length, at })).toSorted((one, other) => one.length - other.length);
  for (const [rank, { length, at }] of bySize.entries()) {
    shares[at] = Math.min(length, Math.floor(left / (lists.length - rank)));
    left -= shares[at];
  }
  return lists.map((list, at) => list.slice(0, shares[at]));
}

interface Identified {
  readonly id: string;
}

function unique<T extends Identified>(all: readonly T[]): readonly T[] {
  return combined(all, (first) => first);
}

function combined<T extends Identified>(all: readonly T[], join: (first: T, second: T) => T): readonly T[] {
  const found = new Map<string, T>();
  for (const one of all) {
    const before = found.get(one.id);
    found.set(one.id, before === undefined ? one : join(before, one));
  }
  return [...found.values()];
}

/** Joins two reports about one machine. Each daemon of a machine is a separate source and reports the machine. */
function joinMachines(left: Machine, right: Machine): Machine {
  const first = left.state === 'answers' ? left : right;
  return { ...first, programs: [...left.programs, ...right.programs] };
}

function joinServers(left: Server, right: Server): Server {
  const [first, second] = left.machine === null && right.machine !== null ? [right, left] : [left, right];
  return {
    ...first,
    namespace: first.namespace === '' ? second.namespace : first.namespace,
    serverid: first.serverid ?? second.serverid,
    // If only clients report the server, a single client that reaches the server proves that the server is up.
    ...(first.machine === null && second.state === 'up' ? { state: second.state, reason: null } : {}),
  };
}

function joinClients(left: Client, right: Client): Client {
  const [first, second] = left.machine === null && right.machine !== null ? [right, left] : [left, right];
  return {
    ...first,
    address: first.address ?? second.address,
    role: first.role ?? second.role,
    fencedMs: first.fencedMs ?? second.fencedMs,
    volumes: [...new Set([...first.volumes, ...second.volumes])],
    // If only servers report the client, a single server with a session of the client proves that the client is connected.
    ...(first.machine === null && second.state === 'connected' ? { state: second.state, sinceMs: second.sinceMs } : {}),
  };
}

/** Prefers the client's report of a path, because it has more details than the server's. */
function joinPaths(left: Path, right: Path): Path {
  return left.interface === null && right.interface !== null ? right : left;
}

function joinMirrors(left: Mirror, right: Mirror): Mirror {
  return left.holder === null && right.holder !== null ? right : left;
}

/** Prefers the report of a volume's server over the reports of clients. */
function volumesOf(parts: readonly Picture[]): readonly Volume[] {
  const atFirstHand: Volume[] = [];
  const fromClients: Volume[] = [];
  const lists = fairly(
    parts.map(({ volumes }) => volumes),
    ELEMENTS_MAX,
  );
  for (const [at, { servers }] of parts.entries()) {
    const own = new Set(servers.filter(({ machine }) => machine !== null).map(({ id }) => id));
    for (const volume of lists[at] ?? []) (own.has(volume.server) ? atFirstHand : fromClients).push(volume);
  }
  return combined([...atFirstHand, ...fromClients], joinVolumes);
}

function joinVolumes(first: Volume, second: Volume): Volume {
  const known = new Set(first.waits.map(({ client, waitsFor }) => `${client} ${waitsFor}`));
  const more = second.waits.filter(({ client, waitsFor }) => !known.has(`${client} ${waitsFor}`));
  return { ...first, mirror: first.mirror ?? second.mirror, waits: [...first.waits, ...more] };
}
