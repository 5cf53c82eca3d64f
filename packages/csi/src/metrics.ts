// Counts calls, and shows the counts to Prometheus. Invariant: only names of calls and statuses become labels, never the name of a volume
// or a text of a peer.

import type { Clock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import { Collection } from '@rsio/common/metrics/collection';
import { MetricsEndpoint } from '@rsio/common/metrics/metrics-endpoint';
import type { MetricsAddress } from '@rsio/common/metrics/metrics-server';
import { Histogram } from '@rsio/base/structures/histogram';
import { CSI_METRICS } from './metric-table.ts';
import type { Code } from './rpc/status.ts';

const MS_PER_SECOND = 1_000;
const US_PER_MS = 1_000;

export interface MetricsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'error'>;
  isReady(): Promise<boolean>;
  callsInProgress(): number;
  /** Number of staged volumes; null for the controller. */
  staged(): Promise<number | null>;
}

interface CallFigures {
  readonly byStatus: Map<Code, number>;
  readonly latency: Histogram;
}

export class CsiMetrics {
  private readonly calls = new Map<string, CallFigures>();
  private readonly endpoint: MetricsEndpoint;
  private readonly collection: Collection<typeof CSI_METRICS>;

  constructor(ports: MetricsPorts) {
    const startedMs = ports.clock.wallMs();
    this.collection = new Collection({
      clock: ports.clock,
      table: CSI_METRICS,
      collect: async (out) => {
        out.add('rsio_csi_build_info', 1, programVersion());
        out.add('rsio_csi_start_time_seconds', startedMs / MS_PER_SECOND);
        out.add('rsio_csi_ready', await ports.isReady());
        out.add('rsio_csi_calls_in_progress', ports.callsInProgress());
        out.add('rsio_csi_staged_volumes', await ports.staged());
        for (const [method, { byStatus }] of this.calls)
          for (const [status, count] of byStatus) out.add('rsio_csi_calls_total', count, method, status);
        for (const [method, { latency }] of this.calls) out.addLatency('rsio_csi_call_seconds', latency.figures(), method);
      },
      summarize: (out, leftOut, tookMs) => {
        out.add('rsio_csi_series_left_out', leftOut);
        out.add('rsio_csi_scrape_duration_seconds', tookMs / MS_PER_SECOND);
      },
    });
    this.endpoint = new MetricsEndpoint({ clock: ports.clock, log: ports.log, text: () => this.text() });
  }

  /** Counts a call that has ended. `method`: one of the names in csi.proto. */
  ended(method: string, status: Code, tookMs: number): void {
    let figures = this.calls.get(method);
    if (figures === undefined) this.calls.set(method, (figures = { byStatus: new Map(), latency: new Histogram() }));
    figures.byStatus.set(status, (figures.byStatus.get(status) ?? 0) + 1);
    figures.latency.add(tookMs * US_PER_MS);
  }

  text(): Promise<Buffer> {
    return this.collection.text();
  }

  listen(address: MetricsAddress | null): Promise<void> {
    return this.endpoint.follow(address);
  }

  close(): Promise<void> {
    return this.endpoint.close();
  }
}
