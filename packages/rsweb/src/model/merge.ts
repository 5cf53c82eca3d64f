// Puts what several sources tell into one picture. A server tells of its clients and a client of its servers, so the same object comes several
// times: what a machine tells of itself counts, and the rest fills what is missing. Whose word counts at all is decided before, in owners.ts. Pure.
// Invariants: ids are unique within a list; every list is bounded, and no source takes the places of another one.

import { ELEMENTS_MAX, EVENTS_MAX, FINDINGS_MAX } from './limits.ts';
import type { Client, Finding, Machine, Mirror, Path, Picture, Server, Volume } from './picture.ts';

/** `takenMs`: of the picture that is made. */
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

/** Of each list in turn the next finding, which is its oldest; errors first. So the first ones are of all sources, whatever one of them tells. */
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

/** The beginning of each list, `most` elements together. A list that is shorter than its share leaves the rest to the others. */
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

/** The first of each id. */
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

/** Each program of a machine is a source of its own. */
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
    // Of several clients that know the server, one that reaches it proves that it is up.
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
    // Of several servers, one that has a session with the client proves that it is connected.
    ...(first.machine === null && second.state === 'connected' ? { state: second.state, sinceMs: second.sinceMs } : {}),
  };
}

/** The client knows more of a path than the server. */
function joinPaths(left: Path, right: Path): Path {
  return left.interface === null && right.interface !== null ? right : left;
}

function joinMirrors(left: Mirror, right: Mirror): Mirror {
  return left.holder === null && right.holder !== null ? right : left;
}

/** What the server of a volume tells counts more than what a client does. */
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
