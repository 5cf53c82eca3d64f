// Bounds of the HTTP server. Units are in the names.
// Invariant: one connection, address or token cannot use up the resources of the others.

import { assert } from '@rsio/common/lib/assert';

/** Maximum number of connections without a right token: in total, and from one address (for IPv6, from one /64 network). */
export const STRANGE_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_SOURCE_MAX = 128;
/** Maximum number of connections with a right token: in total, and for one token. Each open page has a stream. */
export const PROVEN_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_TOKEN_MAX = 96;
export const WEB_CONNECTIONS_MAX = STRANGE_CONNECTIONS_MAX + PROVEN_CONNECTIONS_MAX;
export const REQUESTS_PER_CONNECTION_MAX = 10_000;
/** Maximum size of the request line and all headers. */
export const WEB_HEADERS_MAX_BYTES = 16 * 1_024;
export const WEB_HEADERS_MAX = 64;
export const WEB_URL_MAX_CHARS = 2_048;
export const COOKIES_MAX = 32;
export const WEB_BODY_MAX_BYTES = 16 * 1_024;
export const FORM_FIELDS_MAX = 64;
/** Time limits for a TLS handshake, for the headers of a request, and for the whole request. */
export const HANDSHAKE_MS = 5_000;
export const HEADERS_MS = 5_000;
export const REQUEST_MS = 10_000;
/** Interval at which Node checks these time limits. */
export const LOOK_MS = 1_000;
export const KEEP_ALIVE_MS = 10_000;
/** A connection without any traffic for this time is closed. */
export const SILENCE_MS = 20_000;
/** How long the server waits for open connections when it stops or moves to another address. */
export const CLOSE_MS = 2_000;
export const ASSETS_MAX = 64;
export const ASSETS_MAX_BYTES = 1_024 * 1_024;

assert(CONNECTIONS_PER_SOURCE_MAX * 2 <= STRANGE_CONNECTIONS_MAX, 'One address must not take all connections');
assert(CONNECTIONS_PER_TOKEN_MAX * 2 <= PROVEN_CONNECTIONS_MAX, 'One token must not take all connections');
assert(HEADERS_MS <= REQUEST_MS && REQUEST_MS < SILENCE_MS, 'A request must not outlive its connection');
