// Asserts that the bounds in rsweb's folders agree with each other. Invariant: rsweb loads this module first, so that it does not start with
// contradictory bounds.

import { assert } from '@rsio/common/lib/assert';
import { IDLE_MAX_MS, IDLE_MIN_MS, SOURCES_MAX } from './config/limits.ts';
import { CONNECTIONS_PER_TOKEN_MAX, WEB_BODY_MAX_BYTES, WEB_CONNECTIONS_MAX, WEB_HEADERS_MAX_BYTES } from './http/limits.ts';
import { STREAMS_PER_TOKEN_MAX } from './live/limits.ts';
import { FINDINGS_SHOWN } from './markup/limits.ts';

assert(IDLE_MIN_MS < IDLE_MAX_MS, 'There must be idle times to choose from');
assert(STREAMS_PER_TOKEN_MAX < CONNECTIONS_PER_TOKEN_MAX, 'A token whose pages are all open must get answers, too');
assert(
  WEB_CONNECTIONS_MAX * (WEB_HEADERS_MAX_BYTES + WEB_BODY_MAX_BYTES) <= 64 * 1_024 * 1_024,
  'What strangers send must fit into memory',
);
assert(FINDINGS_SHOWN > SOURCES_MAX + 4, 'No source may hide the errors of another one');
