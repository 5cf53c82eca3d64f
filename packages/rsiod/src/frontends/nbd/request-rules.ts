// Checks the form, flags and size of an NBD client's requests, and whether the negotiation permits the requests. Pure. The volume checks
// range, alignment and rights. Invariant: a request that is refused here is answered without touching the volume.

import { NBD_REQUEST_MAX_BYTES } from '../limits.ts';
import { type NbdRequestHeader, offsetBytes } from './wire/nbd-codec.ts';
import { COMMAND, COMMAND_FLAG } from './wire/nbd-constants.ts';
import { NBD_ERRNO } from './wire/nbd-errno.ts';
import type { Transmission } from './nbd-handshake.ts';

export interface Refusal {
  readonly errno: number;
  readonly sentence: string;
}

const REFUSAL = {
  UNKNOWN: { errno: NBD_ERRNO.EINVAL, sentence: 'Unknown command' },
  FLAGS: { errno: NBD_ERRNO.EINVAL, sentence: 'The command has a flag that was not negotiated' },
  EMPTY: { errno: NBD_ERRNO.EINVAL, sentence: 'The request is empty' },
  LONG: { errno: NBD_ERRNO.EINVAL, sentence: `The request has more than ${NBD_REQUEST_MAX_BYTES} bytes` },
  LONG_DF: { errno: NBD_ERRNO.EOVERFLOW, sentence: `More than ${NBD_REQUEST_MAX_BYTES} bytes do not fit one chunk` },
  FLUSH: { errno: NBD_ERRNO.EINVAL, sentence: 'A flush must not have an offset or a length' },
  TRIM: { errno: NBD_ERRNO.EINVAL, sentence: 'This export does not offer TRIM' },
  CACHE_END: { errno: NBD_ERRNO.EINVAL, sentence: 'The range is past the end of the volume' },
  SLOW_ZERO: { errno: NBD_ERRNO.ENOTSUP, sentence: 'Zeroing this range is not faster than writing it' },
  STATUS: { errno: NBD_ERRNO.EINVAL, sentence: 'No metadata context was selected' },
} as const satisfies Record<string, Refusal>;

/** The flags that a command may have; undefined if there is no such command. FUA is legal in every command. */
function legalFlags(type: number, agreed: Transmission): number | undefined {
  switch (type) {
    case COMMAND.READ:
      return agreed.isStructured ? COMMAND_FLAG.FUA | COMMAND_FLAG.DF : COMMAND_FLAG.FUA;
    case COMMAND.WRITE:
    case COMMAND.FLUSH:
    case COMMAND.TRIM:
      return COMMAND_FLAG.FUA;
    case COMMAND.CACHE:
      return COMMAND_FLAG.FUA;
    case COMMAND.WRITE_ZEROES:
      return COMMAND_FLAG.FUA | COMMAND_FLAG.NO_HOLE | COMMAND_FLAG.FAST_ZERO;
    case COMMAND.BLOCK_STATUS:
      return COMMAND_FLAG.FUA | COMMAND_FLAG.REQ_ONE;
    default:
      return undefined;
  }
}

/** Returns the reason why a request is not passed to the volume, or null if the request is passed. */
export function refusalOf(header: NbdRequestHeader, agreed: Transmission): Refusal | null {
  const { type, flags, lengthBytes } = header;
  const legal = legalFlags(type, agreed);
  if (legal === undefined) return REFUSAL.UNKNOWN;
  if ((flags & ~legal) !== 0) return REFUSAL.FLAGS;
  if (type === COMMAND.FLUSH) return lengthBytes === 0 && header.offsetHigh === 0 && header.offsetLow === 0 ? null : REFUSAL.FLUSH;
  if (lengthBytes === 0) return REFUSAL.EMPTY;
  const { canDiscard, readonly, sizeBytes } = agreed.volume;
  // A TRIM or FAST_ZERO to a read-only volume is passed to the volume, because the volume's answer READ_ONLY tells the client more than a
  // refusal here.
  if (type === COMMAND.TRIM && !canDiscard && !readonly) return REFUSAL.TRIM;
  if (type === COMMAND.CACHE && offsetBytes(header.offsetHigh, header.offsetLow) + lengthBytes > sizeBytes) return REFUSAL.CACHE_END;
  // A zeroed range is fast if it becomes a hole. rsiod does not know whether a server zeroes an allocated range fast.
  const isFast = canDiscard && (flags & COMMAND_FLAG.NO_HOLE) === 0;
  if ((flags & COMMAND_FLAG.FAST_ZERO) !== 0 && !isFast && !readonly) return REFUSAL.SLOW_ZERO;
  if (type === COMMAND.BLOCK_STATUS && agreed.contexts.length === 0) return REFUSAL.STATUS;
  if (lengthBytes > NBD_REQUEST_MAX_BYTES && hasData(type)) {
    return (flags & COMMAND_FLAG.DF) !== 0 ? REFUSAL.LONG_DF : REFUSAL.LONG;
  }
  return null;
}

/**
 * True if a command is READ or WRITE. Only the length of READ and WRITE is limited, because only they transfer as many bytes as their
 * length.
 */
export function hasData(type: number): boolean {
  return type === COMMAND.READ || type === COMMAND.WRITE;
}
