// Asserts that the bounds in rsweb's folders agree with each other. Invariant: rsweb loads this module first, so that it does not start with
// contradictory bounds.

import { assert } from '@rsio/common/lib/assert';
import { IDLE_MAX_MS, IDLE_MIN_MS, TOKENS_MAX } from './config/limits.ts';
import { WEB_BODY_MAX_BYTES, WEB_CONNECTIONS_MAX, WEB_HEADERS_MAX_BYTES } from './http/limits.ts';
import { SESSIONS_MAX } from './login/limits.ts';

assert(IDLE_MIN_MS < IDLE_MAX_MS, 'There must be idle times to choose from');
assert(SESSIONS_MAX >= TOKENS_MAX, 'Each token must be able to log in');
assert(
  WEB_CONNECTIONS_MAX * (WEB_HEADERS_MAX_BYTES + WEB_BODY_MAX_BYTES) <= 64 * 1_024 * 1_024,
  'What strangers send must fit into memory',
);
