// Statuses of the data plane as the error numbers that a program gets from read(2), write(2) and fsync(2) on a raw device.
// Leaves sentences to who has room for them: an error number is all that fits here.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { ERRNO } from './fuse-constants.ts';

/** What has no number of its own there, also a status of a newer peer, reads as EIO. */
export function fuseErrno(status: Status): number {
  switch (status) {
    case STATUS.OK:
      return ERRNO.OK;
    case STATUS.PAST_END:
    case STATUS.NO_SPACE:
      return ERRNO.ENOSPC;
    case STATUS.MISALIGNED:
    case STATUS.BAD_REQUEST:
      return ERRNO.EINVAL;
    case STATUS.READ_ONLY:
      return ERRNO.EROFS;
    case STATUS.NO_RIGHTS:
      return ERRNO.EPERM;
    case STATUS.UNSUPPORTED:
      return ERRNO.EOPNOTSUPP;
    case STATUS.OUT_OF_MEMORY:
      return ERRNO.ENOMEM;
    default:
      return ERRNO.EIO;
  }
}
