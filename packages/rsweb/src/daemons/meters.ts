// Converts growing counters to rates and latencies between two samples. Pure except for the kept samples. Invariant: a counter that has
// been reset (by a new session or a restart) never gives a negative or huge rate.

import { LATENCY_EDGES_US } from '@rsio/base/structures/latency-figures';
import type { Load, Percentiles } from '../model/picture.ts';

export interface Counters {
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Number of requests in each bucket of LATENCY_EDGES_US. */
  readonly readBuckets: readonly number[];
  readonly writeBuckets: readonly number[];
}

/** The rates and latencies of an object in an interval. The flows of several objects can be added. */
export interface Flow {
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
  readonly readBuckets: readonly number[];
  readonly writeBuckets: readonly number[];
}

/** Two samples of an object that are less than this apart count as one sample. */
const NEAR_MS = 200;

export const NO_FLOW: Flow = {
  readsPerSecond: 0,
  writesPerSecond: 0,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 0,
  readBuckets: [],
  writeBuckets: [],
};
export const NO_LOAD: Load = loadOf(NO_FLOW);

interface Kept {
  readonly atMs: number;
  readonly counters: Counters;
  readonly flow: Flow;
  round: number;
}

export class Meters {
  private readonly kept = new Map<string, Kept>();
  private round = 0;

  /** Returns the flow since the previous sample of `key`. `atMs`: monotonic time at which the counters had these values. */
  flow(key: string, atMs: number, counters: Counters): Flow {
    const before = this.kept.get(key);
    if (before !== undefined && atMs - before.atMs < NEAR_MS) {
      before.round = this.round;
      return before.flow;
    }
    const flow = before === undefined ? NO_FLOW : flowOf(before.counters, counters, (atMs - before.atMs) / 1_000);
    this.kept.set(key, { atMs, counters, flow, round: this.round });
    return flow;
  }

  /** Forgets objects that have not been sampled since the last call, so that removed objects take no memory. */
  endRound(): void {
    for (const [key, { round }] of this.kept) if (round !== this.round) this.kept.delete(key);
    this.round++;
  }
}

function flowOf(was: Counters, now: Counters, seconds: number): Flow {
  const keys = ['reads', 'writes', 'readBytes', 'writtenBytes'] as const;
  if (keys.some((key) => now[key] < was[key])) return NO_FLOW;
  return {
    readsPerSecond: (now.reads - was.reads) / seconds,
    writesPerSecond: (now.writes - was.writes) / seconds,
    readBytesPerSecond: (now.readBytes - was.readBytes) / seconds,
    writtenBytesPerSecond: (now.writtenBytes - was.writtenBytes) / seconds,
    readBuckets: now.readBuckets.map((count, at) => Math.max(0, count - (was.readBuckets[at] ?? 0))),
    writeBuckets: now.writeBuckets.map((count, at) => Math.max(0, count - (was.writeBuckets[at] ?? 0))),
  };
}

export function sumOf(flows: readonly Flow[]): Flow {
  const sum = (key: 'readsPerSecond' | 'writesPerSecond' | 'readBytesPerSecond' | 'writtenBytesPerSecond'): number =>
    flows.reduce((total, flow) => total + flow[key], 0);
  const buckets = (key: 'readBuckets' | 'writeBuckets'): number[] => {
    const length = flows.reduce((longest, flow) => Math.max(longest, flow[key].length), 0);
    return Array.from({ length }, (_, at) => flows.reduce((total, flow) => total + (flow[key][at] ?? 0), 0));
  };
  return {
    readsPerSecond: sum('readsPerSecond'),
    writesPerSecond: sum('writesPerSecond'),
    readBytesPerSecond: sum('readBytesPerSecond'),
    writtenBytesPerSecond: sum('writtenBytesPerSecond'),
    readBuckets: buckets('readBuckets'),
    writeBuckets: buckets('writeBuckets'),
  };
}

export function loadOf({ readBuckets, writeBuckets, ...rates }: Flow): Load {
  return { ...rates, readLatency: percentilesOf(readBuckets), writeLatency: percentilesOf(writeBuckets) };
}

/** Returns percentiles of a histogram, which are interpolated within a bucket; null if the histogram is empty. */
export function percentilesOf(buckets: readonly number[]): Percentiles | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  return { p50Us: quantile(buckets, total * 0.5), p99Us: quantile(buckets, total * 0.99), p999Us: quantile(buckets, total * 0.999) };
}

function quantile(buckets: readonly number[], rank: number): number {
  let below = 0;
  for (const [at, count] of buckets.entries()) {
    if (below + count >= rank && count > 0) {
      const low = at === 0 ? 0 : (LATENCY_EDGES_US[at - 1] ?? LATENCY_EDGES_US.at(-1) ?? 0);
      // The last bucket has no upper edge, so twice its lower edge takes the place of the upper edge.
      const high = LATENCY_EDGES_US[at] ?? low * 2;
      return Math.round(low + ((high - low) * (rank - below)) / count);
    }
    below += count;
  }
  return LATENCY_EDGES_US.at(-1) ?? 0;
}
