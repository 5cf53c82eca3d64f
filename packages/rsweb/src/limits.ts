// Bounds of rsweb. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import { APPLICATIONS_MAX, POOLS_MAX, SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { CONTROL_ANSWER_MS, CONTROL_CONNECTIONS_MAX, READ_CONNECTIONS_MAX, SERVER_CALL_MS } from '@rsio/common/control/limits';
import { QUESTIONS } from '@rsio/api/manage/impact-facts';
import { assert } from '@rsio/base/lib/assert';

// --- /etc/rswebcfg, and the files that it names.

export const LISTEN_DEFAULT = '127.0.0.1:5080';
export const IDLE_DEFAULT = '30m';
export const IDLE_MIN_MS = 60_000;
export const IDLE_MAX_MS = 7 * 24 * 3_600_000;
export const TOKENS_MAX = 256;
export const SOURCES_MAX = 64;
export const NAMES_MAX = 64;
export const HOST_NAME_MAX_CHARS = 253;
export const SOURCE_URL_MAX_CHARS = 1_024;
/**
 * TOKEN_FILE_MAX_BYTES is the maximum size of a file that the key `token-file` names. In the file, only white space may surround the token.
 */
export const TOKEN_FILE_MAX_BYTES = 4_096;
export const WEB_TOKEN_MAX_CHARS = 512;
/** Maximum size of a file with a certificate chain or a private key. */
export const PEM_MAX_BYTES = 256 * 1_024;

// --- HTTP server. Invariant: one connection, address or token cannot use up the resources of the others.

/**
 * Connections without a valid token: at most STRANGE_CONNECTIONS_MAX in total, and at most CONNECTIONS_PER_SOURCE_MAX from one address (for
 * IPv6, from one /64 network).
 */
export const STRANGE_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_SOURCE_MAX = 128;
/**
 * Connections with a valid token: at most PROVEN_CONNECTIONS_MAX in total, and at most CONNECTIONS_PER_TOKEN_MAX for one token. Each open
 * page needs one connection for its live stream.
 */
export const PROVEN_CONNECTIONS_MAX = 256;
export const CONNECTIONS_PER_TOKEN_MAX = 96;
export const WEB_CONNECTIONS_MAX = STRANGE_CONNECTIONS_MAX + PROVEN_CONNECTIONS_MAX;
export const REQUESTS_PER_CONNECTION_MAX = 10_000;
/**
 * WEB_HEADERS_MAX_BYTES is the maximum size of the request line and all headers together. WEB_HEADERS_MAX is the maximum number of headers.
 */
export const WEB_HEADERS_MAX_BYTES = 16 * 1_024;
export const WEB_HEADERS_MAX = 64;
export const WEB_URL_MAX_CHARS = 2_048;
export const COOKIES_MAX = 32;
export const WEB_BODY_MAX_BYTES = 16 * 1_024;
export const FORM_FIELDS_MAX = 64;
/** Time limits. HANDSHAKE_MS: for a TLS handshake. HEADERS_MS: for the headers of a request. REQUEST_MS: for the whole request. */
export const HANDSHAKE_MS = 5_000;
export const HEADERS_MS = 5_000;
export const REQUEST_MS = 10_000;
/** LOOK_MS is the interval at which Node checks whether HEADERS_MS or REQUEST_MS is over. */
export const LOOK_MS = 1_000;
/**
 * KEEP_ALIVE_MS is the time that an unused connection stays open. KEEP_ALIVE_TOLD_SECONDS is what the answers say. It is shorter, because a
 * request that is sent while the connection is being closed fails, and a client must not send an order again that may have been taken.
 */
export const KEEP_ALIVE_MS = 10_000;
export const KEEP_ALIVE_TOLD_SECONDS = 5;
/** A connection without any traffic for this time is closed. */
export const SILENCE_MS = 20_000;
/** How long the server waits for open connections when it stops or moves to another address. */
export const CLOSE_MS = 2_000;
export const ASSETS_MAX = 64;
export const ASSETS_MAX_BYTES = 1_024 * 1_024;

assert(CONNECTIONS_PER_SOURCE_MAX * 2 <= STRANGE_CONNECTIONS_MAX, 'One address must not take all connections');
assert(CONNECTIONS_PER_TOKEN_MAX * 2 <= PROVEN_CONNECTIONS_MAX, 'One token must not take all connections');
assert(2 * KEEP_ALIVE_TOLD_SECONDS * 1_000 <= KEEP_ALIVE_MS, 'A slow client must know in time that its connection ends');
assert(HEADERS_MS <= REQUEST_MS && REQUEST_MS < SILENCE_MS, 'A request must not outlive its connection');

// --- live stream. Invariant: a browser that does not read its stream uses a bounded amount of memory and does not delay
// other browsers.

export const STREAMS_MAX = 128;
export const STREAMS_PER_TOKEN_MAX = 64;
export const HEARTBEAT_MS = 10_000;
/** A stream whose backlog is larger than this gets no changes. When the backlog is small again, the stream gets the whole picture. */
export const BACKLOG_MAX_BYTES = 1_024 * 1_024;
/** A stream whose backlog has been too large for this time is closed. */
export const STUCK_MS = 30_000;
/** If a larger share than this of all elements has changed, the whole picture is sent instead of the changes. */
export const WHOLE_SHARE = 0.8;

// --- logins. Invariant: every table that requests without a token can fill is bounded.

/** Maximum number of logins of one token. A further login ends the login of this token that has been idle longest. */
export const SESSIONS_PER_TOKEN_MAX = 64;
/** A login ends after this time even if it is used. */
export const SESSION_MAX_MS = 24 * 3_600_000;
export const SESSION_BYTES = 32;
export const TOKEN_BYTES = 32;

// --- one page. For the elements beyond a bound, a page shows their number or links to further pages.

/**
 * Maximum number of rows of a table on one page. With 500 rows for each page, the first page of a picture with 200 volumes would be twice
 * as slow.
 */
export const ROWS_PER_PAGE = 50;
/** Maximum number of clients in the diagram of the first page. Clients with a fault are drawn first, then the busiest clients. */
export const CLIENTS_DRAWN = 60;
/** Maximum number of volumes that the diagram shows for each pool. */
export const VOLUMES_DRAWN = 120;
/**
 * FINDINGS_SHOWN is the maximum number of findings on a page; the page shows the number of further findings. EVENTS_SHOWN is the maximum
 * number of events on the page of an object.
 */
export const FINDINGS_SHOWN = 80;
export const EVENTS_SHOWN = 20;
/** Maximum number of points of a plot that is drawn without a script. A longer history is thinned out. */
export const PLOT_POINTS = 240;

// --- picture that rsweb keeps. Invariant: the data of one source cannot fill the memory.

/**
 * Maximum length of each list of a picture. The lists of all sources share this length. A source whose list is shorter than its share keeps
 * the whole list, and the longer lists share the remaining places.
 */
export const ELEMENTS_MAX = 20_000;
/** Maximum number of findings in a picture. Errors come before warnings, and the sources take turns. */
export const FINDINGS_MAX = 500;
/**
 * Another machine may report at most this many servers and this many clients as its own. A machine normally has one server and one client.
 */
export const CLAIMS_MAX = 4;
/**
 * Further bounds on the report of another machine. HEARSAY_SERVERS_MAX: maximum number of servers that the client of that machine knows.
 * SOURCE_POOLS_MAX and SOURCE_APPLICATIONS_MAX: maximum number of pools and of applications that the report may list. SOURCE_WORKS_MAX: the
 * same for works, for replications and for gates.
 */
export const HEARSAY_SERVERS_MAX = SERVERS_PER_CLIENT_MAX;
export const SOURCE_POOLS_MAX = CLAIMS_MAX * POOLS_MAX;
export const SOURCE_WORKS_MAX = 1_024;
export const SOURCE_APPLICATIONS_MAX = CLAIMS_MAX * APPLICATIONS_MAX;
export const EVENTS_MAX = 200;
/** Maximum length of a text from another machine. Longer texts are cut. */
export const TEXT_MAX_CHARS = 2_048;
/** Maximum length of a list inside an element, such as the holders of a volume. */
export const INNER_MAX = 4_096;

/** The end of the year 9999, the last date that pages can show. */
export const DATE_MAX_MS = 253_402_300_799_000;
/** Upper bound of every size, rate and latency in a picture from another machine. */
export const FIGURE_MAX = 2 ** 64;

/**
 * A pool that is filled to POOL_WARNING or more is reported as a warning; a pool that is filled to POOL_ERROR or more is reported as an
 * error.
 */
export const POOL_WARNING = 0.8;
export const POOL_ERROR = 0.95;

/** The rings of an object's history: the time between two values, and the number of values. The ring with the smallest step comes first. */
export const RINGS = [
  { stepMs: 5_000, length: 180 },
  { stepMs: 60_000, length: 360 },
] as const;
/** Maximum number of series in the rings of one object. Each series needs 4 bytes for each step. */
const SERIES_KEPT = 9;
/**
 * Maximum number of objects with a history. A further busy object replaces an object that has been idle for HISTORY_IDLE_MS. If no object
 * has been idle for so long, the busy object replaces an object of the machine with the most objects. If the machine of the busy object has
 * nearly as many objects, the busy object gets no history.
 */
export const HISTORY_OBJECTS_MAX = 3_000;
export const HISTORY_IDLE_MS = 300_000;
/**
 * REORDER_MS is the precision with which the time of an object's last activity is kept. HISTORY_BYTES_MAX bounds the memory of all
 * histories.
 */
export const REORDER_MS = 60_000;
export const HISTORY_BYTES_MAX = 64 * 1_024 * 1_024;
const RING_STEPS = RINGS.reduce((sum, { length }) => sum + length, 0);

assert(REORDER_MS < HISTORY_IDLE_MS, 'An object that is busy must not lose its history');
assert(HISTORY_OBJECTS_MAX * RING_STEPS * SERIES_KEPT * 4 <= HISTORY_BYTES_MAX, 'The history must fit into its memory');

// --- orders, and the notices about their outcome. Invariant: an order that hangs does not occupy its place forever.

/** Maximum number of orders in progress. Further orders are refused. */
export const ORDERS_MAX = 16;
/** rsweb keeps at most NOTICES_MAX notices about orders for the next pages, each for NOTICE_MS. */
export const NOTICES_MAX = 256;
export const NOTICE_MS = 300_000;
export const FIELD_MAX_CHARS = 1_024;
/**
 * How long a page waits for the outcome of an order. After this time, the page is shown without the outcome. The order continues, and its
 * outcome appears only in the log.
 */
export const ORDER_SHOWN_MS = 15_000;

assert(ORDER_SHOWN_MS < SILENCE_MS, 'A page must come before its connection is closed');

// --- the HTTP interface /api/v1. Invariant: programs leave enough of each daemon's connections to the pages and to other programs.

/** Maximum size of the body of an order. */
export const API_BODY_MAX_BYTES = 64 * 1_024;
/** Maximum number of reads in progress for each daemon of this machine, and for all servers that rsiod asks. */
export const API_READS_MAX = 8;
export const API_READS_PER_TOKEN_MAX = 4;
/** Maximum number of orders in progress. An order may last as long as its method. */
export const API_CHANGES_MAX = 16;
export const API_CHANGES_PER_TOKEN_MAX = 8;
/** Streams of events. API_STREAMS_PER_TOKEN_MAX: of one token. A daemon that does not answer is asked again after API_FOLLOW_RETRY_MS. */
export const API_STREAMS_MAX = 32;
export const API_STREAMS_PER_TOKEN_MAX = 6;
export const API_FOLLOW_RETRY_MS = 2_000;
/** A connection waits at most this time for the answer of a method, the longest of which is a call of another server. */
export const API_ANSWER_MS = SERVER_CALL_MS + 2 * CONTROL_ANSWER_MS;
/** Maximum length of the id of an order, as the daemons have it. */
export const ORDER_ID_MAX_CHARS = 64;

assert(API_READS_MAX * 2 <= READ_CONNECTIONS_MAX, 'Programs must not use up the connections of readers');
assert((2 * API_READS_MAX + API_CHANGES_MAX) * 2 <= CONTROL_CONNECTIONS_MAX, 'Programs must not use up the control connections');
assert(API_READS_PER_TOKEN_MAX < API_READS_MAX && API_CHANGES_PER_TOKEN_MAX < API_CHANGES_MAX, 'One token must not take all places');
assert(
  STREAMS_PER_TOKEN_MAX + API_STREAMS_PER_TOKEN_MAX + 4 * API_READS_PER_TOKEN_MAX + API_CHANGES_PER_TOKEN_MAX < CONNECTIONS_PER_TOKEN_MAX,
  'A token at its bounds must get answers, too',
);

// --- the pages /operations. Invariant: a page comes before its connection is closed; an order is executed once.

/** Time limit for the answer of another server to a page. The daemons of this machine have twice this time. */
export const PAGE_READ_MS = 8_000;
/** Questions that may wait for an answer, of all tokens. One that was pushed out is asked again. */
export const PAGE_QUESTIONS_MAX = 256;
/** Answers to orders that are kept, so that a form that is sent again shows the answer and executes nothing. */
export const PAGE_ANSWERS_MAX = 64;

assert(2 * PAGE_READ_MS < SILENCE_MS, 'A page must come before its connection is closed');

// --- the page /impact, for which rsiod asks all servers. Invariant: visitors cannot make the servers busy by asking again and again.

/** One gathering of facts runs at a time, for all visitors. The next one begins this time after the last one has ended. */
export const FACTS_REST_MS = 3_000;
/** Each question is asked of this many servers at a time. */
export const FACTS_SERVERS_AT_ONCE = 2;
/** A question that is not answered within this time leaves unknown what it asks for. */
export const FACTS_ANSWER_MS = 5_000;
/** Time limit for a whole gathering. What was not asked until then is unknown. */
export const FACTS_WAIT_MS = 15_000;
/** Maximum number of check boxes for each kind of machine. */
export const IMPACT_BOXES_MAX = 60;

assert(FACTS_SERVERS_AT_ONCE * QUESTIONS + 3 <= 2 * API_READS_MAX, 'A gathering must leave connections to the programs');
assert(FACTS_WAIT_MS < SILENCE_MS, 'A page must come before its connection is closed');

// --- requests to other programs and machines. Invariant: a slow or hostile source does not delay other sources, and uses a
// bounded share of memory.

/** Interval between two samples: LOOKING_MS while a page is in use, and IDLE_MS otherwise. */
export const LOOKING_MS = 1_000;
export const IDLE_MS = 5_000;
/** A page counts as in use for this time after its last request. */
export const LOOK_LASTS_MS = 15_000;
/** Interval between requests for facts that change rarely. */
export const SLOW_FACTS_MS = 5_000;
/** A daemon of this machine that does not answer within this time counts as hung. */
export const LOCAL_ANSWER_MS = 4_000;
/** Another machine that does not answer completely within this time counts as silent. */
export const REMOTE_ANSWER_MS = 4_000;
/** Maximum size of an answer, enough for about 10,000 volumes. */
export const REMOTE_ANSWER_MAX_BYTES = 8 * 1_024 * 1_024;
/** If rsweb took the time T to handle an answer, the source is not asked again for REST_FACTOR times T. */
export const REST_FACTOR = 20;
export const EVENTS_ASKED = 100;
/** Minimum interval between two merged pictures. */
export const MERGE_MS = 250;

assert(LOOKING_MS + MERGE_MS < 2_000, 'A fault must be seen within two seconds');

// --- Invariant: rsweb loads this module first, so that it does not start with contradictory bounds.

assert(IDLE_MIN_MS < IDLE_MAX_MS, 'There must be idle times to choose from');
assert(STREAMS_PER_TOKEN_MAX < CONNECTIONS_PER_TOKEN_MAX, 'A token whose pages are all open must get answers, too');
assert(
  WEB_CONNECTIONS_MAX * (WEB_HEADERS_MAX_BYTES + Math.max(WEB_BODY_MAX_BYTES, API_BODY_MAX_BYTES)) <= 64 * 1_024 * 1_024,
  'What strangers send must fit into memory',
);
assert(FINDINGS_SHOWN > SOURCES_MAX + 4, 'No source may hide the errors of another one');
