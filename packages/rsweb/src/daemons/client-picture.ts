// Converts the answers of an rsiod to a part of a picture: the client, its paths, its servers and volumes, and the mirrors that it has
// attached. Pure except for the meters. The file client-findings.ts finds the faults.

import type { ControlMethods, NamespaceView, PathView, ServerView, VolumeView } from '@rsio/api/rsiod/methods';
import type { Progress } from '@rsio/api/views/views';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { hrefOf, clientId, namedVolume, pathId, serverId, volumeId, workId } from '../model/ids.ts';
import { type Flow, loadOf, type Meters, NO_LOAD, sumOf } from './meters.ts';
import type { Client, Event, Gate, Mirror, Path, Server, Volume } from '../model/picture.ts';
import { countersOf, type Part } from './server-picture.ts';

type Results = ControlMethods;

export interface ClientFacts {
  readonly daemon: Results['daemon']['result'];
  readonly namespaces: readonly NamespaceView[];
  readonly attachments: Results['local']['result']['attachments'];
  readonly awaited: Results['local']['result']['awaited'];
  readonly status: Results['status']['result'];
  readonly stats: Results['stats']['result'];
  readonly events: Results['events']['result']['events'];
  readonly backups: Results['backups']['result']['backups'];
  readonly progress: readonly Progress[];
  readonly gates: Results['gates']['result'];
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** A path and its server, with the path's state from `status`. */
export interface ClientPath {
  readonly server: ServerView;
  readonly namespace: NamespaceView;
  readonly path: PathView;
}

export function clientPart(facts: ClientFacts, machine: string, meters: Meters): Part {
  const { daemon, namespaces, attachments, stats, monotonicMs } = facts;
  const client = clientId(namespaces[0]?.nodename ?? daemon.nodename);
  const flows = new Map(stats.volumes.map((one) => [one.volume, meters.flow(`volume ${one.volume}`, monotonicMs, countersOf(one))]));
  const servers = namespaces.flatMap((namespace) => namespace.servers.map((server) => serverOf(server, namespace)));
  const volumes = namespaces.flatMap((namespace) =>
    namespace.servers.flatMap((server) => server.volumes.map((volume) => volumeOf(volume, server, namespace, facts, flows))),
  );
  const ids = new Map(attachments.map((one) => [volumeLabel(one), one.id]));
  return {
    takenMs: facts.wallMs,
    machines: [],
    servers,
    clients: [clientOf(facts, client, machine, [...flows.values()])],
    paths: pathsIn(facts).map((one) => pathOf(one, client, facts, meters)),
    volumes: distinct(volumes),
    pools: [],
    mirrors: facts.status.mirrors.map((one) => mirrorOf(one, facts, client, ids)),
    applications: [],
    works: facts.progress.map(({ goesOn: _goesOn, ...one }) => {
      return { ...one, id: workId('client', client, one.id), server: null, client, job: null, limitBytes: null };
    }),
    replications: [],
    gates: gatesOf(facts.gates, client),
    snapshots: 0,
    events: facts.events.map((event) => eventOf(event, client, machine, ids)),
  };
}

function gatesOf({ gates, aoe }: ClientFacts['gates'], client: string): Gate[] {
  const idOf = (name: string): string => workId('client', client, `gate ${name}`);
  return [
    ...gates.map(({ name, protocol, listening, hosts, volumes, trouble }): Gate => {
      const missing = volumes.flatMap(({ label, why }) => (why === null ? [] : [`${label}: ${why}`]));
      const labels = volumes.map(({ label }) => label);
      return { id: idOf(name), client, name, protocol, listening, hosts, volumes: labels, trouble: trouble ?? missing[0] ?? null };
    }),
    ...(aoe ?? []).map((one): Gate => {
      const { name, hosts, volumes, trouble } = one;
      const listening = [`${one.interface}, shelf ${one.shelf}`];
      return { id: idOf(name), client, name, protocol: 'aoe', listening, hosts, volumes: volumes.map(({ label }) => label), trouble };
    }),
  ];
}

/** Returns each volume once. If several servers of a namespace offer the same volume, the entry of the first server counts. */
function distinct(volumes: readonly Volume[]): Volume[] {
  return [...new Map(volumes.toReversed().map((volume) => [volume.id, volume])).values()].toReversed();
}

function clientOf({ daemon, namespaces, attachments }: ClientFacts, id: string, machine: string, flows: readonly Flow[]): Client {
  const isConnected = namespaces.some(({ servers }) => servers.some(({ state }) => state === 'connected'));
  return {
    id,
    name: id,
    machine,
    state: isConnected ? 'connected' : 'silent',
    address: namespaces[0]?.servers[0]?.paths[0]?.localAddress ?? null,
    sinceMs: daemon.startedMs,
    version: daemon.version,
    role: null,
    fencedMs: null,
    volumes: attachments.map((one) => one.id),
    load: flows.length === 0 ? NO_LOAD : loadOf(sumOf(flows)),
  };
}

function serverOf(server: ServerView, namespace: NamespaceView): Server {
  return {
    id: serverId(server.name),
    name: server.name,
    namespace: namespace.name,
    serverid: server.serverid,
    machine: null,
    state: server.state === 'connected' ? 'up' : server.state,
    reason: server.state === 'connected' ? null : (server.paths.find(({ lastError }) => lastError !== null)?.lastError ?? null),
    version: null,
    startedMs: null,
    interfaces: server.addresses.map(({ section, address, port }) => ({ name: section, address, port, state: 'unknown', reason: null })),
    load: NO_LOAD,
  };
}

function volumeOf(
  volume: VolumeView,
  server: ServerView,
  namespace: NamespaceView,
  { status, namespaces }: ClientFacts,
  flows: ReadonlyMap<string, Flow>,
): Volume {
  const label = volumeLabel({ namespace: namespace.name, name: volume.name, universe: volume.universe });
  const flow = flows.get(label);
  const client = clientId(namespace.nodename === '' ? (namespaces[0]?.nodename ?? '') : namespace.nodename);
  return {
    id: volumeId(volume.id, serverId(server.name), volume.name, volume.universe),
    name: volume.name,
    universe: volume.universe,
    server: serverId(server.name),
    pool: null,
    state: 'served',
    reason: null,
    sizeBytes: volume.blocks * volume.blockSizeBytes,
    usedBytes: null,
    readonly: volume.readonly,
    shared: volume.shared,
    holders: volume.holders.map(({ node, sinceMs }) => ({ client: clientId(node), sinceMs })),
    waits: status.waiting
      .filter((wait) => wait.volume === label)
      .map(({ waitsFor, requests, sinceMs }) => ({ client, waitsFor, requests, sinceMs })),
    snapshots: 0,
    lastSnapshotMs: null,
    schedule: null,
    mirror: volume.mirror,
    iopsLimit: null,
    bandwidthLimitBytes: null,
    load: flow === undefined ? NO_LOAD : loadOf(flow),
  };
}

/** Returns all paths. The states of the paths come from the answer to `status`, because rsweb calls `status` more often than `query`. */
export function pathsIn({ namespaces, status }: ClientFacts): ClientPath[] {
  const fresh = new Map(
    status.interfaces.flatMap((one) => one.reps.map((rep) => [`${one.name} ${rep.address} ${rep.port}`, rep] as const)),
  );
  return namespaces.flatMap((namespace) =>
    namespace.servers.flatMap((server) =>
      server.paths.map((path) => ({ namespace, server, path: fresh.get(`${path.interface} ${path.address} ${path.port}`) ?? path })),
    ),
  );
}

function pathOf({ server, path }: ClientPath, client: string, { stats, monotonicMs }: ClientFacts, meters: Meters): Path {
  const { interface: name, localAddress, address, port, state, tx, rx, sinceMs, lastError, roundTripMs, cipher } = path;
  const figures = stats.paths.find((one) => one.interface === name && one.address === address && one.port === port);
  const none: readonly number[] = [];
  const flow =
    figures === undefined
      ? null
      : meters.flow(`path ${name} ${address} ${port}`, monotonicMs, {
          reads: 0,
          writes: 0,
          readBytes: figures.receivedBytes,
          writtenBytes: figures.sentBytes,
          readBuckets: none,
          writeBuckets: none,
        });
  return {
    id: pathId(client, localAddress, serverId(server.name), address),
    client,
    server: serverId(server.name),
    interface: name,
    localAddress,
    address,
    port,
    state,
    tx,
    rx,
    sinceMs,
    lastError,
    roundTripMs,
    cipher,
    sentBytesPerSecond: flow?.writtenBytesPerSecond ?? null,
    receivedBytesPerSecond: flow?.readBytesPerSecond ?? null,
  };
}

function mirrorOf(
  mirror: Results['status']['result']['mirrors'][number],
  { namespaces }: ClientFacts,
  client: string,
  ids: ReadonlyMap<string, string>,
): Mirror {
  const { name, universe } = namedVolume(mirror.volume);
  const colon = mirror.volume.indexOf(':');
  const namespace = colon < 0 ? '' : mirror.volume.slice(0, colon);
  const servers = namespaces.find((one) => one.name === namespace)?.servers ?? [];
  const id = ids.get(mirror.volume) ?? mirror.volume;
  return {
    id,
    name,
    universe,
    namespace,
    state: 'known',
    sizeBytes: null,
    replicas: mirror.replicas.map((replica) => {
      const server = servers.find((one) => one.name === replica.server);
      const volume = server?.volumes.find((one) => one.mirror === id);
      return {
        server: server === undefined ? null : serverId(server.name),
        serverName: replica.server,
        volume: volume?.id ?? null,
        state: replica.state,
        isReachable: replica.isOpen,
        leftBytes: replica.leftBytes,
        bytesPerSecond: replica.bytesPerSecond,
        etaMs: replica.etaMs,
      };
    }),
    voters: [],
    majority: 0,
    holder: client,
  };
}

function eventOf(
  { atMs, object, from, to, reason }: ClientFacts['events'][number],
  client: string,
  machine: string,
  ids: ReadonlyMap<string, string>,
): Event {
  const volume = ids.get(object);
  const href = volume === undefined ? hrefOf('client', client) : hrefOf('volume', volume);
  // Events of rsiod have no numbers, so the id is made from the content of the event.
  return { id: `${client} ${atMs} ${object} ${from} ${to}`, atMs, machine, object, from, to, reason, href };
}
