// Adds the counters of the paths of several processes. Pure. Invariant: counters and buckets are sums; a quantile is the largest quantile
// of any process, because quantiles cannot be added; the main process determines the state of a path.

import type { LatencyView, PathStats } from '@rsio/api/rsiod/methods';

/**
 * The first list belongs to the main process. Paths are equal if both ends are equal. Paths without a counterpart in the main process come
 * last.
 */
export function joinedPaths(lists: readonly (readonly PathStats[])[]): PathStats[] {
  const joined = new Map<string, PathStats>();
  for (const path of lists.flat()) {
    const key = keyOf(path);
    const known = joined.get(key);
    joined.set(key, known === undefined ? path : sum(known, path));
  }
  return [...joined.values()];
}

/** The counters of a path of a process that has ended, without the values that describe only one moment. */
export function pastPath(path: PathStats): PathStats {
  return { ...path, unansweredBytes: 0, roundTripMs: null, receivingBytesPerSecond: null, sendingBytesPerSecond: null };
}

export function isSamePath(one: PathStats, other: PathStats): boolean {
  return keyOf(one) === keyOf(other);
}

function keyOf({ interface: local, address, port }: PathStats): string {
  return `${local} ${address} ${port}`;
}

function sum(one: PathStats, other: PathStats): PathStats {
  const added = (
    field: 'requests' | 'sentBytes' | 'receivedBytes' | 'unansweredBytes' | 'resent' | 'hedged' | 'probed' | 'dropped' | 'deaths',
  ) => one[field] + other[field];
  return {
    ...one,
    requests: added('requests'),
    sentBytes: added('sentBytes'),
    receivedBytes: added('receivedBytes'),
    unansweredBytes: added('unansweredBytes'),
    resent: added('resent'),
    hedged: added('hedged'),
    probed: added('probed'),
    dropped: added('dropped'),
    deaths: added('deaths'),
    roundTripMs: one.roundTripMs ?? other.roundTripMs,
    receivingBytesPerSecond: largest(one.receivingBytesPerSecond, other.receivingBytesPerSecond),
    sendingBytesPerSecond: largest(one.sendingBytesPerSecond, other.sendingBytesPerSecond),
    readLatency: joinedLatency(one.readLatency, other.readLatency),
    writeLatency: joinedLatency(one.writeLatency, other.writeLatency),
  };
}

/** All processes measure the same link, and the process with the most traffic measures the rate best. */
function largest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

export function joinedLatency(one: LatencyView, other: LatencyView): LatencyView {
  return {
    p50Us: Math.max(one.p50Us, other.p50Us),
    p90Us: Math.max(one.p90Us, other.p90Us),
    p99Us: Math.max(one.p99Us, other.p99Us),
    p999Us: Math.max(one.p999Us, other.p999Us),
    p9999Us: Math.max(one.p9999Us, other.p9999Us),
    maxUs: Math.max(one.maxUs, other.maxUs),
    sumUs: one.sumUs + other.sumUs,
    buckets: one.buckets.map((count, at) => count + (other.buckets[at] ?? 0)),
  };
}
