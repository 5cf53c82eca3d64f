// The shape of latencies in the answers of both daemons. structures/latency-figures.ts explains the fields. Invariant: a field never
// disappears or changes its meaning within a version of the interface.

import { LATENCY_EDGES_US } from '@rsio/base/structures/latency-figures';
import { count, list, number, object } from '@rsio/base/lib/shape';

const [FIRST_EDGE_US = 0, LAST_EDGE_US = 0] = [LATENCY_EDGES_US[0], LATENCY_EDGES_US.at(-1)];

export const LATENCY = object({
  p50Us: number(),
  p90Us: number(),
  p99Us: number(),
  p999Us: number(),
  p9999Us: number(),
  maxUs: number(),
  sumUs: number('Sum of the latencies of all requests'),
  buckets: list(count(), `Requests by latency: up to ${FIRST_EDGE_US} us, up to twice that, ... up to ${LAST_EDGE_US} us, longer`),
});
