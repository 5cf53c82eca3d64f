// Figures about the latencies of many requests: quantiles, the sum, and the number of requests in each of a few buckets, whose edges
// double. The metrics of the daemons have the same buckets. A reader computes the latencies of an interval from the buckets at the
// beginning and at the end of the interval. Invariant: the edges never change within a version of the control interface.

/** Requests up to this latency are in the first bucket. Each further edge is twice the previous one. */
export const LATENCY_FIRST_EDGE_US = 64;
/** Number of buckets. The buckets are few, because Prometheus stores each bucket of each volume. The last bucket has no upper edge. */
export const LATENCY_BUCKETS = 20;

/** Upper edges of all buckets except the last bucket, which has no upper edge. */
export const LATENCY_EDGES_US: readonly number[] = Array.from(
  { length: LATENCY_BUCKETS - 1 },
  (_, index) => LATENCY_FIRST_EDGE_US * 2 ** index,
);

export interface LatencyFigures {
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly p9999Us: number;
  readonly maxUs: number;
  readonly sumUs: number;
  /** Number of requests in each bucket. The numbers are not cumulative. */
  readonly buckets: readonly number[];
}

/** The figures if there were no requests. */
export const NO_LATENCY: LatencyFigures = {
  p50Us: 0,
  p90Us: 0,
  p99Us: 0,
  p999Us: 0,
  p9999Us: 0,
  maxUs: 0,
  sumUs: 0,
  buckets: new Array<number>(LATENCY_BUCKETS).fill(0),
};
