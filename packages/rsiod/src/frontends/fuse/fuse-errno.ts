// Maps the status of a completed I/O request to an error number. Programs get this number from read(2), write(2) or fsync(2) on a raw
// device. An error number carries no message, so the messages are in the events and in the log.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { ERRNO } from './fuse-constants.ts';

/** Statuses that are not listed here become EIO, as do unknown statuses of newer servers. */
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
