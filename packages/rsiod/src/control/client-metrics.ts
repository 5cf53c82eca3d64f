// Collects the metrics of rsiod and offers them over HTTP. The values are those of the control interface; this file only converts them.
// Invariants: a collection changes nothing and sends nothing to a server. A collection pauses after each volume and each path, so that I/O
// continues during the collection.

import type { GateFrontends } from '../frontends/gate-frontends.ts';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { AoeGateView, BackupView, GateView, PathStats } from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import { CLIENT_WORKS, progressByKind } from '@rsio/api/views/progress';
import type { Progress } from '@rsio/api/views/views';
import { PATH_STATES } from '@rsio/base/lib/path-states';
import { printEndpoint } from '@rsio/base/lib/units';
import { programVersion } from '@rsio/base/lib/version';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import type { Log } from '@rsio/base/log/log';
import { Collection, type Pause } from '@rsio/common/metrics/collection';
import type { Exposition } from '@rsio/common/metrics/exposition';
import type { KindCounts } from '@rsio/common/metrics/kind-counts';
import { MetricsEndpoint } from '@rsio/common/metrics/metrics-endpoint';
import type { Route } from '../network/namespace.ts';
import { isSamePath, joinedPaths } from './joined-stats.ts';
import { CLIENT_METRICS } from './metric-table.ts';
import { type FiguresPorts, joinedFigures, type ProcessFigures, processFigures, type VolumeFigures } from './process-figures.ts';
import { pathStats } from './views.ts';

type Out = Exposition<typeof CLIENT_METRICS>;
type PathLabels = readonly [namespace: string, server: string, interface_: string, path: string];

export interface ClientMetricsPorts extends FiguresPorts {
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly beganMs: number;
  readonly backups: { readonly list: readonly BackupView[] };
  readonly works: { readonly list: readonly Progress[] };
  readonly gates: Pick<GateFrontends, 'views' | 'usedBytes'>;
  readonly current: { readonly sinceMs: number };
  readonly events: Pick<KindCounts, 'byKind'>;
  /** How often the keeper or the main process has replaced a process of rsiod. */
  readonly restarts: () => number;
  /** Resolves with the figures of the data processes. */
  others(): Promise<readonly ProcessFigures[]>;
}

/** The kinds of objects whose events are counted. */
export const EVENT_KINDS = ['path', 'server', 'volume', 'interface', 'mirror', 'configuration'] as const;
const UP_STATES: readonly string[] = ['up', 'suspect'] satisfies readonly (typeof PATH_STATES)[number][];
const MS_PER_SECOND = 1_000;

export class ClientMetrics {
  private readonly ports: ClientMetricsPorts;
  private readonly collection: Collection<typeof CLIENT_METRICS>;
  private readonly endpoint: MetricsEndpoint;

  constructor(ports: ClientMetricsPorts) {
    this.ports = ports;
    this.collection = new Collection({
      clock: ports.clock,
      table: CLIENT_METRICS,
      collect: (out, pause) => this.collect(out, pause),
      summarize: (out, leftOut, tookMs) => {
        out.add('rsio_client_series_left_out', leftOut);
        out.add('rsio_client_scrape_duration_seconds', tookMs / MS_PER_SECOND);
      },
    });
    this.endpoint = new MetricsEndpoint({ ...ports, text: () => this.text() });
  }

  /**
   * Starts the HTTP endpoint, moves it to another address or stops it, as the configuration demands. Resolves when the endpoint has
   * changed. An error is only logged.
   */
  follow({ metrics }: Pick<RscltConfig, 'metrics'>): Promise<void> {
    return this.endpoint.follow(metrics);
  }

  text(): Promise<Buffer> {
    return this.collection.text();
  }

  close(): Promise<void> {
    return this.endpoint.close();
  }

  private async collect(out: Out, pause: Pause): Promise<void> {
    const routes = this.routes();
    const others = await this.ports.others();
    const figures = joinedFigures([await processFigures(this.ports, pause, false), ...others]);
    const elsewhere = others.flatMap(({ paths }) => paths);
    this.addDaemon(out, figures);
    const { gates } = this.ports;
    const views = gates.views();
    for (const gate of views.gates) addGate(out, gate);
    for (const gate of views.aoe) addAoeGate(out, gate);
    if (views.gates.length > 0) out.add('rsio_client_gate_memory_used_bytes', gates.usedBytes);
    const latencies: (() => void)[] = [];
    for (const { route, labels } of routes) {
      latencies.push(addPath(out, route, labels, elsewhere));
      await pause();
    }
    for (const { namespace, atMs, ...volume } of this.ports.backups.list)
      out.add('rsio_client_volume_last_backup_timestamp_seconds', atMs / MS_PER_SECOND, namespace, nameInUniverse(volume));
    const progress = [...figures.volumes.flatMap((volume) => volume.progress), ...this.ports.works.list];
    for (const { kind, works, waiting, doneBytes, sizeBytes } of progressByKind(progress, CLIENT_WORKS)) {
      out.add('rsio_client_progress_works', works, kind);
      out.add('rsio_client_progress_waiting_works', waiting, kind);
      out.add('rsio_client_progress_done_bytes', doneBytes, kind);
      out.add('rsio_client_progress_size_bytes', sizeBytes, kind);
    }
    for (const volume of figures.volumes) {
      addVolume(out, volume);
      if (volume.mirror !== null) addMirror(out, volume, volume.mirror);
      await pause();
    }
    for (const volume of figures.volumes) {
      addCounters(out, volume);
      await pause();
    }
    // Histograms come last, because they have the most series and may be left out of a long answer.
    for (const volume of figures.volumes) {
      addLatencies(out, volume);
      await pause();
    }
    for (const add of latencies) {
      add();
      await pause();
    }
  }

  private routes(): { readonly route: Route; readonly labels: PathLabels }[] {
    return this.ports.namespaces.list.flatMap((namespace) =>
      namespace.routes.map((route) => {
        const { local, remote, port, server, serverName } = route;
        const labels = [namespace.config.name, server?.name ?? serverName, local.name, printEndpoint(remote.address, port)] as const;
        return { route, labels };
      }),
    );
  }

  private addDaemon(out: Out, figures: Omit<ProcessFigures, 'paths'>): void {
    const { beganMs, restarts } = this.ports;
    out.add('rsio_client_build_info', 1, programVersion());
    out.add('rsio_client_start_time_seconds', beganMs / MS_PER_SECOND);
    out.add('rsio_client_configuration_timestamp_seconds', this.ports.current.sinceMs / MS_PER_SECOND);
    out.add('rsio_client_restarts_total', restarts());
    for (const { config, servers } of this.ports.namespaces.list)
      for (const server of servers.values())
        if (server.isProved) out.add('rsio_client_server_connected', server.isConnected, config.name, server.name);
    out.add('rsio_client_volumes', figures.volumes.length);
    out.add('rsio_client_awaited_volumes', figures.awaited);
    for (const [kind, count] of this.ports.events.byKind) out.add('rsio_client_events_total', count, kind);
    out.add('rsio_client_log_used_bytes', figures.logBytes);
    out.add('rsio_client_log_limit_bytes', figures.logLimitBytes);
    out.add('rsio_client_busy_poll_seconds_total', figures.polledMs / MS_PER_SECOND);
    out.add('rsio_client_busy_poll_rests_total', figures.pollRests);
    out.add('rsio_client_process_resident_memory_bytes', figures.residentBytes);
    out.add('rsio_client_process_cpu_seconds_total', figures.cpuSeconds);
  }
}

function addAoeGate(out: Out, { name, interface: place, mac, writes, volumes, hosts, figures }: AoeGateView): void {
  out.add('rsio_client_aoe_gate_answering', mac !== null, name, place);
  out.add('rsio_client_aoe_gate_unsafe_writes', writes === 'unsafe', name);
  out.add('rsio_client_aoe_gate_volumes', volumes.length, name);
  out.add('rsio_client_aoe_gate_hosts', hosts.length, name);
  out.add('rsio_client_aoe_gate_waiting_commands', figures.waiting, name);
  out.add('rsio_client_aoe_gate_commands_total', figures.commands, name);
  out.add('rsio_client_aoe_gate_answers_total', figures.answers, name);
  out.add('rsio_client_aoe_gate_late_writes_total', figures.late, name);
  out.add('rsio_client_aoe_gate_dropped_commands_total', figures.dropped, name);
  out.add('rsio_client_aoe_gate_cuts_total', figures.cut, name);
  out.add('rsio_client_aoe_gate_received_bytes_total', figures.receivedBytes, name);
  out.add('rsio_client_aoe_gate_sent_bytes_total', figures.sentBytes, name);
}

function addGate(out: Out, { name, addresses, listening, volumes, hosts, figures }: GateView): void {
  for (const address of addresses) out.add('rsio_client_gate_listening', listening.includes(address), name, address);
  out.add('rsio_client_gate_volumes', volumes.length, name);
  out.add('rsio_client_gate_hosts', hosts.length, name);
  out.add('rsio_client_gate_connections', figures.connections, name);
  out.add('rsio_client_gate_waiting_commands', figures.waiting, name);
  out.add('rsio_client_gate_waiting_seconds', figures.waitedMs / MS_PER_SECOND, name);
  out.add('rsio_client_gate_commands_total', figures.commands, name);
  out.add('rsio_client_gate_received_bytes_total', figures.receivedBytes, name);
  out.add('rsio_client_gate_sent_bytes_total', figures.sentBytes, name);
  out.add('rsio_client_gate_refused_connections_total', figures.refused, name);
  out.add('rsio_client_gate_cut_connections_total', figures.cut, name);
}

function addVolume(out: Out, { waitedMs, sizeBytes, log, ...volume }: VolumeFigures): void {
  const labels = labelsOf(volume);
  out.add('rsio_client_volume_waiting', waitedMs !== null, ...labels);
  out.add('rsio_client_volume_waiting_seconds', (waitedMs ?? 0) / MS_PER_SECOND, ...labels);
  out.add('rsio_client_volume_size_bytes', sizeBytes, ...labels);
  if (log === null) return;
  out.add('rsio_client_volume_log_data_bytes', log.dataBytes, ...labels);
  out.add('rsio_client_volume_log_used_bytes', log.usedBytes, ...labels);
  out.add('rsio_client_volume_log_size_bytes', log.sizeBytes, ...labels);
  out.add('rsio_client_volume_log_oldest_seconds', log.oldestMs / MS_PER_SECOND, ...labels);
}

function labelsOf({ namespace, volume }: Pick<VolumeFigures, 'namespace' | 'volume'>): readonly [namespace: string, volume: string] {
  return [namespace, volume];
}

/**
 * Adds the state of a path, and its counters summed over all processes. Returns a function that adds the histograms. `elsewhere`: the paths
 * of the data processes.
 */
function addPath(out: Out, route: Route, labels: PathLabels, elsewhere: readonly PathStats[]): () => void {
  const { state, path } = route.supervisor;
  const own = pathStats(route);
  const [totals = own] = joinedPaths([[own], elsewhere.filter((one) => isSamePath(one, own))]);
  out.add('rsio_client_path_up', UP_STATES.includes(state), ...labels);
  out.add('rsio_client_path_state', 1, ...labels, state);
  out.add('rsio_client_path_encrypted', (path?.connection.transport.cipher ?? null) !== null, ...labels);
  out.add('rsio_client_path_round_trip_seconds', totals.roundTripMs === null ? null : totals.roundTripMs / MS_PER_SECOND, ...labels);
  out.add('rsio_client_path_retries', route.supervisor.retries, ...labels);
  out.add('rsio_client_path_failures_total', totals.deaths, ...labels);
  out.add('rsio_client_path_requests_total', totals.requests, ...labels);
  out.add('rsio_client_path_sent_bytes_total', totals.sentBytes, ...labels);
  out.add('rsio_client_path_received_bytes_total', totals.receivedBytes, ...labels);
  out.add('rsio_client_path_unanswered_bytes', totals.unansweredBytes, ...labels);
  out.add('rsio_client_path_resent_requests_total', totals.resent, ...labels);
  out.add('rsio_client_path_hedged_requests_total', totals.hedged, ...labels);
  out.add('rsio_client_path_probe_requests_total', totals.probed, ...labels);
  out.add('rsio_client_path_dropped_answers_total', totals.dropped, ...labels);
  return () => {
    out.addLatency('rsio_client_path_latency_seconds', totals.readLatency, ...labels, 'read');
    out.addLatency('rsio_client_path_latency_seconds', totals.writeLatency, ...labels, 'write');
  };
}

function addMirror(out: Out, volume: VolumeFigures, { term, waitsFor, replicas }: AttachedMirrorView): void {
  const labels = labelsOf(volume);
  out.add('rsio_client_mirror_replicas', replicas.length, ...labels);
  out.add('rsio_client_mirror_replicas_in_sync', replicas.filter(({ state }) => state === 'in sync').length, ...labels);
  out.add('rsio_client_mirror_waits', waitsFor !== null, ...labels);
  out.add('rsio_client_mirror_term', term, ...labels);
  for (const { server, state, isOpen, leftBytes, bytesPerSecond } of replicas) {
    out.add('rsio_client_mirror_replica_in_sync', state === 'in sync', ...labels, server);
    out.add('rsio_client_mirror_replica_connected', isOpen, ...labels, server);
    out.add('rsio_client_mirror_resync_left_bytes', leftBytes, ...labels, server);
    out.add('rsio_client_mirror_resync_bytes_per_second', bytesPerSecond, ...labels, server);
  }
}

function addCounters(out: Out, { stats, ...volume }: VolumeFigures): void {
  const labels = labelsOf(volume);
  const counts = { read: stats.reads, write: stats.writes, flush: stats.flushes, discard: stats.discards, zero: stats.zeroes };
  for (const [operation, count] of Object.entries(counts)) out.add('rsio_client_volume_operations_total', count, ...labels, operation);
  out.add('rsio_client_volume_read_bytes_total', stats.readBytes, ...labels);
  out.add('rsio_client_volume_written_bytes_total', stats.writtenBytes, ...labels);
  out.add('rsio_client_volume_errors_total', stats.errors, ...labels);
  out.add('rsio_client_volume_outstanding_requests', stats.outstanding, ...labels);
  out.add('rsio_client_volume_longest_gap_seconds', stats.longestGapMs / MS_PER_SECOND, ...labels);
}

function addLatencies(out: Out, { stats, ...volume }: VolumeFigures): void {
  const latencies = { read: stats.readLatency, write: stats.writeLatency, flush: stats.flushLatency };
  for (const [operation, latency] of Object.entries(latencies))
    out.addLatency('rsio_client_volume_latency_seconds', latency, ...labelsOf(volume), operation);
}
