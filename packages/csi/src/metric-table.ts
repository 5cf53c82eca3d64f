// The metrics of rsio-csi. docs/METRICS.md has the table for readers.
// Invariant: test/packaging/prometheus.test.ts compares both tables.

import { counter, gauge, histogram } from '@rsio/common/metrics/metric-table';

export const CSI_METRICS = {
  rsio_csi_build_info: gauge('Always 1; the label has the release of rsio-csi', 'version'),
  rsio_csi_start_time_seconds: gauge('When rsio-csi was started, in seconds since 1970'),
  rsio_csi_ready: gauge('1 if rsiod answers'),
  rsio_csi_calls_in_progress: gauge('Calls of the orchestrator that are in progress'),
  rsio_csi_staged_volumes: gauge('Volumes that are staged on this node; absent for the controller'),
  rsio_csi_calls_total: counter('Calls that have ended, by their name and status', 'operation', 'state'),
  rsio_csi_call_seconds: histogram('Duration of calls', 'operation'),
  rsio_csi_series_left_out: gauge('Series that were left out of this answer'),
  rsio_csi_scrape_duration_seconds: gauge('How long it took to collect these metrics'),
} as const;
