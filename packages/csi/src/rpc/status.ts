// The statuses of gRPC, and the status for each error of RSIO. Pure. Invariant: if a change may still be made after an error, the
// error gets a status after which orchestrators repeat the call.

import type { ErrorCode } from '@rsio/base/lib/errors';
import { toRsError } from '@rsio/base/lib/errors';
import { CSI_SENTENCE_MAX_CHARS } from '../limits.ts';

/** Numbers that gRPC gives to its statuses. */
export const CODE = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

export type Code = keyof typeof CODE;

/** An error of a call. The message says what happened, to what, and what to do. */
export class CsiError extends Error {
  readonly status: Code;

  constructor(status: Code, message: string) {
    super(message);
    this.name = 'CsiError';
    this.status = status;
  }
}

/** The status of each error of RSIO. An error that is not here is INTERNAL. */
const STATUSES: Readonly<Partial<Record<ErrorCode, Code>>> = {
  E_USAGE: 'INVALID_ARGUMENT',
  E_AMBIGUOUS: 'INVALID_ARGUMENT',
  E_UNKNOWN_POOL: 'INVALID_ARGUMENT',
  E_UNKNOWN_VOLUME: 'NOT_FOUND',
  E_UNKNOWN_SNAPSHOT: 'NOT_FOUND',
  E_UNKNOWN_CLIENT: 'NOT_FOUND',
  E_UNKNOWN_JOB: 'NOT_FOUND',
  E_EXISTS: 'ALREADY_EXISTS',
  E_RIGHTS: 'PERMISSION_DENIED',
  E_AUTH: 'PERMISSION_DENIED',
  E_SPACE: 'RESOURCE_EXHAUSTED',
  E_LIMIT: 'RESOURCE_EXHAUSTED',
  E_HELD: 'FAILED_PRECONDITION',
  E_TAKEN: 'FAILED_PRECONDITION',
  E_IN_USE: 'FAILED_PRECONDITION',
  E_READONLY: 'FAILED_PRECONDITION',
  E_NO_REFLINK: 'FAILED_PRECONDITION',
  E_FENCED: 'FAILED_PRECONDITION',
  E_FENCE: 'FAILED_PRECONDITION',
  E_VERSION: 'FAILED_PRECONDITION',
  E_BUSY: 'ABORTED',
  E_TIMEOUT: 'DEADLINE_EXCEEDED',
  E_NO_PATH: 'UNAVAILABLE',
  E_UNREACHABLE: 'UNAVAILABLE',
  E_RESET: 'UNAVAILABLE',
  E_NOT_RUNNING: 'UNAVAILABLE',
  E_NO_SESSION: 'UNAVAILABLE',
  E_SHUTTING_DOWN: 'UNAVAILABLE',
  E_DRAINING: 'UNAVAILABLE',
  E_MOVED: 'UNAVAILABLE',
  E_POOL: 'UNAVAILABLE',
  E_STORAGE: 'UNAVAILABLE',
};

/** Returns the error of a call for anything that was thrown. The message of an error of RSIO ends with its code. */
export function toCsiError(thrown: unknown): CsiError {
  if (thrown instanceof CsiError) return thrown;
  const { code, message } = toRsError(thrown);
  return new CsiError(STATUSES[code] ?? 'INTERNAL', `${message} [${code}]`);
}

/** Shortens the sentence so that it fits into a header. */
export function sentenceOf({ message }: CsiError): string {
  return message.length <= CSI_SENTENCE_MAX_CHARS ? message : `${message.slice(0, CSI_SENTENCE_MAX_CHARS - 3)}...`;
}
