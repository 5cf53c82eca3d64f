// Status numbers of answers, each with one errno and one sentence. Numbers are never reused. Each frontend maps the statuses to its own
// error numbers; NBD has fewer error numbers. Code that knows the failed object supplies a more specific message.

export const STATUS = {
  OK: 0,
  IO_ERROR: 1,
  PAST_END: 2,
  MISALIGNED: 3,
  BAD_REQUEST: 4,
  READ_ONLY: 5,
  NO_SPACE: 6,
  STALE: 7,
  UNSUPPORTED: 8,
  UNKNOWN_VOLUME: 9,
  NO_RIGHTS: 10,
  HELD: 11,
  TOO_MANY_HANDLES: 12,
  OUTCOME_UNKNOWN: 13,
  TAKEN: 14,
  OUT_OF_MEMORY: 15,
  SHUTTING_DOWN: 16,
  VOLUME_UNAVAILABLE: 17,
  REPLICA: 18,
  UNCLAIMED: 19,
  STOPPED: 20,
  BESIDE: 21,
  MOVED: 22,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

export interface StatusEntry {
  readonly status: number;
  readonly name: string;
  readonly errno: string;
  readonly sentence: string;
}

export const STATUSES: readonly StatusEntry[] = [
  { status: STATUS.OK, name: 'OK', errno: '0', sentence: 'Done' },
  { status: STATUS.IO_ERROR, name: 'IO_ERROR', errno: 'EIO', sentence: "The server's storage reported an I/O error" },
  { status: STATUS.PAST_END, name: 'PAST_END', errno: 'ENXIO', sentence: 'The range goes past the end of the volume' },
  { status: STATUS.MISALIGNED, name: 'MISALIGNED', errno: 'EDOM', sentence: "The range is not a multiple of the volume's block size" },
  { status: STATUS.BAD_REQUEST, name: 'BAD_REQUEST', errno: 'EINVAL', sentence: 'The request is not well formed' },
  { status: STATUS.READ_ONLY, name: 'READ_ONLY', errno: 'EROFS', sentence: 'The volume is open read-only' },
  { status: STATUS.NO_SPACE, name: 'NO_SPACE', errno: 'ENOSPC', sentence: "The server's storage is full" },
  { status: STATUS.STALE, name: 'STALE', errno: 'ESTALE', sentence: 'The handle was revoked: open the volume again' },
  { status: STATUS.UNSUPPORTED, name: 'UNSUPPORTED', errno: 'EOPNOTSUPP', sentence: 'The volume cannot do this' },
  { status: STATUS.UNKNOWN_VOLUME, name: 'UNKNOWN_VOLUME', errno: 'ENOENT', sentence: 'The server has no volume of this name' },
  { status: STATUS.NO_RIGHTS, name: 'NO_RIGHTS', errno: 'EACCES', sentence: 'This client may not use the volume' },
  { status: STATUS.HELD, name: 'HELD', errno: 'EBUSY', sentence: 'Another client holds the volume' },
  { status: STATUS.TOO_MANY_HANDLES, name: 'TOO_MANY_HANDLES', errno: 'EMFILE', sentence: 'The session has too many open handles' },
  {
    status: STATUS.OUTCOME_UNKNOWN,
    name: 'OUTCOME_UNKNOWN',
    errno: 'ECONNABORTED',
    sentence: 'Whether the request was executed is not known',
  },
  { status: STATUS.TAKEN, name: 'TAKEN', errno: 'EOWNERDEAD', sentence: 'Another client has taken the volume over' },
  { status: STATUS.OUT_OF_MEMORY, name: 'OUT_OF_MEMORY', errno: 'ENOMEM', sentence: 'The server is out of memory for this request' },
  { status: STATUS.SHUTTING_DOWN, name: 'SHUTTING_DOWN', errno: 'ESHUTDOWN', sentence: 'The server is shutting down' },
  {
    status: STATUS.VOLUME_UNAVAILABLE,
    name: 'VOLUME_UNAVAILABLE',
    errno: 'ENODEV',
    sentence: "The volume's storage cannot be opened at the server",
  },
  {
    status: STATUS.REPLICA,
    name: 'REPLICA',
    errno: 'EMEDIUMTYPE',
    sentence: 'The volume is a replica of a mirror, or is not one of this mirror',
  },
  { status: STATUS.UNCLAIMED, name: 'UNCLAIMED', errno: 'ENOLCK', sentence: 'The server has not promised this term of the mirror' },
  { status: STATUS.STOPPED, name: 'STOPPED', errno: 'ENOMEDIUM', sentence: 'An administrator of the server has stopped the volume' },
  { status: STATUS.BESIDE, name: 'BESIDE', errno: 'EALREADY', sentence: 'Another data process of this client uses the volume' },
  { status: STATUS.MOVED, name: 'MOVED', errno: 'EREMCHG', sentence: 'This server does not own the pool of the volume' },
];

/** Returns the entry of a status number. An unknown number from a newer peer counts as an I/O error, but keeps its number. */
export function statusEntry(status: number): StatusEntry {
  return (
    STATUSES[status] ?? {
      status,
      name: `STATUS_${status}`,
      errno: 'EIO',
      sentence: `The server answered with the unknown status ${status}`,
    }
  );
}

/** Returns the status that reports a failed system call on the server's storage. */
export function statusOfErrno(errno: string | undefined): Status {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return STATUS.NO_SPACE;
    case 'EROFS':
    case 'EPERM':
    case 'EBADF':
      return STATUS.READ_ONLY;
    case 'ENOMEM':
      return STATUS.OUT_OF_MEMORY;
    case 'ENOTSUP':
    case 'EOPNOTSUPP':
    case 'ENOTTY':
      return STATUS.UNSUPPORTED;
    default:
      return STATUS.IO_ERROR;
  }
}
