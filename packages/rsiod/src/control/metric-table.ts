// Defines all metrics of rsiod. The table in docs/OPERATING.md and the rules and the dashboard in packaging/ name these metrics, and tests
// compare the names. Invariants: a metric never disappears or changes its meaning within a release series; every label has few values.

import { counter, gauge, histogram } from '@rsio/common/metrics/metric-table';

const PATH = ['namespace', 'server', 'interface', 'path'] as const;
const VOLUME = ['namespace', 'volume'] as const;
const REPLICA = ['namespace', 'volume', 'server'] as const;

/** The metrics are in the order of the answer. The most important metrics come first, so that they are never left out. */
export const CLIENT_METRICS = {
  rsio_client_build_info: gauge('Always 1; the label has the release of rsiod', 'version'),
  rsio_client_start_time_seconds: gauge('When this process of rsiod was started, in seconds since 1970'),
  rsio_client_configuration_timestamp_seconds: gauge('When rsiod read its current configuration, in seconds since 1970'),
  rsio_client_restarts_total: counter('Processes of rsiod that its keeper has replaced, by command or because they ended'),
  rsio_client_server_connected: gauge('1 if the server has a path to this client', 'namespace', 'server'),
  rsio_client_path_up: gauge('1 if the path carries requests; a suspect path does', ...PATH),
  rsio_client_path_state: gauge('Always 1; the label has the state of the path', ...PATH, 'state'),
  rsio_client_path_encrypted: gauge('1 if the path is up and encrypted', ...PATH),
  rsio_client_path_round_trip_seconds: gauge('Round trip of the last heartbeat; absent while the path is down', ...PATH),
  rsio_client_path_retries: gauge('Attempts to connect since the path was last up', ...PATH),
  rsio_client_path_failures_total: counter('How often the path has gone down', ...PATH),
  rsio_client_path_requests_total: counter('Requests sent over the path', ...PATH),
  rsio_client_path_sent_bytes_total: counter('Bytes sent over the path', ...PATH),
  rsio_client_path_received_bytes_total: counter('Bytes received over the path', ...PATH),
  rsio_client_path_unanswered_bytes: gauge('Bytes of requests on the path that are not answered', ...PATH),
  rsio_client_path_resent_requests_total: counter('Requests sent here because another path was silent or had failed', ...PATH),
  rsio_client_path_hedged_requests_total: counter('READs sent here because they were late on another path', ...PATH),
  rsio_client_path_probe_requests_total: counter('Copies of requests sent here to measure the rate of the path', ...PATH),
  rsio_client_path_dropped_answers_total: counter('Answers received here after the result had arrived on another path', ...PATH),
  rsio_client_volumes: gauge('Volumes that are attached'),
  rsio_client_awaited_volumes: gauge('Volumes that were attached before rsiod restarted and are not attached again yet'),
  rsio_client_events_total: counter(
    'Events by what they are about: a path, server, volume, interface, mirror or the configuration',
    'kind',
  ),
  rsio_client_volume_waiting: gauge('1 if the I/O of the volume waits: for a path, for its storage or for space', ...VOLUME),
  rsio_client_volume_waiting_seconds: gauge('For how long the I/O of the volume has waited; 0 if it does not', ...VOLUME),
  rsio_client_volume_size_bytes: gauge('Size of the volume', ...VOLUME),
  rsio_client_volume_log_data_bytes: gauge('Data that is written and not flushed; rsiod keeps it until it is', ...VOLUME),
  rsio_client_volume_log_used_bytes: gauge('Memory of the replay log that is in use', ...VOLUME),
  rsio_client_volume_log_size_bytes: gauge('Memory that the replay log may use; absent if the volume is written through', ...VOLUME),
  rsio_client_volume_log_oldest_seconds: gauge('Age of the oldest write that is not flushed; 0 if there is none', ...VOLUME),
  rsio_client_log_used_bytes: gauge('Memory of all replay logs that is in use'),
  rsio_client_log_limit_bytes: gauge('Memory that all replay logs may use together (log-total)'),
  rsio_client_mirror_replicas: gauge('Replicas of the mirror', ...VOLUME),
  rsio_client_mirror_replicas_in_sync: gauge('Replicas of the mirror that have all its data', ...VOLUME),
  rsio_client_mirror_waits: gauge('1 if the mirror lacks something that rsconfig -m status names', ...VOLUME),
  rsio_client_mirror_term: gauge('Number of the claim by which this client holds the mirror', ...VOLUME),
  rsio_client_mirror_replica_in_sync: gauge('1 if the replica on this server has all data of the mirror', ...REPLICA),
  rsio_client_mirror_replica_connected: gauge('1 if this client has a session with the replica on this server', ...REPLICA),
  rsio_client_mirror_resync_left_bytes: gauge('Bytes that are still to be copied to the replica; absent if it lacks nothing', ...REPLICA),
  rsio_client_mirror_resync_bytes_per_second: gauge('Rate at which data is copied to the replica; absent if nothing is copied', ...REPLICA),
  rsio_client_volume_last_backup_timestamp_seconds: gauge(
    'When the last backup of the volume was complete, in seconds since 1970',
    ...VOLUME,
  ),
  rsio_client_busy_poll_seconds_total: counter('Time that rsiod waited for the next I/O without sleeping (busy-poll)'),
  rsio_client_busy_poll_rests_total: counter('How often busy polling rested because other programs wanted the core'),
  rsio_client_process_resident_memory_bytes: gauge('Memory of rsiod'),
  rsio_client_process_cpu_seconds_total: counter('CPU time of rsiod'),
  rsio_client_volume_operations_total: counter('Requests that have ended', ...VOLUME, 'operation'),
  rsio_client_volume_read_bytes_total: counter('Bytes read', ...VOLUME),
  rsio_client_volume_written_bytes_total: counter('Bytes written', ...VOLUME),
  rsio_client_volume_errors_total: counter('Requests that ended with an error', ...VOLUME),
  rsio_client_volume_outstanding_requests: gauge('Requests that are not answered', ...VOLUME),
  rsio_client_volume_longest_gap_seconds: gauge('Longest time without a completion while requests were outstanding', ...VOLUME),
  rsio_client_volume_latency_seconds: histogram('Time from a request of an application until its answer', ...VOLUME, 'operation'),
  rsio_client_path_latency_seconds: histogram('Time from a request on the path until its answer', ...PATH, 'operation'),
  rsio_client_series_left_out: gauge('Series that this answer lacks, because there are too many'),
  rsio_client_scrape_duration_seconds: gauge('Time that the collection of this answer took'),
} as const;
