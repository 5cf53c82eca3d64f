// Asserts the relations between bounds in different protocol folders, and between these bounds and the bounds of lower packages. The bounds
// themselves are in each folder's limits.ts. Invariant: the programs load this module first, so a program with contradictory bounds does
// not start.

import { assert } from '@rsio/base/lib/assert';
import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES, HANDSHAKE_PATIENCE_MS, PROOF_TIMEOUT_MS } from './auth/limits.ts';
import {
  FIRST_HANDSHAKE_PATIENCE_MS,
  REPLAY_BLOCK_BYTES,
  REPLAY_RANGES_MAX,
  REPLAY_SLAB_BLOCKS,
  SEGMENT_MIN_BYTES,
} from './client/limits.ts';
import {
  DISCOVERY_MESSAGE_MAX_BYTES,
  DISCOVERY_REQUEST_BYTES,
  PROBE_SLOTS,
  PROBE_TURN_BYTES,
  PROBE_WINDOW_BYTES,
} from './explorer/limits.ts';
import {
  DIRECTION_FAIL_HEARTBEATS,
  OUTPUT_HARD_MAX_BYTES,
  OUTPUT_QUEUED_MAX_BYTES,
  PATHS_PER_TRUNK_MAX,
  SEGMENT_BYTES,
  SERVER_DEAD_AFTER_MS,
  WINDOW_BYTES,
} from './link/limits.ts';
import {
  DEAD_PATHS_NAMED_MAX,
  DIGEST_BYTES,
  HEADER_BYTES,
  MAC_BYTES,
  MESSAGE_MAX_BYTES,
  OUTPUT_BUFFER_BYTES,
  SENTENCE_MAX_CHARS,
  SLOTS,
  SLOTS_RESERVED,
} from './wire/limits.ts';

assert(PATHS_PER_TRUNK_MAX < SLOTS, 'A trunk must have more slots than paths');
assert(OUTPUT_BUFFER_BYTES >= HEADER_BYTES + BODY_MAX_BYTES + 2 * DIGEST_BYTES, 'An output buffer must hold the largest frame');
assert(
  OUTPUT_QUEUED_MAX_BYTES + SLOTS * MESSAGE_MAX_BYTES < OUTPUT_HARD_MAX_BYTES,
  'A well-behaved peer must never meet the hard output bound',
);
assert(WINDOW_BYTES >= 2 * BODY_MAX_BYTES, 'The window must hold two of the largest requests');
assert(
  REPLAY_BLOCK_BYTES % SECTOR_BYTES === 0 && SEGMENT_BYTES % REPLAY_BLOCK_BYTES === 0 && Number.isInteger(Math.log2(REPLAY_SLAB_BLOCKS)),
  'A replayed request holds whole blocks, and the blocks of a slab are a power of two',
);
assert(SLOTS * 2 < REPLAY_RANGES_MAX, "The ranges reserved for requests with FUA must leave most of a replay log's ranges free");
assert(SEGMENT_BYTES <= BODY_MAX_BYTES && SEGMENT_BYTES % SECTOR_BYTES === 0, 'A segment is one frame');
assert(
  SEGMENT_BYTES % SEGMENT_MIN_BYTES === 0 && SEGMENT_MIN_BYTES % REPLAY_BLOCK_BYTES === 0,
  'A segment holds whole minimum segments, and those hold whole blocks of the replay log',
);
assert(
  FIRST_HANDSHAKE_PATIENCE_MS < HANDSHAKE_PATIENCE_MS && HANDSHAKE_PATIENCE_MS < PROOF_TIMEOUT_MS,
  'Each later timeout of a handshake must be longer',
);
assert(DEAD_AFTER_MS > DIRECTION_FAIL_HEARTBEATS * HEARTBEAT_INTERVAL_MS, 'A failed direction must show before the path is dead');
assert(SERVER_DEAD_AFTER_MS > DEAD_AFTER_MS, 'The client, which fences, must close a silent path before the server does');
assert(SENTENCE_MAX_CHARS * 3 + 256 < HANDSHAKE_MESSAGE_MAX_BYTES, 'REFUSE with the longest sentence must fit before the proof');
assert(DEAD_PATHS_NAMED_MAX * 6 + 512 < HANDSHAKE_MESSAGE_MAX_BYTES, 'PROOF with all dead paths must fit before the proof');
assert(PROBE_TURN_BYTES + SEGMENT_BYTES < OUTPUT_QUEUED_MAX_BYTES, 'A probe that reads its answers must never be closed because of them');
assert(2 * BODY_MAX_BYTES <= PROBE_WINDOW_BYTES && SLOTS_RESERVED < PROBE_SLOTS, 'WELCOME to a probe must be a valid WELCOME');
assert(8 + DISCOVERY_MESSAGE_MAX_BYTES + MAC_BYTES <= DISCOVERY_REQUEST_BYTES, 'An answer must never be larger than its request');
