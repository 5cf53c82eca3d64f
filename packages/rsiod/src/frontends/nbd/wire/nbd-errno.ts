// The only table that maps statuses to the error numbers of NBD. NBD has only eight error numbers, so statuses without an equivalent become
// EIO. Structured replies also carry the message of the status.

import { STATUS, type Status } from '@rsio/protocol/wire/status';

export const NBD_ERRNO = {
  OK: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

const BY_STATUS = {
  [STATUS.OK]: NBD_ERRNO.OK,
  [STATUS.IO_ERROR]: NBD_ERRNO.EIO,
  [STATUS.PAST_END]: NBD_ERRNO.EINVAL,
  [STATUS.MISALIGNED]: NBD_ERRNO.EINVAL,
  [STATUS.BAD_REQUEST]: NBD_ERRNO.EINVAL,
  [STATUS.READ_ONLY]: NBD_ERRNO.EPERM,
  [STATUS.NO_SPACE]: NBD_ERRNO.ENOSPC,
  [STATUS.STALE]: NBD_ERRNO.EIO,
  [STATUS.UNSUPPORTED]: NBD_ERRNO.ENOTSUP,
  [STATUS.UNKNOWN_VOLUME]: NBD_ERRNO.EIO,
  [STATUS.NO_RIGHTS]: NBD_ERRNO.EPERM,
  [STATUS.HELD]: NBD_ERRNO.EIO,
  [STATUS.TOO_MANY_HANDLES]: NBD_ERRNO.EIO,
  [STATUS.OUTCOME_UNKNOWN]: NBD_ERRNO.EIO,
  [STATUS.TAKEN]: NBD_ERRNO.EIO,
  [STATUS.OUT_OF_MEMORY]: NBD_ERRNO.ENOMEM,
  [STATUS.SHUTTING_DOWN]: NBD_ERRNO.ESHUTDOWN,
  [STATUS.VOLUME_UNAVAILABLE]: NBD_ERRNO.EIO,
  [STATUS.REPLICA]: NBD_ERRNO.EIO,
  [STATUS.UNCLAIMED]: NBD_ERRNO.EIO,
  [STATUS.STOPPED]: NBD_ERRNO.EIO,
  [STATUS.BESIDE]: NBD_ERRNO.EIO,
  [STATUS.MOVED]: NBD_ERRNO.EIO,
} as const satisfies Record<Status, number>;

/**
 * Returns the NBD error number for a status. Past the end of the volume, WRITE and WRITE_ZEROES (`needsRoom`) get ENOSPC; all other
 * commands get EINVAL. Unknown statuses of newer servers become EIO.
 */
export function nbdErrno(status: Status, needsRoom: boolean): number {
  if (status === STATUS.PAST_END && needsRoom) return NBD_ERRNO.ENOSPC;
  return BY_STATUS[status] ?? NBD_ERRNO.EIO;
}
