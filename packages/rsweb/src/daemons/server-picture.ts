// Converts the answers of an rssrv to a part of a picture: the server, its pools, volumes, clients and their paths, and waiting I/O. Pure
// except for the meters. The file server-findings.ts finds the faults.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { fullInMs } from '@rsio/api/views/capacity';
import type { SessionStatsView, WaitView } from '@rsio/api/views/stats-views';
import { progressOfServer } from '@rsio/api/views/progress';
import type { ClientView, JobView, ManagedVolumeView, PoolView, ReplicationView } from '@rsio/api/views/views';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import type { LatencyFigures } from '@rsio/base/structures/latency-figures';
import { hrefOf, clientId, namedVolume, pathId, poolId, serverId, volumeId, workId } from '../model/ids.ts';
import { type Counters, type Flow, loadOf, type Meters, NO_LOAD, sumOf } from './meters.ts';
import type { Client, Event, Load, Path, Picture, Pool, Replication, Volume, Work } from '../model/picture.ts';

type Results = ServerMethods;

export interface ServerFacts {
  readonly daemon: Results['daemon']['result'];
  readonly interfaces: Results['interface-list']['result']['interfaces'];
  readonly pools: readonly PoolView[];
  readonly jobs: readonly JobView[];
  readonly replications: readonly ReplicationView[];
  readonly volumes: readonly ManagedVolumeView[];
  readonly clients: readonly ClientView[];
  readonly stats: Results['stats']['result'];
  readonly change: Results['change-show']['result']['change'];
  readonly witnesses: Results['witness-list']['result']['records'];
  /** Null: the server has not answered, or is of an earlier release. */
  readonly file: Results['namespace-show']['result'] | null;
  readonly events: Results['events']['result']['events'];
  /** The wall-clock time (`wallMs`) and the monotonic time (`monotonicMs`) at which the answers were received. */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** A picture without findings, because the caller adds the findings. */
export type Part = Omit<Picture, 'findings'>;

export function serverPart(facts: ServerFacts, machine: string, meters: Meters): Part {
  const { daemon, interfaces, stats } = facts;
  const server = serverId(daemon.nodename);
  const flows = flowsOf(facts, meters);
  const byVolume = grouped(flows, ({ volume }) => volume);
  const byClient = grouped(flows, ({ client }) => client);
  const waits = grouped(stats.waits, ({ volume }) => volume);
  const volumes = facts.volumes.map((volume) => volumeOf(volume, server, byVolume, waits));
  const ids = new Map(volumes.map(({ name, universe, id }) => [`${name}@${universe}`, id]));
  return {
    takenMs: facts.wallMs,
    machines: [],
    servers: [
      {
        id: server,
        name: daemon.nodename,
        namespace: '',
        serverid: null,
        machine,
        state: 'up',
        reason: null,
        version: daemon.version,
        startedMs: daemon.startedMs,
        interfaces: interfaces.map(({ name, address, port, state, reason }) => ({
          name,
          address,
          port,
          state: interfaceState(state),
          reason,
        })),
        load: loadOf(sumOf(flows.map(({ flow }) => flow))),
      },
    ],
    clients: facts.clients.map((client) => clientOf(client, byClient, ids)),
    paths: stats.sessions.flatMap((session) => pathsOf(session, facts, server)),
    volumes,
    pools: facts.pools.map((pool) => poolOf(pool, server)),
    mirrors: [],
    applications: [],
    works: worksOf(facts, server),
    replications: facts.replications.map((one) => replicationOf(one, server)),
    gates: [],
    snapshots: volumes.reduce((sum, { snapshots }) => sum + snapshots, 0),
    events: facts.events.map((event) => eventOf(event, facts, machine, ids)),
  };
}

function worksOf({ jobs, replications }: ServerFacts, server: string): Work[] {
  return progressOfServer(jobs, replications).map(({ goesOn: _goesOn, ...progress }) => {
    const job = jobs.find(({ id }) => progress.id === `job ${id}`) ?? null;
    return {
      ...progress,
      id: workId('server', server, progress.id),
      server,
      client: null,
      job: job?.id ?? null,
      limitBytes: job?.limitBytes ?? null,
    };
  });
}

function replicationOf(view: ReplicationView, server: string): Replication {
  const { id, direction, peer, state, text, everyMs, ageMs, doneBytes, totalBytes, volumes } = view;
  const names = volumes.map(nameInUniverse).join(', ') || '-';
  const backlogBytes = Math.max(0, totalBytes - doneBytes);
  return { id: workId('server', server, id), server, direction, peer, state, text, everyMs, ageMs, volumes: names, backlogBytes };
}

interface MeteredFlow {
  readonly client: string;
  readonly volume: string;
  readonly flow: Flow;
}

function flowsOf({ stats, monotonicMs }: ServerFacts, meters: Meters): readonly MeteredFlow[] {
  return stats.sessions.flatMap(({ client, ageMs, sinceMs, volumes }) =>
    volumes.map((volume) => {
      const key = `${client} ${sinceMs} ${volume.volume}`;
      return { client, volume: volume.volume, flow: meters.flow(key, monotonicMs - (ageMs ?? 0), countersOf(volume)) };
    }),
  );
}

export function countersOf(stats: {
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly readLatency: Pick<LatencyFigures, 'buckets'>;
  readonly writeLatency: Pick<LatencyFigures, 'buckets'>;
}): Counters {
  const { reads, writes, readBytes, writtenBytes, readLatency, writeLatency } = stats;
  return { reads, writes, readBytes, writtenBytes, readBuckets: readLatency.buckets, writeBuckets: writeLatency.buckets };
}

type Flows = ReadonlyMap<string, readonly MeteredFlow[]>;

function volumeOf(volume: ManagedVolumeView, server: string, flows: Flows, waits: ReadonlyMap<string, readonly WaitView[]>): Volume {
  const { name, universe, schedule } = volume;
  const label = `${name}@${universe}`;
  return {
    id: volumeId(volume.id, server, name, universe),
    name,
    universe,
    server,
    pool: volume.pool === null ? null : poolId(server, volume.pool),
    state: volume.state === 'served' ? (volume.halt?.kind ?? 'served') : 'unavailable',
    reason: volume.reason,
    sizeBytes: volume.sizeBytes,
    usedBytes: volume.usedBytes,
    readonly: volume.readonly,
    shared: volume.shared,
    holders: volume.holders.map(({ node, sinceMs }) => ({ client: clientId(node), sinceMs })),
    waits: (waits.get(label) ?? []).map(waitOf),
    snapshots: volume.snapshots,
    lastSnapshotMs: schedule?.lastMs ?? null,
    schedule: schedule?.text ?? null,
    mirror: volume.mirror,
    iopsLimit: volume.limits?.iops ?? null,
    bandwidthLimitBytes: volume.limits?.bytesPerSecond ?? null,
    load: loadOfFlows(flows.get(label)),
  };
}

const WAITS_FOR = {
  space: 'space in its pool',
  storage: 'its storage',
  hold: 'the client that holds it',
  snapshot: 'a snapshot',
  limit: 'a limit',
} as const;

function waitOf({ client, why, heldBy, requests, sinceMs }: WaitView): Volume['waits'][number] {
  // A newer rssrv may send an unknown reason, which is shown unchanged.
  return { client: clientId(client), waitsFor: heldBy ?? (Object.hasOwn(WAITS_FOR, why) ? WAITS_FOR[why] : why), requests, sinceMs };
}

function loadOfFlows(flows: readonly MeteredFlow[] | undefined): Load {
  return flows === undefined ? NO_LOAD : loadOf(sumOf(flows.map(({ flow }) => flow)));
}

function clientOf(client: ClientView, flows: Flows, ids: ReadonlyMap<string, string>): Client {
  return {
    id: clientId(client.name),
    name: client.name,
    machine: null,
    state: client.state,
    address: client.address,
    sinceMs: client.sinceMs,
    version: null,
    role: client.role,
    fencedMs: client.fencedMs,
    volumes: client.volumes.flatMap((label) => ids.get(label) ?? []),
    load: loadOfFlows(flows.get(client.name)),
  };
}

function pathsOf({ client, paths }: SessionStatsView, { interfaces }: ServerFacts, server: string): Path[] {
  return paths.map((path) => {
    const own = interfaces.find(({ name }) => name === path.interface);
    const address = own?.address ?? path.interface;
    return {
      id: pathId(clientId(client), path.address, server, address),
      client: clientId(client),
      server,
      interface: null,
      localAddress: path.address,
      address,
      port: own?.port ?? null,
      state: 'up',
      tx: '-',
      rx: '-',
      sinceMs: path.sinceMs,
      lastError: null,
      roundTripMs: null,
      cipher: path.cipher,
      sentBytesPerSecond: null,
      receivedBytesPerSecond: null,
    };
  });
}

function poolOf(pool: PoolView, server: string): Pool {
  const { name, path, state, reason, totalBytes, freeBytes, promisedBytes, limitBytes, reserve, isShort, volumes, removed } = pool;
  const { week: fullInWeekPaceMs, month: fullInMonthPaceMs } = fullInMs(pool);
  const space = { totalBytes, freeBytes, promisedBytes, limitBytes, fullInWeekPaceMs, fullInMonthPaceMs, reserve, isShort };
  return { id: poolId(server, name), name, server, path, state, reason, ...space, volumes, removed };
}

function interfaceState(state: string): 'listening' | 'waiting' | 'off' | 'unknown' {
  return state === 'listening' || state === 'waiting' || state === 'off' ? state : 'unknown';
}

function eventOf(
  { number, atMs, object, from, to, reason }: ServerFacts['events'][number],
  { daemon }: ServerFacts,
  machine: string,
  ids: ReadonlyMap<string, string>,
): Event {
  const id = `${daemon.nodename} ${daemon.startedMs} ${number}`;
  return { id, atMs, machine, object, from, to, reason, href: eventHref(object, serverId(daemon.nodename), ids) };
}

/** Returns the path of the page of an event's object; null if the object has no page. `object`: a text such as `volume oracle@0`. */
function eventHref(object: string, server: string, ids: ReadonlyMap<string, string>): string | null {
  const [, kind, name = ''] = /^(volume|client|pool) (\S+)$/.exec(object) ?? [];
  if (kind === 'client') return hrefOf('client', clientId(name));
  if (kind === 'pool') return hrefOf('pool', poolId(server, name));
  if (kind !== 'volume') return null;
  const { name: volume, universe } = namedVolume(name);
  const id = ids.get(`${volume}@${universe}`);
  return id === undefined ? null : hrefOf('volume', id);
}

function grouped<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}
