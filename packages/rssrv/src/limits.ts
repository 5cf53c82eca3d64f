// Asserts the relations between the bounds in the limits.ts files of rssrv's folders and of lower packages. Invariant: the programs load
// this module first, so a program with contradictory bounds does not start.

import '@rsio/protocol/limits';

import { assert } from '@rsio/base/lib/assert';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { CONTROL_TIMEOUT_MS, GROUP_REQUESTS_MAX, LIST_WAIT_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { CONNECT_TIMEOUT_MS, OUTPUT_HARD_MAX_BYTES, OUTPUT_QUEUED_MAX_BYTES, TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { ADMIN_CALLS_SENT_MAX } from '@rsio/protocol/client/limits';
import { ADMIN_ANSWER_MAX_BYTES, ADMIN_PER_SESSION_MAX, MESSAGE_MAX_BYTES, SLOTS } from '@rsio/protocol/wire/limits';
import {
  AUDIT_OTHERS_MAX,
  CHANGES_WAITING_MAX,
  LONG_ANSWERS_MAX_BYTES,
  LONG_ANSWERS_PER_SESSION_MAX,
  REMOTE_BURST,
  REMOTE_REQUESTS_MAX,
} from './admin/limits.ts';
import { CLOCK_SHARE, DISPUTED_MS, LOOK_VALID_MS, WATCH_MS } from './farm/limits.ts';
import { HOLD_CHANGES_WAITING_MAX } from './volumes/limits.ts';
import { TAKE_OVER_REVOKE_MS, WORKER_DRAIN_TIMEOUT_MS } from './server/limits.ts';
import { IMAGES_AT_ONCE_MAX } from './jobs/limits.ts';
import './replication/limits.ts';
import { REPLICA_WAIT_MS } from './mirrors/limits.ts';
import { GUARD_CHUNKS_MAX, MOMENT_VOLUMES_MAX, SNAPSHOT_CHANGE_MAX_MS } from './snapshots/limits.ts';
import {
  CHUNKS_MAX,
  JOURNAL_LINES_MAX,
  REQUESTS_KEPT,
  SCHEDULE_KEPT_MAX,
  SCHEDULE_RULES_MAX,
  SNAPSHOT_GROUP_MAX,
  SNAPSHOTS_MAX,
} from './pools/limits.ts';
import {
  ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES,
  ANSWERS_QUEUED_MAX_BYTES,
  ANSWERS_UNREAD_MAX_BYTES,
  REREAD_MAX_BYTES,
  CLIENT_QUIET_MS,
  UNLISTED_PATH_MS,
} from './session/limits.ts';
import { STORAGE_SYNC_WAIT_MS } from './machine/limits.ts';

assert(ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES <= ANSWERS_QUEUED_MAX_BYTES, 'An encrypted path must not have more than a plain one');
assert(ANSWERS_QUEUED_MAX_BYTES <= OUTPUT_QUEUED_MAX_BYTES, 'READs must wait before the bound of all output is reached');
assert(
  ANSWERS_UNREAD_MAX_BYTES + SLOTS * MESSAGE_MAX_BYTES < OUTPUT_HARD_MAX_BYTES,
  'A client that keeps to its window and slots must lose no path because of unread answers',
);
assert(REREAD_MAX_BYTES >= BODY_MAX_BYTES, 'The largest READ must fit in the bound for re-executed READs');
assert(
  CHANGES_WAITING_MAX > REMOTE_REQUESTS_MAX + 2 * GROUP_REQUESTS_MAX,
  'The changes of clients and of members of groups must leave room for those of the user of rssrv',
);
assert(HOLD_CHANGES_WAITING_MAX >= 2 * SLOTS, 'The OPENs of one session must leave room for others');
assert(
  DISPUTED_MS + TAKE_OVER_REVOKE_MS + WORKER_DRAIN_TIMEOUT_MS + STORAGE_SYNC_WAIT_MS < TAKE_OVER_WAIT_MS &&
    TAKE_OVER_WAIT_MS + LIST_WAIT_MS < CONTROL_TIMEOUT_MS,
  'A command for a take-over must wait for at least as long as the server may take',
);
assert(
  REPLICA_WAIT_MS > TAKE_OVER_REVOKE_MS + WORKER_DRAIN_TIMEOUT_MS && REPLICA_WAIT_MS < TAKE_OVER_WAIT_MS,
  'A CLAIM must wait until a process that does not release its replica is killed, and no longer than clients wait',
);
assert(DISPUTED_MS * CLOCK_SHARE > LOOK_VALID_MS, 'An earlier owner must be silent before a later one gives its volumes to other clients');
assert(LOOK_VALID_MS > 2 * WATCH_MS + HEARTBEAT_INTERVAL_MS, 'The looks of an owner must keep its volumes answered');
assert(UNLISTED_PATH_MS > CONNECT_TIMEOUT_MS, 'Paths on a new interface must be up before those on the old one are closed');
assert(2 * REMOTE_REQUESTS_MAX < CHANGES_WAITING_MAX, 'Clients must leave room for the commands of the local administrator');
assert(2 * ADMIN_PER_SESSION_MAX < REMOTE_REQUESTS_MAX && ADMIN_PER_SESSION_MAX < REMOTE_BURST, 'One client must leave room for others');
assert(
  2 * ADMIN_ANSWER_MAX_BYTES < LONG_ANSWERS_MAX_BYTES && LONG_ANSWERS_PER_SESSION_MAX >= ADMIN_CALLS_SENT_MAX,
  'The long answers that a client reads at a time must be kept',
);
assert(CLIENT_QUIET_MS > 2 * HEARTBEAT_INTERVAL_MS, 'A client must not count as silent for one late heartbeat');
assert(CHUNKS_MAX <= GUARD_CHUNKS_MAX, 'Every file that is copied in chunks must be guarded');
assert(SNAPSHOT_GROUP_MAX <= MOMENT_VOLUMES_MAX, 'Snapshots of one request must fit one moment');
assert(AUDIT_OTHERS_MAX >= 2 * SNAPSHOT_GROUP_MAX, 'The entry of a drill must name each volume and each clone');
assert(SCHEDULE_KEPT_MAX + SCHEDULE_RULES_MAX < SNAPSHOTS_MAX, 'A schedule must leave room for snapshots by command');
assert(SERVER_CHANGE_MS > SNAPSHOT_CHANGE_MAX_MS, 'A command must wait for longer than its longest step');
assert(JOURNAL_LINES_MAX >= 2 * REQUESTS_KEPT, 'The journal must not be written anew at every change');
assert(IMAGES_AT_ONCE_MAX <= MOMENT_VOLUMES_MAX, 'The volumes of images that are refreshed together must fit in a moment');
