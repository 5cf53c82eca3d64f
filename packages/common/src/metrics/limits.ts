// Bounds of the metrics/ folder.
// The name of each bound contains its unit. Invariant: no reader can make a daemon exceed these bounds.

import { assert } from '@rsio/base/lib/assert';

/** Maximum number of series in one answer. Further series are omitted and counted; histograms of volumes are omitted first. */
export const SERIES_MAX = 50_000;
/** Longest time for which a collection keeps the event loop busy before it lets I/O continue. */
export const SLICE_MS = 1;
/** Requests within this time get the same figures, so that a reader cannot make the daemon collect all the time. */
export const COLLECT_INTERVAL_MS = 500;
/** Time limit of a collection. A collection that takes longer fails, and so do the requests that wait for the collection. */
export const COLLECT_MAX_MS = 10_000;

/**
 * Maximum number of connections at a time. A further connection closes the oldest connection, because slow readers could otherwise lock out
 * all other readers.
 */
export const CONNECTIONS_MAX = 16;
export const HEADERS_MAX_BYTES = 8_192;
export const HEADERS_MAX = 64;
/** Time limit for the headers of a request, and for the whole request. */
export const REQUEST_MAX_MS = 5_000;
/** Time limit for a reader to receive its answer. */
export const ANSWER_MAX_MS = 30_000;
/** Time after which a connection without a request is closed. Prometheus scrapes every minute by default. */
export const METRICS_IDLE_MAX_MS = 75_000;
/** Interval between attempts to listen on an address that could not be used. */
export const METRICS_LISTEN_RETRY_MS = 10_000;

assert(COLLECT_MAX_MS < ANSWER_MAX_MS, 'A reader gets the reason why a collection has failed');
