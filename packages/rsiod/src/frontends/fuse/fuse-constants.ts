// The constants that raw devices use from the kernel's FUSE protocol, version 7.28 and later. The names are those of the kernel's header
// file. All fields are little-endian, because all supported machines are little-endian.

export const OPCODE = {
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  LSEEK: 46,
} as const;

/** Key: opcode. Value: minimum length of the request's body. */
export const BODY_BYTES: Readonly<Partial<Record<number, number>>> = {
  [OPCODE.FORGET]: 8,
  [OPCODE.GETATTR]: 16,
  [OPCODE.SETATTR]: 88,
  [OPCODE.OPEN]: 8,
  [OPCODE.READ]: 40,
  [OPCODE.WRITE]: 40,
  [OPCODE.STATFS]: 0,
  [OPCODE.RELEASE]: 24,
  [OPCODE.FSYNC]: 16,
  [OPCODE.FLUSH]: 24,
  [OPCODE.INIT]: 16,
  [OPCODE.INTERRUPT]: 8,
  [OPCODE.DESTROY]: 0,
  [OPCODE.BATCH_FORGET]: 8,
  [OPCODE.FALLOCATE]: 32,
  [OPCODE.LSEEK]: 24,
};

export const MAJOR = 7;
/**
 * The oldest (Linux 4.20) and the newest supported minor version. The kernel and rsiod use MINOR_MAX, or the kernel's minor version if the
 * kernel is older.
 */
export const MINOR_MIN = 28;
export const MINOR_MAX = 40;

export const INIT_FLAG = { ASYNC_READ: 1 << 0, BIG_WRITES: 1 << 5, ASYNC_DIO: 1 << 15, MAX_PAGES: 1 << 22, EXTENDED: 1 << 30 } as const;
export const INIT_FLAG2 = { HAS_RESEND: 1 << 7 } as const;
/** Codes of notifications. A notification carries its code in the error field of a reply. */
export const NOTIFY = { RESEND: 7 } as const;
export const OPEN_FLAG = { DIRECT_IO: 1 << 0, KEEP_CACHE: 1 << 1, NOFLUSH: 1 << 5, PARALLEL_DIRECT_WRITES: 1 << 6 } as const;
/** Flags in SETATTR that say which fields are valid. */
export const SET = { MODE: 1 << 0, UID: 1 << 1, GID: 1 << 2, SIZE: 1 << 3, FH: 1 << 6 } as const;
export const FALLOCATE = { KEEP_SIZE: 1 << 0, PUNCH_HOLE: 1 << 1, ZERO_RANGE: 1 << 4 } as const;
export const SEEK = { DATA: 3, HOLE: 4 } as const;
/** O_ACCMODE and O_DSYNC are flags of open(2), with the values that the kernel passes in requests. */
export const O_ACCMODE = 3;
export const O_DSYNC = 0o10000;

export const ERRNO = {
  OK: 0,
  EPERM: 1,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
} as const;

export const REQUEST_HEADER_BYTES = 40;
export const REPLY_HEADER_BYTES = 16;
/** Number of bytes before the data in a WRITE request. */
export const WRITE_PREFIX_BYTES = REQUEST_HEADER_BYTES + 40;
/** Length of the longest reply other than the reply to a READ. */
export const ATTR_REPLY_BYTES = REPLY_HEADER_BYTES + 104;

/** MODE_REGULAR is the file mode of a regular file without permission bits. MODE_PERMISSIONS masks the permission bits of a file mode. */
export const MODE_REGULAR = 0o100000;
export const MODE_PERMISSIONS = 0o7777;
/** The inode of the raw device's file, which is itself the root of the FUSE file system. */
export const ROOT_INODE = 1;
