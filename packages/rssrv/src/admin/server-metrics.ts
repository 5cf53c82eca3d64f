// Offers the metrics of rssrv, and computes them from values of the control interface. Invariants: making the metrics accesses no disk; a
// server process that hangs delays an answer by at most FIGURES_WAIT_MS, and another metric shows how old the figures of that process are.

import type { RssrvConfig, ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { PoolView } from '@rsio/common/control/server/views';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import { usageOf } from '@rsio/common/daemon/process-facts';
import type { Clock } from '@rsio/common/lib/clock';
import { programVersion } from '@rsio/common/lib/version';
import type { Log } from '@rsio/common/log/log';
import { Collection, type Pause } from '@rsio/common/metrics/collection';
import type { Exposition } from '@rsio/common/metrics/exposition';
import { MetricsEndpoint } from '@rsio/common/metrics/metrics-endpoint';
import { nameInUniverse } from '@rsio/common/lib/volume-name';
import type { JobRecord } from '../jobs/job-record.ts';
import type { ScheduleState } from '../snapshots/schedule-runner.ts';
import { EventCounts } from './event-counts.ts';
import { SERVER_METRICS } from './metric-table.ts';
import { WorkerUsage } from './worker-usage.ts';

type Out = Exposition<typeof SERVER_METRICS>;
type Stats = ServerMethods['stats']['result'];
type SessionStats = Stats['sessions'][number];
type VolumeStats = SessionStats['volumes'][number];

export interface ServerMetricsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly startedMs: number;
  config(): RssrvConfig;
  configuredMs(): number;
  statistics(): Promise<Stats>;
  sessions(): readonly { readonly node: string; readonly isSilent: boolean }[];
  isFenced(client: string): boolean;
  isListening(one: ServerInterfaceConfig): boolean;
  pools(): readonly PoolView[];
  statusOf(volume: ServerVolumeConfig): VolumeStatus;
  /** For a volume of a pool, returns the times of its snapshots, and its schedule; null for a volume that is in no pool. */
  snapshotsOf(volume: ServerVolumeConfig): { readonly createdMs: readonly number[]; readonly schedule: ScheduleState | null } | null;
  jobs(): readonly Pick<JobRecord, 'state'>[];
  workerPids(): readonly number[];
}

/** `sizeBytes` is null if the volume is not served. */
interface VolumeStatus {
  readonly sizeBytes: number | null;
  readonly holders: readonly unknown[];
  readonly waitsForSpace: boolean;
  readonly bridged?: { readonly reads: number } | null;
}

const JOB_STATES = ['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled'] as const satisfies readonly JobRecord['state'][];
const MS_PER_SECOND = 1_000;
const US_PER_SECOND = 1e6;

export class ServerMetrics {
  private readonly ports: ServerMetricsPorts;
  private readonly collection: Collection<typeof SERVER_METRICS>;
  private readonly endpoint: MetricsEndpoint;
  readonly events = new EventCounts();
  private readonly workers = new WorkerUsage(usageOf);

  constructor(ports: ServerMetricsPorts) {
    this.ports = ports;
    this.collection = new Collection({
      clock: ports.clock,
      table: SERVER_METRICS,
      collect: (out, pause) => this.collect(out, pause),
      summarize: (out, leftOut, tookMs) => {
        out.add('rsio_server_series_left_out', leftOut);
        out.add('rsio_server_scrape_duration_seconds', tookMs / MS_PER_SECOND);
      },
    });
    this.endpoint = new MetricsEndpoint({ ...ports, text: () => this.text() });
  }

  /** Offers the metrics at the configured address. If that fails, writes a log line. Resolves in both cases. */
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
    const { ports } = this;
    const stats = await ports.statistics();
    this.addServer(out);
    this.addClients(out, stats);
    addWaits(out, stats, ports.clock.wallMs());
    for (const pool of ports.pools()) addPool(out, pool);
    this.addCounts(out);
    this.addProcesses(out);
    for (const volume of ports.config().volumes) {
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
    const { ports } = this;
    out.add('rsio_server_build_info', 1, programVersion());
    out.add('rsio_server_start_time_seconds', ports.startedMs / MS_PER_SECOND);
    out.add('rsio_server_configuration_timestamp_seconds', ports.configuredMs() / MS_PER_SECOND);
    for (const one of ports.config().interfaces) out.add('rsio_server_interface_listening', ports.isListening(one), one.name);
  }

  private addClients(out: Out, { sessions }: Stats): void {
    const { ports } = this;
    const alive = new Set(ports.sessions().flatMap(({ node, isSilent }) => (isSilent ? [] : [node])));
    out.add('rsio_server_sessions', sessions.length);
    for (const { name } of ports.config().clients) {
      out.add('rsio_server_client_connected', alive.has(name), name);
      out.add('rsio_server_client_fenced', ports.isFenced(name), name);
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
    const jobs = this.ports.jobs();
    for (const state of JOB_STATES) out.add('rsio_server_jobs', jobs.filter((job) => job.state === state).length, state);
    for (const [kind, count] of events.byKind) out.add('rsio_server_events_total', count, kind);
    out.add('rsio_server_take_overs_total', events.takeOvers);
    out.add('rsio_server_incarnations_total', events.incarnations);
  }

  private addVolume(out: Out, volume: ServerVolumeConfig): void {
    const name = nameInUniverse(volume);
    const { sizeBytes, holders, waitsForSpace, bridged } = this.ports.statusOf(volume);
    const snapshots = this.ports.snapshotsOf(volume);
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
    const pids = this.ports.workerPids();
    const { cpuSeconds, memoryBytes } = this.workers.look(pids);
    const { user, system } = process.cpuUsage();
    out.add('rsio_server_process_resident_memory_bytes', process.memoryUsage.rss());
    out.add('rsio_server_process_cpu_seconds_total', (user + system) / US_PER_SECOND);
    out.add('rsio_server_worker_processes', pids.length);
    out.add('rsio_server_worker_resident_memory_bytes', memoryBytes);
    out.add('rsio_server_worker_cpu_seconds_total', cpuSeconds);
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

/** Adds up the requests of all paths with the same interface and address, because a path and its replacement share both. */
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
