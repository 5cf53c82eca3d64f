// Bounds of frames and messages; each name includes the unit. The assertions in src/limits.ts check these bounds against the bounds of
// other folders.

import { assert } from '@rsio/base/lib/assert';
import { BODY_MAX_BYTES, SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- frames
export const HEADER_BYTES = 16;
export const DIGEST_BYTES = 4;
export const IO_MAX_SECTORS = BODY_MAX_BYTES / SECTOR_BYTES;
/** Largest message body after the handshake. A list that does not fit into one body is sent in several frames (flag MORE). */
export const MESSAGE_MAX_BYTES = 64 * KIB;
export const WIDE_UNIT_SECTORS = MIB / SECTOR_BYTES;
/** Maximum number of snapshots in one answer to the ioctl SNAPSHOTS. */
export const SNAPSHOTS_PER_ANSWER_MAX = 256;
export const EXTENTS_PER_ANSWER_MAX = 1024;
/** Largest gate record of a volume (rule D2). */
export const GATE_RECORD_MAX_BYTES = 60 * KIB;

/** Maximum number of nodes in one ioctl NODES_SEEN. */
export const NODES_SEEN_MAX = 64;

// --- session
export const SLOTS = 256;
/** Slots reserved for LIST, OPEN, CLOSE, FLUSH and ADMIN. */
export const SLOTS_RESERVED = 8;
/** Maximum number of tags (slot and seq) in one REVOKE. A client that abandons more requests leaves the session instead. */
export const REVOKE_TAGS_MAX = 4 * SLOTS;
export const DEAD_PATHS_NAMED_MAX = 128;
/** Size of an output buffer: the largest frame plus one batch. */
export const OUTPUT_BUFFER_BYTES = BODY_MAX_BYTES + 128 * KIB;
/**
 * Amount of output at which a batch is sent without waiting for the end of the event. After an event with little output, a smaller amount
 * applies (wire/encoder.ts).
 */
export const OUTPUT_BATCH_BYTES = 256 * KIB;
export const OUTPUT_BATCH_MIN_BYTES = 64 * KIB;
export const OUTPUT_BUFFERS_POOLED_MAX = 16;

// --- contents of messages
export const MESSAGE_DEPTH_MAX = 8;
export const VERSIONS_OFFERED_MAX = 16;
export const FEATURES_OFFERED_MAX = 32;
export const INTERFACES_NAMED_MAX = 64;
export const VOLUMES_PER_FRAME_MAX = 1024;
/** Maximum number of holders that a message names for one volume; the volume may have more. */
export const HOLDERS_NAMED_MAX = 32;
/**
 * Maximum length of the name of a feature. The bound is low, because a HELLO that offers all features must fit into the size limit before
 * the proof.
 */
export const FEATURE_NAME_MAX_CHARS = 32;
/** Maximum length of error codes and addresses. */
export const SHORT_TEXT_MAX_CHARS = 64;
/** Maximum length of ids, types and the parts of a verifier. */
export const TOKEN_MAX_CHARS = 128;
export const SENTENCE_MAX_CHARS = 400;
export const LBA_MAX = 2 ** 48 - 1;

// --- ADMIN
/** Longest parameters of an ADMIN, as JSON text in UTF-8. */
export const ADMIN_PARAMS_MAX_BYTES = 60 * KIB;
/** Maximum size of the part of an ADMIN answer that one frame carries. The client requests the rest of a longer answer. */
export const ADMIN_PART_MAX_BYTES = 60 * KIB;
/** Longest answer to an ADMIN, as JSON text in UTF-8. */
export const ADMIN_ANSWER_MAX_BYTES = 32 * MIB;
/** Maximum length of the id and of the method name in an ADMIN. */
export const ADMIN_ID_MAX_CHARS = 64;
/** Maximum number of unanswered ADMINs of a session. The server refuses further calls. */
export const ADMIN_PER_SESSION_MAX = 8;

// --- mirrors
/** Number of hexadecimal digits in the id of a mirror, in the id of a voter, and in the identity of a replica's data. */
export const MIRROR_ID_CHARS = 32;
/** Maximum number of members, and of voters, of a mirror. */
export const MIRROR_MEMBERS_MAX = 8;
/** Maximum number of nodes that a configuration can name as permitted to claim the mirror. */
export const MIRROR_CLIENTS_MAX = 64;
export const TERM_NUMBER_MAX = 2 ** 48;
/**
 * Largest amount by which the number of a claim may exceed the promised number. Without this bound, one claim could use up all numbers of
 * terms.
 */
export const TERM_STEP_MAX = 2 ** 20;
/** Size of the regions in which replicas mark writes (rule M2). Client and server must have the same value. */
export const MIRROR_REGION_BYTES = 4 * MIB;
export const MIRROR_REGIONS_MAX = Math.ceil(VOLUME_MAX_BYTES / MIRROR_REGION_BYTES);
/** Largest part of an intent map in one answer to the ioctl MIRROR_MAP. The map has one bit for each region. */
export const MIRROR_MAP_PART_MAX_BYTES = 32 * KIB;
/** Maximum number of ranges of regions in one ioctl MIRROR_CLEAR. */
export const MIRROR_CLEAR_RANGES_MAX = 512;
/**
 * Length of the checksum of a piece. The checksum consists of the first bytes of the piece's SHA-256. In practice, two different pieces
 * never have the same checksum.
 */
export const MIRROR_SUM_BYTES = 16;
/** Maximum number of sectors in a piece of the ioctl MIRROR_SUMS. */
export const MIRROR_SUM_PIECE_SECTORS_MAX = (64 * KIB) / SECTOR_BYTES;
/** MIRROR_SUMS_SECTORS_MAX and MIRROR_SUMS_PIECES_MAX: maximum number of sectors and of pieces in one ioctl MIRROR_SUMS. */
export const MIRROR_SUMS_SECTORS_MAX = MIB / SECTOR_BYTES;
export const MIRROR_SUMS_PIECES_MAX = 256;
/**
 * Maximum number of MIRROR_SUMS requests in progress on a handle. Each request needs a buffer for one piece of data. Further requests are
 * refused.
 */
export const SUMS_PER_HANDLE_MAX = 4;
/** Longest note of a volume. It is in the configuration of a mirror, or in the gate record of any other volume. */
export const VOLUME_NOTE_MAX_CHARS = 4096;
/** Maximum number of unanswered VOTEs of a session. The server refuses further VOTEs. */
export const VOTES_PER_SESSION_MAX = 32;

// --- handshake
export const NONCE_BYTES = 32;
export const MAC_BYTES = 32;
/** Length of the X25519 public key in HELLO and CHALLENGE. */
export const SHARE_BYTES = 32;
export const SESSION_ID_BYTES = 16;

// --- processes
/**
 * Largest instance number of a client. To mark an instance as replaced, the server stores the next higher number. The next higher number
 * must also be exactly representable as a double.
 */
export const INSTANCE_MAX = Number.MAX_SAFE_INTEGER - 1;
/** Maximum number of data processes of a client besides its main process, which is also the largest number of a data process. */
export const DATA_PROCESSES_MAX = 8;

assert(
  ADMIN_PARAMS_MAX_BYTES + KIB < MESSAGE_MAX_BYTES && ADMIN_PART_MAX_BYTES + KIB < MESSAGE_MAX_BYTES,
  'An ADMIN must fit into a frame',
);
assert(
  (MIRROR_MEMBERS_MAX * 5 + MIRROR_CLIENTS_MAX) * 2 * TOKEN_MAX_CHARS + VOLUME_NOTE_MAX_CHARS < MESSAGE_MAX_BYTES,
  'The largest configuration of a mirror must fit into a frame',
);
assert(MIRROR_MAP_PART_MAX_BYTES + KIB < MESSAGE_MAX_BYTES, 'A part of a map must fit into a frame');
assert(MIRROR_CLEAR_RANGES_MAX * 2 * 9 + KIB < MESSAGE_MAX_BYTES, 'The ranges of a MIRROR_CLEAR must fit into a frame');
assert(MIRROR_SUMS_PIECES_MAX * MIRROR_SUM_BYTES + KIB < MESSAGE_MAX_BYTES, 'The sums of a MIRROR_SUMS must fit into a frame');
assert(SLOTS_RESERVED < SLOTS / 4, 'Reserved slots leave too few for data');
