// Offers the metrics of rssrv, and computes them from values of the control interface. Invariants: making the metrics accesses no disk; a
// worker that hangs delays an answer by at most FIGURES_WAIT_MS, and another metric shows how old the figures of that process are.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { fullInMs } from '@rsio/api/views/capacity';
import { progressByKind, progressOfServer, SERVER_WORKS } from '@rsio/api/views/progress';
import type { JobView, PoolView, ReplicationView } from '@rsio/api/views/views';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { usageOf } from '@rsio/base/daemon/process-facts';
import { programVersion } from '@rsio/base/lib/version';
import { Collection, type Pause } from '@rsio/common/metrics/collection';
import type { Exposition } from '@rsio/common/metrics/exposition';
import { MetricsEndpoint } from '@rsio/common/metrics/metrics-endpoint';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import type { Farms } from '../farm/farms.ts';
import type { SharedPool } from '../farm/shared-pool.ts';
import type { JobService } from '../jobs/service/job-service.ts';
import type { Peers } from '../replication/peers/peers.ts';
import type { PoolPaces } from '../pools/space/pool-paces.ts';
import type { Pools } from '../pools/pools.ts';
import type { Fences } from '../volumes/fences.ts';
import { EventCounts } from './event-counts.ts';
import type { Inventory } from './inventory.ts';
import { SERVER_METRICS } from './metric-table.ts';
import type { ObservedServer } from './observing-handlers.ts';
import { poolView } from './server-views.ts';
import { WorkerUsage } from './worker-usage.ts';

type Out = Exposition<typeof SERVER_METRICS>;
type Stats = ServerMethods['stats']['result'];
type SessionStats = Stats['sessions'][number];
type VolumeStats = SessionStats['volumes'][number];

const JOB_STATES = ['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled'] as const satisfies readonly JobView['state'][];
const MS_PER_SECOND = 1_000;
const US_PER_SECOND = 1e6;

export interface ServerMetricsPorts {
  readonly server: ObservedServer & { readonly farms: Farms; readonly peers: Pick<Peers, 'states'> };
  readonly pools: Pools;
  readonly paces: Pick<PoolPaces, 'of'>;
  readonly inventory: Inventory;
  readonly fences: Fences;
  readonly jobs: Pick<JobService, 'views'>;
  readonly startedMs: number;
  /** The replications from this server and to it. */
  replications(): readonly ReplicationView[];
}

export class ServerMetrics {
  private readonly ports: ServerMetricsPorts;
  private readonly collection: Collection<typeof SERVER_METRICS>;
  private readonly endpoint: MetricsEndpoint;
  readonly events = new EventCounts();
  private readonly workers = new WorkerUsage(usageOf);

  constructor(ports: ServerMetricsPorts) {
    const { server } = ports;
    this.ports = ports;
    this.collection = new Collection({
      clock: server.clock,
      table: SERVER_METRICS,
      collect: (out, pause) => this.collect(out, pause),
      summarize: (out, leftOut, tookMs) => {
        out.add('rsio_server_series_left_out', leftOut);
        out.add('rsio_server_scrape_duration_seconds', tookMs / MS_PER_SECOND);
      },
    });
    this.endpoint = new MetricsEndpoint({ clock: server.clock, log: server.log, text: () => this.text() });
  }

  /** Offers the metrics at the configured address. A failure is logged, and the promise resolves. */
  follow({ server: { metrics } }: Pick<RssrvConfig, 'server'>): Promise<void> {
    return this.endpoint.follow(metrics);
  }

  text(): Promise<Buffer> {
    return this.collection.text();
  }

  close(): Promise<void> {
    return this.endpoint.close();
  }

  private async collect(out: Out, pause: Pause): Promise<void> {
    const { server, pools, paces } = this.ports;
    const stats = await server.statistics();
    this.addServer(out);
    this.addClients(out, stats);
    addWaits(out, stats, server.clock.wallMs());
    for (const pool of server.farms.list) addSharedPool(out, pool);
    // Only the owner of a shared pool reports the figures of the pool.
    for (const pool of pools.states)
      if (server.farms.away(pool) === null)
        addPool(out, poolView(pool, pools.states, { space: pools.space.of(pool), pace: paces.of(pool) }, null));
    this.addCounts(out);
    const replications = this.ports.replications();
    for (const one of replications) addReplication(out, one);
    for (const { kind, works, waiting, doneBytes, sizeBytes } of progressByKind(
      progressOfServer(this.ports.jobs.views, replications),
      SERVER_WORKS,
    )) {
      out.add('rsio_server_progress_works', works, kind);
      out.add('rsio_server_progress_waiting_works', waiting, kind);
      out.add('rsio_server_progress_done_bytes', doneBytes, kind);
      out.add('rsio_server_progress_size_bytes', sizeBytes, kind);
    }
    this.addProcesses(out);
    for (const volume of server.config().volumes) {
      this.addVolume(out, volume);
      await pause();
    }
    for (const { client, volumes } of stats.sessions) {
      for (const volume of volumes) {
        addCounters(out, client, volume);
        await pause();
      }
    }
    // The latency metrics come last, because they have the most series.
    for (const { client, volumes } of stats.sessions) {
      for (const { volume, readLatency, writeLatency, flushLatency } of volumes) {
        out.addLatency('rsio_server_volume_latency_seconds', readLatency, client, volume, 'read');
        out.addLatency('rsio_server_volume_latency_seconds', writeLatency, client, volume, 'write');
        out.addLatency('rsio_server_volume_latency_seconds', flushLatency, client, volume, 'flush');
        await pause();
      }
    }
  }

  private addServer(out: Out): void {
    const { server, startedMs } = this.ports;
    out.add('rsio_server_build_info', 1, programVersion());
    out.add('rsio_server_start_time_seconds', startedMs / MS_PER_SECOND);
    out.add('rsio_server_configuration_timestamp_seconds', server.configuredMs() / MS_PER_SECOND);
    for (const one of server.config().interfaces) out.add('rsio_server_interface_listening', server.isListening(one), one.name);
    for (const { name, isConnected, pathsUp } of server.peers.states) {
      out.add('rsio_server_peer_connected', isConnected, name);
      out.add('rsio_server_peer_paths', pathsUp, name);
    }
  }

  private addClients(out: Out, { sessions }: Stats): void {
    const { server, fences } = this.ports;
    const alive = new Set(server.sessions().flatMap(({ node, isSilent }) => (isSilent ? [] : [node])));
    out.add('rsio_server_sessions', sessions.length);
    for (const { name } of server.config().clients) {
      out.add('rsio_server_client_connected', alive.has(name), name);
      out.add('rsio_server_client_fenced', fences.get(name) !== null, name);
    }
    for (const { client, ageMs, isBlocked, holesOff, paths } of sessions) {
      out.add('rsio_server_client_report_age_seconds', ageMs === null ? null : ageMs / MS_PER_SECOND, client);
      out.add('rsio_server_client_process_hangs', isBlocked, client);
      out.add('rsio_server_client_holes_off', holesOff, client);
      addPaths(out, client, paths);
    }
  }

  private addCounts(out: Out): void {
    const { events } = this;
    const jobs = this.ports.jobs.views;
    for (const state of JOB_STATES) out.add('rsio_server_jobs', jobs.filter((job) => job.state === state).length, state);
    for (const [kind, count] of events.byKind) out.add('rsio_server_events_total', count, kind);
    out.add('rsio_server_take_overs_total', events.takeOvers);
    out.add('rsio_server_incarnations_total', events.incarnations);
  }

  private addVolume(out: Out, volume: ServerVolumeConfig): void {
    const name = nameInUniverse(volume);
    const { sizeBytes, holders, waitsForSpace, bridged } = this.ports.server.statusOf(volume);
    const snapshots = this.ports.inventory.snapshotTimes(volume);
    out.add('rsio_server_volume_served', sizeBytes !== null, name);
    out.add('rsio_server_volume_size_bytes', sizeBytes, name);
    out.add('rsio_server_volume_holders', holders.length, name);
    out.add('rsio_server_volume_waits_for_space', waitsForSpace, name);
    if (bridged !== null && bridged !== undefined) out.add('rsio_server_volume_bridged_reads_total', bridged.reads, name);
    if (snapshots === null) return;
    const lastMs = snapshots.createdMs.length === 0 ? null : Math.max(...snapshots.createdMs);
    out.add('rsio_server_volume_snapshots', snapshots.createdMs.length, name);
    out.add('rsio_server_volume_last_snapshot_timestamp_seconds', lastMs === null ? null : lastMs / MS_PER_SECOND, name);
    if (snapshots.schedule !== null) out.add('rsio_server_volume_schedule_failed', snapshots.schedule.failedMs !== null, name);
  }

  private addProcesses(out: Out): void {
    const { pids } = this.ports.server.workers;
    const { cpuSeconds, memoryBytes } = this.workers.look(pids);
    const { user, system } = process.cpuUsage();
    out.add('rsio_server_process_resident_memory_bytes', process.memoryUsage.rss());
    out.add('rsio_server_process_cpu_seconds_total', (user + system) / US_PER_SECOND);
    out.add('rsio_server_worker_processes', pids.length);
    out.add('rsio_server_worker_resident_memory_bytes', memoryBytes);
    out.add('rsio_server_worker_cpu_seconds_total', cpuSeconds);
  }
}

function addSharedPool(out: Out, pool: SharedPool): void {
  const { name, counts } = pool;
  const { ownership, sight } = pool.status;
  const record = sight?.record ?? null;
  const owner = record?.owner ?? null;
  out.add('rsio_server_shared_pool_served', ownership !== null, name);
  out.add('rsio_server_shared_pool_generation', record?.generation ?? null, name);
  out.add('rsio_server_shared_pool_owner_silent_seconds', owner === null ? null : pool.silentMs(owner.server) / MS_PER_SECOND, name);
  out.add('rsio_server_shared_pool_unfenced_owners', record?.writers.length ?? null, name);
  out.add('rsio_server_shared_pool_forced_takes_total', counts.forcedTakes, name);
  out.add('rsio_server_shared_pool_moves_away_total', counts.movesAway, name);
}

function addReplication(out: Out, view: ReplicationView): void {
  const { id, direction, peer, volumes, state, ageMs, everyMs, doneBytes, totalBytes } = view;
  for (const volume of volumes) {
    const labels = [id, nameInUniverse(volume), peer, direction] as const;
    out.add('rsio_server_replication_age_seconds', ageMs === null ? null : ageMs / MS_PER_SECOND, ...labels);
    out.add('rsio_server_replication_interval_seconds', everyMs === 0 ? null : everyMs / MS_PER_SECOND, ...labels);
    out.add('rsio_server_replication_backlog_bytes', Math.max(0, totalBytes - doneBytes), ...labels);
    out.add('rsio_server_replication_failing', state === 'failing' || state === 'absent', ...labels);
  }
}

function addPool(out: Out, view: PoolView): void {
  const { name, totalBytes, freeBytes } = view;
  out.add('rsio_server_pool_ready', view.state === 'ready', name);
  out.add('rsio_server_pool_size_bytes', totalBytes, name);
  out.add('rsio_server_pool_used_bytes', totalBytes === null || freeBytes === null ? null : totalBytes - freeBytes, name);
  out.add('rsio_server_pool_free_bytes', freeBytes, name);
  out.add('rsio_server_pool_reserve_bytes', totalBytes === null ? null : Math.round(totalBytes * view.reserve), name);
  out.add('rsio_server_pool_short', view.isShort, name);
  out.add('rsio_server_pool_promised_bytes', view.promisedBytes, name);
  out.add('rsio_server_pool_limit_bytes', view.limitBytes, name);
  const { week, month } = fullInMs(view);
  out.add('rsio_server_pool_full_in_seconds', week === null ? null : week / MS_PER_SECOND, name, '7d');
  out.add('rsio_server_pool_full_in_seconds', month === null ? null : month / MS_PER_SECOND, name, '30d');
  out.add('rsio_server_pool_volumes', view.volumes, name);
  out.add('rsio_server_pool_removed_volumes', view.removed, name);
}

function addWaits(out: Out, { waits }: Stats, wallMs: number): void {
  for (const { client, volume, why, requests, sinceMs } of waits) {
    out.add('rsio_server_waiting_requests', requests, client, volume, why);
    out.add('rsio_server_waiting_seconds', Math.max(0, wallMs - sinceMs) / MS_PER_SECOND, client, volume, why);
  }
}

function addCounters(out: Out, client: string, stats: VolumeStats): void {
  const { volume } = stats;
  const counts = { read: stats.reads, write: stats.writes, flush: stats.flushes, discard: stats.discards, zero: stats.zeroes };
  for (const [operation, count] of Object.entries(counts)) out.add('rsio_server_volume_operations_total', count, client, volume, operation);
  out.add('rsio_server_volume_read_bytes_total', stats.readBytes, client, volume);
  out.add('rsio_server_volume_written_bytes_total', stats.writtenBytes, client, volume);
  out.add('rsio_server_volume_errors_total', stats.errors, client, volume);
  out.add('rsio_server_volume_outstanding_requests', stats.outstanding, client, volume);
}

/** Adds up the requests of all paths with the same interface and address, because a path and its replacement have the same labels. */
function addPaths(out: Out, client: string, paths: SessionStats['paths']): void {
  const counts = new Map<string, number>();
  const requests = new Map<string, { readonly ends: readonly [string, string]; count: number }>();
  for (const path of paths) {
    counts.set(path.interface, (counts.get(path.interface) ?? 0) + 1);
    const key = `${path.interface} ${path.address}`;
    const same = requests.get(key);
    if (same === undefined) requests.set(key, { ends: [path.interface, path.address], count: path.requests });
    else same.count += path.requests;
  }
  for (const [name, count] of counts) out.add('rsio_server_client_paths', count, client, name);
  for (const { ends, count } of requests.values()) out.add('rsio_server_path_requests_total', count, client, ...ends);
}
