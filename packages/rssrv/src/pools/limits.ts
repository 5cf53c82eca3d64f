// Bounds of pools: their content, their files on disk, requests, schedules, snapshots. Units are in the names. Invariant: each bound is
// defined once, and relations between bounds are asserted here.

import { POOLS_MAX } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/base/lib/assert';

// --- pools

/** Maximum number of volumes in all pools of a server together. Sections [volume] do not count. */
export const POOL_VOLUMES_MAX = 10_000;
/** Maximum number of pool volumes that one client has created. Removed volumes count, here and in POOL_VOLUMES_MAX. */
export const POOL_VOLUMES_PER_CLIENT_MAX = 2_500;
/** Maximum number of removed volumes that one request deletes for good. */
export const PURGED_AT_ONCE_MAX = 256;
/** Time for which a removed volume can be restored, as the servers of its pool have seen it pass. */
export const REMOVED_KEPT_MS = 24 * 60 * 60 * 1_000;
/** The age of a removed volume is saved when it has grown by this much. A restart forgets at most this much, and the time until a look. */
export const REMOVED_AGE_STEP_MS = 10 * 60 * 1_000;
/** Maximum number of removed volumes whose ages one look saves. */
export const REMOVED_AGES_SAVED_MAX = 64;
/** Longest time for which the server waits until a pool's file system reports its free space. */
export const SPACE_WAIT_MS = 1_000;
/** Longest time for a change of a pool's files. The allocation of a thick volume may take longer. */
export const POOL_CHANGE_MS = 30_000;
/** When a removed volume is deleted for good, this much time for each of its snapshots is added to POOL_CHANGE_MS. */
export const PURGE_SNAPSHOT_MS = 1_000;
/** If the opening or reading of a pool makes no progress for this time, the server stops waiting for the pool. */
export const POOL_SILENT_MS = 30_000;
/** Delay after which the remembered volumes of the pools are saved, so that many changes are saved together. */
export const POOL_MEMORY_SAVE_MS = 1_000;
/** The server warns when the usage of a pool's file system reaches one of these percentages. The highest percentage comes first. */
export const FULL_PERCENTS = [95, 90, 80] as const;
/** A warning ends when the usage falls below its percentage by this much. */
export const FULL_LESS_PERCENT = 2;
/** Waiting writes continue when the reserve plus 1/RESERVE_ROOM_PART of the file system (at most RESERVE_ROOM_MAX_BYTES) is free. */
export const RESERVE_ROOM_PART = 100;
export const RESERVE_ROOM_MAX_BYTES = 1024 ** 3;
/**
 * A pool with less than this above its reserve is measured more often, because a fast disk can write this much between two ordinary
 * measurements.
 */
export const SPACE_NEAR_BYTES = 16 * 1024 ** 3;

// --- pools/space: how fast pools grow.

/** Interval at which the used space of a pool is noted. */
export const PACE_INTERVAL_MS = 6 * 60 * 60 * 1_000;
/** Windows of the two paces. Older samples are dropped. */
export const PACE_WEEK_MS = 7 * 24 * 60 * 60 * 1_000;
export const PACE_MONTH_MS = 30 * 24 * 60 * 60 * 1_000;
/** A pace is known once samples cover 1/PACE_PART of its window. */
export const PACE_PART = 4;
/** Maximum number of samples of a pool. */
export const PACE_SAMPLES_MAX = 128;
/** Maximum number of pools whose samples are kept: those of the configuration, and as many that are gone or mounted elsewhere. */
export const PACE_POOLS_MAX = 2 * POOLS_MAX;
/** A pool that would be full only after this time does not count as growing. */
export const PACE_FAR_MS = 10 * 365 * 24 * 60 * 60 * 1_000;
/** If the wall clock was set back by at most this much between two runs of the server, the time between them counts as 0. */
export const PACE_SET_BACK_MAX_MS = 6 * 60 * 60 * 1_000;

assert(PACE_MONTH_MS / PACE_INTERVAL_MS < PACE_SAMPLES_MAX, 'The samples of the longest window must have room');
assert(PACE_SET_BACK_MAX_MS <= PACE_INTERVAL_MS, 'A clock that was set back must not make a pace much too fast');

// --- pools/disk: files and folders in a pool, and spare space for changes that free space.

/** Maximum number of files of a `concat` or `stripe` volume. */
export const PARTS_MAX = 16;
export const STRIPE_CHUNK_MIN_BYTES = 4_096;
export const STRIPE_CHUNK_MAX_BYTES = 64 * 1024 * 1024;
/** Longest id of a request. Programs use a UUID as the id. */
export const REQUEST_ID_MAX_CHARS = 64;
/** A larger manifest is refused before it is parsed. A manifest with 4096 client names of 63 bytes has less than 600 KiB. */
export const MANIFEST_MAX_BYTES = 1024 * 1024;
/** Maximum length of the first line in a gate record's file. */
export const GATE_RECORD_HEAD_BYTES = 256;
/** Number of manifests that are read at a time when a pool is opened. */
export const MANIFEST_READS_MAX = 32;
/** Maximum number of findings about a pool that are kept and shown. */
export const POOL_FINDINGS_MAX = 100;
/**
 * Time limit of the allocation for a thick volume: ALLOCATE_MIN_MS, plus ALLOCATE_MS_PER_GIB for each GiB, but at most ALLOCATE_MAX_MS.
 * The limit is needed because other changes of the server wait until the allocation ends.
 */
export const ALLOCATE_MS_PER_GIB = 10_000;
export const ALLOCATE_MIN_MS = 10_000;
export const ALLOCATE_MAX_MS = 300_000;
/** Space is allocated in steps of this size, so that an allocation whose time is over ends. */
export const ALLOCATE_STEP_BYTES = 4 * 1024 ** 3;

// Spare files.

/**
 * Number of spare files. On a full file system, this many changes such as removals can begin before one of these changes has freed
 * space.
 */
export const SPARE_FILES = 8;
/** The ledger of a pool is padded to a multiple of this size. A ledger that stays below a multiple never needs new space. */
export const LEDGER_STEP_BYTES = 64 * 1024;
/** Size of a spare file. A manifest with some hundred client names fits into a spare file. */
export const SPARE_BYTES = 64 * 1024;
/** Spare files are made only while the file system has at least this much free space, so that they never take the last space. */
export const SPARE_ROOM_BYTES = 4 * 1024 * 1024;

// --- pools/requests

/** Number of requests whose answers the server keeps. */
export const REQUESTS_KEPT = 1_000;
/** Maximum number of lines of the journal. A longer journal is rewritten with the kept requests only. */
export const JOURNAL_LINES_MAX = 3 * REQUESTS_KEPT;
/** Longest answer that the journal keeps. In place of a longer answer, the journal keeps an error that says that the change was made. */
export const JOURNAL_ANSWER_MAX_BYTES = 256 * 1024;
/** If the file of the journal is larger than this, the server does not read it. */
export const JOURNAL_MAX_BYTES = 256 * 1024 * 1024;
/**
 * Longest time for which a change waits until the journal contains the previous change. The wait is bounded because the file system of
 * the journal may not answer.
 */
export const JOURNAL_HOLD_MS = 2_000;

// --- pools/schedules

/**
 * SCHEDULE_RULES_MAX: maximum number of rules of a schedule. SCHEDULE_KEPT_MAX: maximum number of snapshots that all rules of a
 * schedule keep together.
 */
export const SCHEDULE_RULES_MAX = 8;
export const SCHEDULE_KEPT_MAX = 900;
export const SCHEDULE_TEXT_MAX_CHARS = 256;
export const SCHEDULE_PERIOD_MIN_MS = 60_000;
export const SCHEDULE_PERIOD_MAX_MS = 366 * 24 * 60 * 60 * 1_000;
/** If old snapshots of a rule cannot be removed, the rule stops making snapshots once it has this many more snapshots than it must keep. */
export const SCHEDULE_EXTRA_MAX = 16;

// --- pools/snapshots: copies that share blocks, and files of snapshots.

/** SNAPSHOTS_MAX: maximum number of snapshots of one volume. SNAPSHOTS_ALL_MAX: maximum number of snapshots of all volumes of a server. */
export const SNAPSHOTS_MAX = 1_000;
export const SNAPSHOTS_ALL_MAX = 100_000;
/** Maximum number of snapshots, of all volumes together, that count for one client. */
export const SNAPSHOTS_PER_CLIENT_MAX = 25_000;
/** Maximum number of volumes that one request can snapshot at one moment. */
export const SNAPSHOT_GROUP_MAX = 64;
/** A file with at most this number of extents is cloned in one piece. Cloning holds writes for 7 to 8 us per extent. */
export const WHOLE_EXTENTS_MAX = 500;
/**
 * Size of the chunks of a file with more than WHOLE_EXTENTS_MAX extents. If a chunk would have more than CHUNK_EXTENTS_MAX extents,
 * the file gets smaller chunks.
 */
export const CHUNK_MAX_BYTES = 16 * 1024 * 1024;
export const CHUNK_EXTENTS_MAX = 128;
/**
 * A chunk that is smaller than CHUNK_MAX_BYTES has at most this number of extents. A chunk of CHUNK_MIN_BYTES, which is not made smaller,
 * may have more extents. A write waits for such a chunk about a third as long as for a chunk with CHUNK_EXTENTS_MAX extents.
 */
export const SMALL_CHUNK_EXTENTS_MAX = 32;
/** Size of the smallest chunks. A chunk of this size has SMALL_CHUNK_EXTENTS_MAX extents if each extent has 8 KiB. */
export const CHUNK_MIN_BYTES = 256 * 1024;
/** Maximum number of chunks, which bounds the memory that records cloned chunks. A file that would have more chunks gets larger chunks. */
export const CHUNKS_MAX = 65_536;
/**
 * The extents of a file are counted piece by piece. A piece has between CHUNK_MIN_BYTES and COUNT_MAX_BYTES, because the file system
 * blocks writes while it counts.
 */
export const COUNT_MAX_BYTES = 1024 * 1024 * 1024;
/** After a piece with more extents than this, the next piece is smaller. */
export const COUNT_EXTENTS_MAX = 500;
/**
 * Maximum number of volumes whose snapshots are read at the same time, and maximum number of snapshots that are read at the same time
 * for each of these volumes.
 */
export const SNAPSHOT_READS_MAX = 8;
/** Maximum number of moments that are not confirmed. Further moments are refused, so that the other server cannot fill the pools. */
export const MOMENTS_UNCONFIRMED_MAX = 4;
