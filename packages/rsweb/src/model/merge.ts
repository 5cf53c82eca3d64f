// Puts what several sources tell into one picture. A server tells of its clients and a client of its servers, so the same object comes several
// times: what a machine tells of itself counts, and the rest fills what is missing. Pure. Invariant: ids are unique within a list, and every list
// is bounded.

import { ELEMENTS_MAX, EVENTS_MAX, FINDINGS_MAX } from './limits.ts';
import type { Client, Finding, Machine, Mirror, Path, Picture, Server, Volume } from './picture.ts';

/** `takenMs`: of the picture that is made. */
export function merged(parts: readonly Picture[], takenMs: number): Picture {
  const pools = unique(parts.flatMap((part) => part.pools));
  const volumes = volumesOf(parts);
  return {
    takenMs,
    machines: combined(
      parts.flatMap((part) => part.machines),
      joinMachines,
    ),
    servers: combined(
      parts.flatMap((part) => part.servers),
      joinServers,
    ),
    clients: combined(
      parts.flatMap((part) => part.clients),
      joinClients,
    ),
    paths: combined(
      parts.flatMap((part) => part.paths),
      joinPaths,
    ),
    volumes,
    pools,
    mirrors: combined(
      parts.flatMap((part) => part.mirrors),
      joinMirrors,
    ),
    snapshots: volumes.reduce((sum, { snapshots }) => sum + snapshots, 0),
    findings: inOrder(parts.flatMap((part) => part.findings)),
    events: unique(parts.flatMap((part) => part.events))
      .toSorted((left, right) => left.atMs - right.atMs)
      .slice(-EVENTS_MAX),
  };
}

/** Errors first, and the older ones of each kind first. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ severity, sinceMs }: Finding): [number, number] => [severity === 'error' ? 0 : 1, sinceMs ?? 0];
  return unique(findings)
    .toSorted((left, right) => {
      const [a, b] = [rank(left), rank(right)];
      return a[0] - b[0] || a[1] - b[1];
    })
    .slice(0, FINDINGS_MAX);
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
    if (before === undefined && found.size >= ELEMENTS_MAX) continue;
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
  for (const { servers, volumes } of parts) {
    const own = new Set(servers.filter(({ machine }) => machine !== null).map(({ id }) => id));
    for (const volume of volumes) (own.has(volume.server) ? atFirstHand : fromClients).push(volume);
  }
  return combined([...atFirstHand, ...fromClients], joinVolumes);
}

function joinVolumes(first: Volume, second: Volume): Volume {
  const known = new Set(first.waits.map(({ client, waitsFor }) => `${client} ${waitsFor}`));
  const more = second.waits.filter(({ client, waitsFor }) => !known.has(`${client} ${waitsFor}`));
  return { ...first, mirror: first.mirror ?? second.mirror, waits: [...first.waits, ...more] };
}
