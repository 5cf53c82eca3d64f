// Maps the statuses with which I/O requests complete to the error numbers that programs get from read(2), write(2) and fsync(2) on a raw
// device. An error number carries no message, so the messages are in the events and in the log.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { ERRNO } from './fuse-constants.ts';

/** Statuses that are not listed here become EIO, including those of newer servers that this version does not know. */
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
