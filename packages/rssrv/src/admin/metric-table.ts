// All metrics of rssrv. docs/OPERATING.md has a table of the metrics, and the files in packaging/ have rules and a dashboard that use
// metrics. Tests compare these files with this table. Invariants: a metric never disappears or changes its meaning within a release series.
// Every label has few values, and a peer that has not proved its identity cannot choose a value.

import { counter, gauge, histogram } from '@rsio/common/metrics/metric-table';

/** `direction`: out for volumes that this server replicates, in for followers on this server. */
const REPLICATION_LABELS = ['replication', 'volume', 'peer', 'direction'] as const;

/**
 * The metrics, in the order in which an answer lists them. The most important metrics are at the beginning, because an answer that reaches
 * its maximum length leaves out the last metrics.
 */
export const SERVER_METRICS = {
  rsio_server_build_info: gauge('Always 1; the label has the release of rssrv', 'version'),
  rsio_server_start_time_seconds: gauge('When rssrv was started, in seconds since 1970'),
  rsio_server_configuration_timestamp_seconds: gauge('When rssrv read its current configuration, in seconds since 1970'),
  rsio_server_interface_listening: gauge('1 if rssrv listens on this interface', 'interface'),
  rsio_server_sessions: gauge('Clients that have a session'),
  rsio_server_client_connected: gauge('1 if the client has a session with a path', 'client'),
  rsio_server_client_fenced: gauge('1 if the client is kept out by rsadm client fence', 'client'),
  rsio_server_client_paths: gauge('Paths of the client over this interface', 'client', 'interface'),
  rsio_server_path_requests_total: counter('Requests that came over a path from this address of the client', 'client', 'interface', 'path'),
  rsio_server_client_report_age_seconds: gauge('Age of the figures of this client; it grows while its server process hangs', 'client'),
  rsio_server_client_process_hangs: gauge('1 if the server process of the client hangs in a call to storage', 'client'),
  rsio_server_client_holes_off: gauge('Always 0, because server processes no longer need a helper to punch holes', 'client'),
  rsio_server_waiting_requests: gauge('Requests that wait; kind: space, storage, hold or snapshot', 'client', 'volume', 'kind'),
  rsio_server_waiting_seconds: gauge('For how long they have waited', 'client', 'volume', 'kind'),
  rsio_server_shared_pool_served: gauge('1 if this server owns the shared pool and serves it; one of the owners does', 'pool'),
  rsio_server_shared_pool_generation: gauge('Generation of the shared pool by its record; it grows with each owner', 'pool'),
  rsio_server_shared_pool_owner_silent_seconds: gauge('For how long the owner was not heard; absent if the pool has no owner', 'pool'),
  rsio_server_shared_pool_unfenced_owners: gauge('Earlier owners of the shared pool whose end is not proven yet', 'pool'),
  rsio_server_shared_pool_forced_takes_total: counter(
    'Times that this server took the shared pool although its owner had not given it up',
    'pool',
  ),
  rsio_server_shared_pool_moves_away_total: counter('Times that this server gave the shared pool up by command', 'pool'),
  rsio_server_peer_connected: gauge('1 if this server is connected to the peer, from which it copies volumes', 'peer'),
  rsio_server_peer_paths: gauge('Paths to the peer that are up', 'peer'),
  rsio_server_pool_ready: gauge('1 if the pool can be used. For a shared pool, only the owner shows rsio_server_pool_*', 'pool'),
  rsio_server_pool_size_bytes: gauge('Size of the file system of the pool', 'pool'),
  rsio_server_pool_used_bytes: gauge('Space of the file system of the pool that is in use', 'pool'),
  rsio_server_pool_free_bytes: gauge('Free space of the file system of the pool, with the reserve', 'pool'),
  rsio_server_pool_reserve_bytes: gauge('Space that is kept free; below it, writes that need new space wait', 'pool'),
  rsio_server_pool_short: gauge('1 if less than the reserve is free, so that writes that need new space wait', 'pool'),
  rsio_server_pool_promised_bytes: gauge('Sum of the sizes of the volumes of the pool, also of removed ones', 'pool'),
  rsio_server_pool_limit_bytes: gauge('Most that the volumes of the pool may promise; absent without a limit', 'pool'),
  rsio_server_pool_full_in_seconds: gauge(
    'Time after which the pool has no space above its reserve, at the pace of the last 7 or 30 days; absent if it does not grow, or is unknown',
    'pool',
    'pace',
  ),
  rsio_server_pool_volumes: gauge('Volumes of the pool', 'pool'),
  rsio_server_pool_removed_volumes: gauge('Removed volumes of the pool that can still be restored', 'pool'),
  rsio_server_jobs: gauge('Jobs that the server knows, by their state', 'state'),
  rsio_server_progress_works: gauge('Works of this kind that are in progress: jobs and moments that are replicated', 'kind'),
  rsio_server_progress_waiting_works: gauge('Those that wait for something, which rsadm progress names', 'kind'),
  rsio_server_progress_done_bytes: gauge('What is done of these works together', 'kind'),
  rsio_server_progress_size_bytes: gauge('Size of these works together, as far as it is known', 'kind'),
  rsio_server_events_total: counter('Events by what they are about: a client, volume, pool, mirror, address or the configuration', 'kind'),
  rsio_server_take_overs_total: counter('Volumes that a client has taken over from another one'),
  rsio_server_incarnations_total: counter('Volumes whose storage may have lost acknowledged writes, which clients then sent again'),
  rsio_server_volume_served: gauge('1 if the volume is served', 'volume'),
  rsio_server_volume_size_bytes: gauge('Size of the volume', 'volume'),
  rsio_server_volume_holders: gauge('Clients that hold the volume', 'volume'),
  rsio_server_volume_waits_for_space: gauge('1 if writes to the volume wait because its pool is full', 'volume'),
  rsio_server_volume_snapshots: gauge('Snapshots of the volume', 'volume'),
  rsio_server_volume_last_snapshot_timestamp_seconds: gauge(
    'When the newest snapshot of the volume was made, in seconds since 1970',
    'volume',
  ),
  rsio_server_volume_schedule_failed: gauge('1 if the last snapshot of the schedule of the volume could not be made', 'volume'),
  rsio_server_replication_age_seconds: gauge('Age of the last moment that both servers have; absent if none', ...REPLICATION_LABELS),
  rsio_server_replication_interval_seconds: gauge('Wanted time from one moment of the replication to the next', ...REPLICATION_LABELS),
  rsio_server_replication_backlog_bytes: gauge('Bytes of the moment in progress still to copy or compare', ...REPLICATION_LABELS),
  rsio_server_replication_failing: gauge('1 if the replication fails or the other server is absent', ...REPLICATION_LABELS),
  rsio_server_volume_bridged_reads_total: counter('READs of the volume that its storage failed and an image answered', 'volume'),
  rsio_server_process_resident_memory_bytes: gauge('Memory of the listener process'),
  rsio_server_process_cpu_seconds_total: counter('CPU time of the listener process'),
  rsio_server_worker_processes: gauge('Server processes of clients'),
  rsio_server_worker_resident_memory_bytes: gauge('Memory of the server processes of clients together'),
  rsio_server_worker_cpu_seconds_total: counter('CPU time of the server processes of clients together'),
  rsio_server_volume_operations_total: counter(
    'Requests that have ended, since the session of the client began',
    'client',
    'volume',
    'operation',
  ),
  rsio_server_volume_read_bytes_total: counter('Bytes read, since the session of the client began', 'client', 'volume'),
  rsio_server_volume_written_bytes_total: counter('Bytes written, since the session of the client began', 'client', 'volume'),
  rsio_server_volume_errors_total: counter('Requests that ended with an error, since the session of the client began', 'client', 'volume'),
  rsio_server_volume_outstanding_requests: gauge('Requests in the storage, or waiting', 'client', 'volume'),
  rsio_server_volume_latency_seconds: histogram(
    'Time from the arrival of a request until its answer is ready',
    'client',
    'volume',
    'operation',
  ),
  rsio_server_series_left_out: gauge('Series that this answer lacks, because there are too many'),
  rsio_server_scrape_duration_seconds: gauge('Time that the collection of this answer took'),
} as const;
