// The relations between the bounds of rssrv's rooms, and to those of the packages below. The programs load this module first: a set of bounds
// that contradict each other does not start. The bounds themselves are in the limits.ts of each room.

import '@rsio/protocol/limits';

import { assert } from '@rsio/common/lib/assert';
import { CONTROL_TIMEOUT_MS, LIST_WAIT_MS } from '@rsio/common/control/limits';
import { BODY_MAX_BYTES } from '@rsio/common/lib/limits';
import { CONNECT_TIMEOUT_MS, OUTPUT_HARD_MAX_BYTES, OUTPUT_QUEUED_MAX_BYTES, TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { MESSAGE_MAX_BYTES, SLOTS } from '@rsio/protocol/wire/limits';
import { HOLD_CHANGES_WAITING_MAX } from './holds/limits.ts';
import { TAKE_OVER_REVOKE_MS } from './listener/limits.ts';
import { ANSWERS_QUEUED_MAX_BYTES, ANSWERS_UNREAD_MAX_BYTES, REREAD_MAX_BYTES, UNLISTED_PATH_MS } from './session/limits.ts';
import { STORAGE_SYNC_WAIT_MS } from './sys/limits.ts';
import { WORKER_DRAIN_TIMEOUT_MS } from './workers/limits.ts';

assert(ANSWERS_QUEUED_MAX_BYTES <= OUTPUT_QUEUED_MAX_BYTES, 'READs must wait before the bounds of all output are met');
assert(
  ANSWERS_UNREAD_MAX_BYTES + SLOTS * MESSAGE_MAX_BYTES < OUTPUT_HARD_MAX_BYTES,
  'Who keeps window and slots loses no path for what he has not read yet',
);
assert(REREAD_MAX_BYTES >= BODY_MAX_BYTES, 'The largest READ must be allowed to be read again');
assert(HOLD_CHANGES_WAITING_MAX >= 2 * SLOTS, 'All OPENs of one session must leave others room');
assert(
  TAKE_OVER_REVOKE_MS + WORKER_DRAIN_TIMEOUT_MS + STORAGE_SYNC_WAIT_MS < TAKE_OVER_WAIT_MS &&
    TAKE_OVER_WAIT_MS + LIST_WAIT_MS < CONTROL_TIMEOUT_MS,
  'Who asks for a take-over waits for as long as the server may take',
);
assert(UNLISTED_PATH_MS > CONNECT_TIMEOUT_MS, 'Paths on a new interface are made before those on the old one are closed');
