// Bounds of the metrics/ folder. Units are in the names. Invariant: nothing that a reader does makes a daemon use more than these bounds
// allow.

import { assert } from '../lib/assert.ts';

/** Lines of one answer. Series beyond this number are left out and counted; histograms of volumes are left out first. */
export const SERIES_MAX = 50_000;
/** Longest time for which a collection keeps the event loop busy before it lets I/O go on. */
export const SLICE_MS = 1;
/** Requests within this time get the same figures, so that no reader can make the daemon collect all the time. */
export const COLLECT_INTERVAL_MS = 500;
/** A collection that takes longer fails, and so do the requests that wait for it. */
export const COLLECT_MAX_MS = 10_000;

/** Connections at a time. One more closes the oldest, or slow readers would lock all others out. */
export const CONNECTIONS_MAX = 16;
export const HEADERS_MAX_BYTES = 8_192;
export const HEADERS_MAX = 64;
/** Time for the headers of a request, and for the whole of it. */
export const REQUEST_MAX_MS = 5_000;
/** Time in which a reader must have taken its answer. */
export const ANSWER_MAX_MS = 30_000;
/** Time between two requests of a connection. Prometheus scrapes every minute by default. */
export const METRICS_IDLE_MAX_MS = 75_000;
/** Interval at which an address that could not be used is tried again. */
export const METRICS_LISTEN_RETRY_MS = 10_000;

assert(COLLECT_MAX_MS < ANSWER_MAX_MS, 'A reader gets the reason why a collection has failed');
