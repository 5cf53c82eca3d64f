// Collects the metrics of a daemon on request. Invariants: one collection runs at a time, and all requests that arrive during a collection
// get the text of this collection. The work is divided into slices, so that the I/O of the process continues. Two collections are at least
// COLLECT_INTERVAL_MS apart.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { Exposition } from './exposition.ts';
import { COLLECT_INTERVAL_MS, COLLECT_MAX_MS, SERIES_MAX, SLICE_MS } from './limits.ts';
import type { MetricTable } from './metric-table.ts';

/** Lets the I/O of the process continue if this collection has delayed it. Must be called after each volume, path or pool. */
export type Pause = () => Promise<void>;

export interface CollectionPorts<T extends MetricTable> {
  readonly clock: Clock;
  readonly table: T;
  /** Adds all metrics to the exposition, the most important ones first. */
  collect(exposition: Exposition<T>, pause: Pause): Promise<void>;
  /** Adds metrics about the collection: the number of omitted series, and its duration. */
  summarize(exposition: Exposition<T>, leftOut: number, tookMs: number): void;
}

/** Maximum number of series that `summarize` may add. */
const SUMMARY_SERIES = 2;

export class Collection<T extends MetricTable> {
  private readonly ports: CollectionPorts<T>;
  private running: Promise<Buffer> | null = null;
  private last: { readonly text: Buffer; readonly atMs: number } | null = null;

  constructor(ports: CollectionPorts<T>) {
    this.ports = ports;
  }

  /** Returns the text of all metrics. Throws E_TIMEOUT if the collection takes too long. */
  text(): Promise<Buffer> {
    const { last, ports } = this;
    if (last !== null && ports.clock.monotonicMs() - last.atMs < COLLECT_INTERVAL_MS) return Promise.resolve(last.text);
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
    return this.inTime(this.running);
  }

  private async run(): Promise<Buffer> {
    const { clock, table } = this.ports;
    const beganMs = clock.monotonicMs();
    const exposition = new Exposition(table, SERIES_MAX);
    const pause = this.pauses();
    await this.ports.collect(exposition, pause);
    const texts: string[] = [];
    for (const text of exposition.texts()) {
      texts.push(text);
      await pause();
    }
    const summary = new Exposition(table, SUMMARY_SERIES);
    this.ports.summarize(summary, exposition.leftOut, clock.monotonicMs() - beganMs);
    const text = Buffer.from([...texts, ...summary.texts()].join(''));
    this.last = { text, atMs: clock.monotonicMs() };
    return text;
  }

  private pauses(): Pause {
    const { clock } = this.ports;
    let sinceMs = clock.monotonicMs();
    return async () => {
      if (clock.monotonicMs() - sinceMs < SLICE_MS) return;
      await sleep(clock, 0);
      sinceMs = clock.monotonicMs();
    };
  }

  private inTime(running: Promise<Buffer>): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const late = new RsError('E_TIMEOUT', `The metrics were not collected within ${COLLECT_MAX_MS / 1_000} s: see the log`);
      const timer = this.ports.clock.after(COLLECT_MAX_MS, () => reject(late));
      running.then(
        (text) => {
          timer.cancel();
          resolve(text);
        },
        (error: Error) => {
          timer.cancel();
          reject(error);
        },
      );
    });
  }
}
