// The metrics of rsapp. docs/METRICS.md has the table for readers, and packaging/prometheus has alerts for them.
// Invariant: test/packaging/prometheus.test.ts compares the names.

import { counter, gauge } from '@rsio/common/metrics/metric-table';

const APP = ['application'] as const;

export const APP_METRICS = {
  rsio_app_build_info: gauge('Always 1; the label has the release of rsapp', 'version'),
  rsio_app_start_time_seconds: gauge('When rsapp was started, in seconds since 1970'),
  rsio_app_drained: gauge('1 if this node gives its applications away and takes none'),
  rsio_app_events_total: counter('Events by what they are about: an application or the node', 'kind'),
  rsio_app_application_missing: gauge(
    '1 if the application runs nowhere, although it is wanted or because it has failed on all nodes',
    ...APP,
  ),
  rsio_app_application_failed_nodes: gauge('Nodes of the application where it has failed too often', ...APP),
  rsio_app_application_not_removed: gauge('1 if something of the application cannot be removed from this node', ...APP),
  rsio_app_application_here: gauge('1 if this node holds the first volume of the application', ...APP),
  rsio_app_application_state: gauge(
    'Always 1; the labels have the state as this node sees it, and the node that has it',
    ...APP,
    'state',
    'node',
  ),
  rsio_app_application_since_timestamp_seconds: gauge(
    'When this node has seen the state or the node change, in seconds since 1970',
    ...APP,
  ),
  rsio_app_application_restarts_total: counter('Restarts of the service on this node', ...APP),
  rsio_app_application_failures_total: counter('Failures of the service on this node, and starts that failed', ...APP),
  rsio_app_application_moves_total: counter('Times that this node has seen the application on another node than before', ...APP),
  rsio_app_series_left_out: gauge('Series that were left out of this answer'),
  rsio_app_scrape_duration_seconds: gauge('How long it took to collect these metrics'),
} as const;
