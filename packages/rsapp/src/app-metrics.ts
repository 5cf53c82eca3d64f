// Shows the applications of this node to Prometheus. Invariants: a collection sends no requests, and shows what the last looks have found;
// only names of the configuration become labels.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import { Collection } from '@rsio/common/metrics/collection';
import type { Exposition } from '@rsio/common/metrics/exposition';
import { KindCounts } from '@rsio/common/metrics/kind-counts';
import { MetricsEndpoint } from '@rsio/common/metrics/metrics-endpoint';
import { APP_METRICS } from './metric-table.ts';
import type { AppFigures } from './runner/app-news.ts';

const MS_PER_SECOND = 1_000;

export interface AppMetricsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'error'>;
  isDrained(): boolean;
  node(): string;
  figures(): readonly (ApplicationView & AppFigures)[];
}

export class AppMetrics {
  readonly events = new KindCounts(['application', 'node']);
  private readonly ports: AppMetricsPorts;
  private readonly endpoint: MetricsEndpoint;
  private readonly collection: Collection<typeof APP_METRICS>;
  private readonly startedMs: number;

  constructor(ports: AppMetricsPorts) {
    this.ports = ports;
    this.startedMs = ports.clock.wallMs();
    this.collection = new Collection({
      clock: ports.clock,
      table: APP_METRICS,
      collect: async (out, pause) => {
        this.addDaemon(out);
        for (const one of ports.figures()) {
          addApplication(out, one, ports.node());
          await pause();
        }
      },
      summarize: (out, leftOut, tookMs) => {
        out.add('rsio_app_series_left_out', leftOut);
        out.add('rsio_app_scrape_duration_seconds', tookMs / MS_PER_SECOND);
      },
    });
    this.endpoint = new MetricsEndpoint({ ...ports, text: () => this.text() });
  }

  text(): Promise<Buffer> {
    return this.collection.text();
  }

  /** Resolves when the endpoint has changed. An error is only logged. */
  follow({ appMetrics }: Pick<RscltConfig, 'appMetrics'>): Promise<void> {
    return this.endpoint.follow(appMetrics);
  }

  close(): Promise<void> {
    return this.endpoint.close();
  }

  private addDaemon(out: Exposition<typeof APP_METRICS>): void {
    out.add('rsio_app_build_info', 1, programVersion());
    out.add('rsio_app_start_time_seconds', this.startedMs / MS_PER_SECOND);
    out.add('rsio_app_drained', this.ports.isDrained());
    for (const [kind, count] of this.events.byKind) out.add('rsio_app_events_total', count, kind);
  }
}

function addApplication(out: Exposition<typeof APP_METRICS>, one: ApplicationView & AppFigures, node: string): void {
  const { name, state, on, sinceMs } = one;
  out.add('rsio_app_application_missing', one.isMissing, name);
  out.add('rsio_app_application_failed_nodes', one.failedNodes, name);
  out.add('rsio_app_application_not_removed', one.remains, name);
  out.add('rsio_app_application_here', on === node, name);
  out.add('rsio_app_application_state', 1, name, state, on ?? '');
  out.add('rsio_app_application_since_timestamp_seconds', sinceMs / MS_PER_SECOND, name);
  out.add('rsio_app_application_restarts_total', one.restarts, name);
  out.add('rsio_app_application_failures_total', one.failures, name);
  out.add('rsio_app_application_moves_total', one.moves, name);
}
