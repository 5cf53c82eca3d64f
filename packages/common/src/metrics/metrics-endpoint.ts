// Serves the metrics of a daemon at the configured address, if an address is configured. A reload may change the address. Invariants: an
// unusable address never stops the daemon. The daemon reports the address once, with a remedy, and tries to use it again later.

import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { METRICS_LISTEN_RETRY_MS } from './limits.ts';
import { type MetricsAddress, MetricsServer } from './metrics-server.ts';

export interface MetricsEndpointPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'error'>;
  text(): Promise<Buffer>;
}

export class MetricsEndpoint {
  private readonly ports: MetricsEndpointPorts;
  private wanted: MetricsAddress | null = null;
  private server: MetricsServer | null = null;
  private retry: Timer | null = null;
  /** Reason why requests cannot be answered; null if requests can be answered. */
  private failure: string | null = null;
  /** Settles when all changes that were requested so far are made. Changes are made one after another. */
  private turn: Promise<void> = Promise.resolve();

  constructor(ports: MetricsEndpointPorts) {
    this.ports = ports;
  }

  /** Serves the metrics at this address. If `config` is null, serves no metrics. Resolves after success or failure. Never rejects. */
  follow(config: MetricsAddress | null): Promise<void> {
    if (isDeepStrictEqual(config, this.wanted)) return this.turn;
    this.wanted = config;
    this.retry?.cancel();
    this.retry = null;
    this.turn = this.turn.then(() => this.move(true));
    return this.turn;
  }

  close(): Promise<void> {
    return this.follow(null);
  }

  private async move(isFirst: boolean): Promise<void> {
    const { wanted } = this;
    if (isDeepStrictEqual(this.server?.config ?? null, wanted)) return;
    this.server?.close();
    this.server = null;
    if (wanted === null) return;
    try {
      const server = new MetricsServer(
        wanted,
        this.ports.clock,
        () => this.text(),
        (error) => this.failed(error),
      );
      await server.listen();
      if (this.wanted === wanted) this.server = server;
      else server.close();
      this.ports.log.info(`Metrics are offered on http://${printEndpoint(wanted.address, wanted.port)}/metrics`);
    } catch (thrown) {
      const { message, code } = toRsError(thrown);
      if (isFirst) this.ports.log.error(`${message}; rsio tries again every ${METRICS_LISTEN_RETRY_MS / 1_000} s [${code}]`);
      this.tryAgain(wanted);
    }
  }

  private tryAgain(wanted: MetricsAddress): void {
    if (this.wanted !== wanted) return;
    this.retry = this.ports.clock.after(METRICS_LISTEN_RETRY_MS, () => {
      this.turn = this.turn.then(() => this.move(false));
    });
  }

  private async text(): Promise<Buffer> {
    const text = await this.ports.text();
    this.failure = null;
    return text;
  }

  /** Logs each reason once, because readers send requests again and again. */
  private failed({ message, code }: RsError): void {
    if (this.failure === message) return;
    this.failure = message;
    this.ports.log.error(`Metrics: ${message} [${code}]`);
  }
}
