// Asserts that the bounds in rsiod's folders agree with each other and with the bounds of lower packages. Invariant: rsiod loads this
// module first, so that rsiod does not start with contradictory bounds.

import '@rsio/protocol/limits';

import { assert } from '@rsio/base/lib/assert';
import { CLIENT_PROCESSES_MAX, DEAD_AFTER_MS } from '@rsio/common/config/schema/limits';
import { CONTROL_ANSWER_MS, CONTROL_TIMEOUT_MS, SERVER_CALL_MS } from '@rsio/common/control/limits';
import { RECONNECT_MIN_MS } from '@rsio/protocol/client/limits';
import { PROBE_TIME_MAX_MS } from '@rsio/protocol/explorer/limits';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { DATA_PROCESSES_MAX } from '@rsio/protocol/wire/limits';
import { HAND_OVER_WAIT_MS, LOG_FLUSH_AGE_MS, LOG_LOOK_MS, STOP_WAIT_MS } from './attachments/limits.ts';
import { PROBES_TIME_MAX_MS, SNAPSHOT_WHOLE_MS } from './control/limits.ts';
import { DEVICE_COMMAND_TIMEOUT_MS, DEVICE_FORCE_MS, NBD_STOP_TIMEOUT_MS } from './frontends/limits.ts';
import {
  CHANGE_VOLUMES_MAX,
  CHANGE_VOTES_MAX,
  FORCE_VOTES_IN_TURN_MAX,
  REPLICA_VOLUME_MS,
  STEP_AGREED_MS,
  STEPS_MAX,
  SURVEY_ROUNDS_MAX,
  VOTE_ASK_MS,
  VOTE_CHANGE_MS,
  VOTES_IN_TURN_MAX,
} from './mirrors/limits.ts';
import { STOP_WAIT_MAX_MS } from './sys/limits.ts';
import { PROCESS_ANSWER_MS, PROCESS_END_MS, PROCESS_HAND_OVER_MS, PROCESS_REFUSAL_MS } from './processes/limits.ts';
import { SLOW_STORAGE_MS, STALL_FAIL_GRACE_MS } from './volumes/limits.ts';

assert(CLIENT_PROCESSES_MAX === DATA_PROCESSES_MAX, 'A client must not start more data processes than a server accepts');
assert(
  PROCESS_END_MS > STOP_WAIT_MAX_MS + NBD_STOP_TIMEOUT_MS,
  'A data process must not be killed while it detaches its volumes in the time that it has for that',
);
assert(
  PROCESS_HAND_OVER_MS > HAND_OVER_WAIT_MS + NBD_STOP_TIMEOUT_MS,
  'A data process must not be killed while it completes requests before another one takes its place',
);
assert(PROCESS_REFUSAL_MS < CONTROL_ANSWER_MS, 'A stop must be refused before the command that asked for it gives up');
assert(PROCESS_ANSWER_MS < CONTROL_ANSWER_MS, 'A list over all data processes must end before the command that asked for it');
assert(STALL_FAIL_GRACE_MS > RECONNECT_MIN_MS * 3, 'A lost path must be tried again more than once before I/O fails');
assert(LOG_FLUSH_AGE_MS + LOG_LOOK_MS < SELF_SYNC_MS, 'A client must flush its log before the server syncs by itself');
assert(SLOW_STORAGE_MS > DEAD_AFTER_MS, 'A dead server must not be mistaken for slow storage');
assert(
  DEVICE_FORCE_MS < STOP_WAIT_MS && DEVICE_FORCE_MS < DEVICE_COMMAND_TIMEOUT_MS,
  'Removing a device by force must end before the timeouts around it',
);
assert(PROBES_TIME_MAX_MS + PROBE_TIME_MAX_MS < CONTROL_TIMEOUT_MS, 'A command for probes must wait for the last one');
assert(SERVER_CALL_MS < SNAPSHOT_WHOLE_MS, 'The triggers of a snapshot must wait until the server has answered');
assert(
  VOTES_IN_TURN_MAX * VOTE_CHANGE_MS + 2 * REPLICA_VOLUME_MS < SERVER_CALL_MS,
  'A command that makes a mirror must wait until what was made is taken back',
);
assert(
  CHANGE_VOTES_MAX * VOTE_CHANGE_MS + CHANGE_VOLUMES_MAX * REPLICA_VOLUME_MS + 2 * STEPS_MAX * STEP_AGREED_MS < SERVER_CALL_MS,
  'A command that changes a mirror must wait for its steps',
);
assert(
  FORCE_VOTES_IN_TURN_MAX * VOTE_CHANGE_MS + SURVEY_ROUNDS_MAX * VOTE_ASK_MS < SERVER_CALL_MS,
  'A command that makes a mirror by force must wait until its replicas are plain volumes again',
);
assert(SURVEY_ROUNDS_MAX * VOTE_ASK_MS < CONTROL_TIMEOUT_MS, 'A list of mirrors must end although servers are silent');
