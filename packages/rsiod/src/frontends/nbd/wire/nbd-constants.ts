// The constants that this frontend uses from the NBD protocol (fixed newstyle). The names are those of the protocol specification. This
// file contains only constants; nbd-handshake.ts and nbd-connection.ts decide what the constants mean for a volume.

/** The largest value of a field of 32 bits. */
export const U32_MAX = 2 ** 32 - 1;

/** The 64-bit magic numbers are stored as buffers, so that no bigint is needed. */
export const MAGIC = {
  INIT: Buffer.from('NBDMAGIC', 'latin1'),
  OPTION: Buffer.from('IHAVEOPT', 'latin1'),
  OPTION_REPLY: Buffer.from('0003e889045565a9', 'hex'),
  REQUEST: 0x25609513,
  SIMPLE_REPLY: 0x67446698,
  STRUCTURED_REPLY: 0x668e33ef,
} as const;

export const HANDSHAKE_FLAG = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;

export const TRANSMISSION_FLAG = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
} as const;

/** Other options, such as STARTTLS (5) and EXTENDED_HEADERS (11), are answered as unsupported. */
export const OPTION = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
} as const;

export const OPTION_REPLY = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_UNKNOWN: 0x80000006,
  ERR_TOO_BIG: 0x80000009,
} as const;

export const INFO = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;

export const COMMAND = { READ: 0, WRITE: 1, DISC: 2, FLUSH: 3, TRIM: 4, CACHE: 5, WRITE_ZEROES: 6, BLOCK_STATUS: 7 } as const;

export const COMMAND_FLAG = { FUA: 1 << 0, NO_HOLE: 1 << 1, DF: 1 << 2, REQ_ONE: 1 << 3, FAST_ZERO: 1 << 4 } as const;

export const CHUNK = { NONE: 0, OFFSET_DATA: 1, BLOCK_STATUS: 5, ERROR: 0x8001, ERROR_OFFSET: 0x8002 } as const;
export const CHUNK_FLAG_DONE = 1;

export const STATE = { HOLE: 1 << 0, ZERO: 1 << 1 } as const;
/** The flag in a context qemu:dirty-bitmap that marks a changed block. */
export const STATE_DIRTY = 1 << 0;

export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;
export const REQUEST_HEADER_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_HEADER_BYTES = 20;
/** Length of the header and the offset before the data in an OFFSET_DATA chunk. The data of a READ never has a longer prefix. */
export const DATA_CHUNK_PREFIX_BYTES = CHUNK_HEADER_BYTES + 8;
/** Number of zero bytes at the end of the answer to EXPORT_NAME, unless the client has declined these bytes. */
export const EXPORT_NAME_PADDING_BYTES = 124;

export const PREFERRED_BLOCK_BYTES = 4096;
export const ALLOCATION_CONTEXT = 'base:allocation';
export const ALLOCATION_CONTEXT_ID = 1;
/**
 * A context with this prefix and the name of an older snapshot tells what has changed since that snapshot. The programs of qemu understand
 * contexts with this prefix.
 */
export const DIRTY_CONTEXT = 'qemu:dirty-bitmap:';
/**
 * A context with this prefix and the id of an older snapshot tells what has changed since that snapshot. Such a context, which is never
 * listed, is for programs that must not use another snapshot with the same name.
 */
export const CHANGED_CONTEXT = 'rsio:changed-since:';
