// Bounds of the HTTP server. Units are in the names.
// Invariant: what one connection, address or token takes leaves room for others.

import { assert } from '@rsio/common/lib/assert';

/** Connections without a right token, and those of one address; of an IPv6 address, of its /64 network. */
export const STRANGE_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_SOURCE_MAX = 128;
/** Connections on which a right token was shown, and those of one token. Each open page has a stream. */
export const PROVEN_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_TOKEN_MAX = 96;
export const WEB_CONNECTIONS_MAX = STRANGE_CONNECTIONS_MAX + PROVEN_CONNECTIONS_MAX;
export const REQUESTS_PER_CONNECTION_MAX = 10_000;
/** The request line and all headers. */
export const WEB_HEADERS_MAX_BYTES = 16 * 1_024;
export const WEB_HEADERS_MAX = 64;
export const WEB_URL_MAX_CHARS = 2_048;
export const COOKIES_MAX = 32;
export const WEB_BODY_MAX_BYTES = 16 * 1_024;
export const FORM_FIELDS_MAX = 64;
/** Time for a TLS handshake, for the headers of a request, and for the whole request. */
export const HANDSHAKE_MS = 5_000;
export const HEADERS_MS = 5_000;
export const REQUEST_MS = 10_000;
/** How often Node looks for requests that exceed these times. */
export const LOOK_MS = 1_000;
export const KEEP_ALIVE_MS = 10_000;
/** A connection that neither sends nor takes anything for this time ends. */
export const SILENCE_MS = 20_000;
/** Time that the server waits for connections when it stops or listens elsewhere. */
export const CLOSE_MS = 2_000;
export const ASSETS_MAX = 64;
export const ASSETS_MAX_BYTES = 1_024 * 1_024;

assert(CONNECTIONS_PER_SOURCE_MAX * 2 <= STRANGE_CONNECTIONS_MAX, 'One address must not take all connections');
assert(CONNECTIONS_PER_TOKEN_MAX * 2 <= PROVEN_CONNECTIONS_MAX, 'One token must not take all connections');
assert(HEADERS_MS <= REQUEST_MS && REQUEST_MS < SILENCE_MS, 'A request must not outlive its connection');
