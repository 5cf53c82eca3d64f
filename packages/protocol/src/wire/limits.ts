// Bounds of frames and messages: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { assert } from '@rsio/common/lib/assert';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/common/lib/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- frames
export const HEADER_BYTES = 16;
export const DIGEST_BYTES = 4;
export const IO_MAX_SECTORS = BODY_MAX_BYTES / SECTOR_BYTES;
/** Largest message body after the handshake; a longer list comes in several frames (flag MORE). */
export const MESSAGE_MAX_BYTES = 64 * KIB;
export const WIDE_UNIT_SECTORS = MIB / SECTOR_BYTES;
export const EXTENTS_PER_ANSWER_MAX = 1024;

// --- session
export const SLOTS = 256;
/** Kept for LIST, OPEN, CLOSE and FLUSH. */
export const SLOTS_RESERVED = 8;
/** Tags that one REVOKE names, as slot and seq; I/O of more is given up with the session. */
export const REVOKE_TAGS_MAX = 4 * SLOTS;
export const DEAD_PATHS_NAMED_MAX = 128;
/** Size of one output buffer: the largest frame, and room to go on batching behind it. */
export const OUTPUT_BUFFER_BYTES = BODY_MAX_BYTES + 128 * KIB;
/** Filled output at which a batch is sent without waiting for the end of the event; less after events that said little (wire/encoder.ts). */
export const OUTPUT_BATCH_BYTES = 256 * KIB;
export const OUTPUT_BATCH_MIN_BYTES = 64 * KIB;
export const OUTPUT_BUFFERS_POOLED_MAX = 16;

// --- messages: what one may hold (lists of paths, slots, extents: with their subject)
export const MESSAGE_DEPTH_MAX = 8;
export const VERSIONS_OFFERED_MAX = 16;
export const FEATURES_OFFERED_MAX = 32;
export const INTERFACES_NAMED_MAX = 64;
export const VOLUMES_PER_FRAME_MAX = 1024;
/** Holders of one volume that a message names; there may be more. */
export const HOLDERS_NAMED_MAX = 32;
/** So short that a HELLO with all of its features fits before the proof. */
export const FEATURE_NAME_MAX_CHARS = 32;
/** Error codes, addresses. */
export const SHORT_TEXT_MAX_CHARS = 64;
/** Ids, a verifier's parts, types. */
export const TOKEN_MAX_CHARS = 128;
export const SENTENCE_MAX_CHARS = 400;
export const LBA_MAX = 2 ** 48 - 1;

// --- handshake
export const NONCE_BYTES = 32;
export const MAC_BYTES = 32;
export const SESSION_ID_BYTES = 16;

// --- processes
/** Instance numbers of a client; the one above the last marks that as replaced and must be exact, too. */
export const INSTANCE_MAX = Number.MAX_SAFE_INTEGER - 1;

assert(SLOTS_RESERVED < SLOTS / 4, 'Reserved slots leave too few for data');
