// Defines the errors that people see. Each error has a stable code and a kind. The data plane uses status numbers (wire/status.ts) instead
// of these errors.

export type ErrorKind = 'usage' | 'config' | 'rights' | 'network' | 'peer' | 'volume' | 'state' | 'system' | 'internal';

interface ErrorEntry {
  kind: ErrorKind;
}

/** All error codes. A code never changes and is never reused. To add a code, see docs/HACKING.md. */
export const ERRORS = {
  E_USAGE: { kind: 'usage' },
  E_CONFIG: { kind: 'config' },
  E_NO_CONFIG: { kind: 'config' },
  E_CHANGED: { kind: 'config' },
  E_RIGHTS: { kind: 'rights' },
  E_ADDRESS_IN_USE: { kind: 'network' },
  E_ADDRESS_MISSING: { kind: 'network' },
  E_UNREACHABLE: { kind: 'network' },
  E_TIMEOUT: { kind: 'network' },
  E_RESET: { kind: 'network' },
  E_AUTH: { kind: 'peer' },
  E_VERSION: { kind: 'peer' },
  E_NAMESPACE: { kind: 'peer' },
  E_PROTOCOL: { kind: 'peer' },
  E_NO_SESSION: { kind: 'peer' },
  E_LIMIT: { kind: 'peer' },
  E_REPLACED: { kind: 'peer' },
  E_OTHER_MACHINE: { kind: 'peer' },
  E_SHUTTING_DOWN: { kind: 'peer' },
  E_DRAINING: { kind: 'peer' },
  E_FENCED: { kind: 'peer' },
  E_TLS: { kind: 'peer' },
  E_UNKNOWN_CLIENT: { kind: 'peer' },
  E_UNKNOWN_VOLUME: { kind: 'volume' },
  E_UNKNOWN_POOL: { kind: 'volume' },
  E_UNKNOWN_SNAPSHOT: { kind: 'volume' },
  E_UNKNOWN_JOB: { kind: 'state' },
  E_NO_REFLINK: { kind: 'volume' },
  E_EXISTS: { kind: 'volume' },
  E_POOL: { kind: 'volume' },
  E_STORAGE: { kind: 'volume' },
  E_FENCE: { kind: 'volume' },
  E_SPACE: { kind: 'volume' },
  E_AMBIGUOUS: { kind: 'volume' },
  E_HELD: { kind: 'volume' },
  E_TAKEN: { kind: 'volume' },
  E_MOVED: { kind: 'volume' },
  E_READONLY: { kind: 'volume' },
  E_IN_USE: { kind: 'volume' },
  E_BUSY: { kind: 'volume' },
  E_NO_PATH: { kind: 'volume' },
  E_VOLUME: { kind: 'volume' },
  E_ALREADY_RUNNING: { kind: 'state' },
  E_NOT_RUNNING: { kind: 'state' },
  E_SOCKET_PATH: { kind: 'system' },
  E_SYSTEM: { kind: 'system' },
  E_NO_LOG: { kind: 'system' },
  E_TERMINAL: { kind: 'system' },
  E_NOT_BUILT: { kind: 'internal' },
  E_INTERNAL: { kind: 'internal' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error for people. The field `message` says what happened to which object and, after a colon, what to do. The message has no full stop
 * at the end. The field `context` contains the same facts for programs.
 */
export class RsError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, context: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RsError';
    this.code = code;
    this.kind = ERRORS[code].kind;
    this.context = context;
  }
}

/** Turns any thrown value into an RsError. For a Node system error, the message includes the errno name. */
export function toRsError(thrown: unknown): RsError {
  if (thrown instanceof RsError) return thrown;
  if (thrown instanceof Error) {
    const errno = errnoName(thrown);
    return new RsError(errno === undefined ? 'E_INTERNAL' : 'E_SYSTEM', thrown.message, errno === undefined ? {} : { errno }, thrown);
  }
  return new RsError('E_INTERNAL', String(thrown));
}

/** Returns the errno name (such as `ENOENT`) of a Node system error; undefined for any other value. */
export function errnoName(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  const code: unknown = thrown.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Returns the remedy for a system error if the remedy is the same for every operation, as for a full disk; null for any other error. */
export function errnoRemedy(errno: string | undefined): string | null {
  switch (errno) {
    case 'ENOSPC':
      return 'free space there';
    case 'EDQUOT':
      return 'free space there, or raise the quota';
    case 'EROFS':
      return 'mount its file system for writing';
    case 'EMFILE':
      return 'raise the limit of open files (ulimit -n, or LimitNOFILE= in its unit) and restart the program';
    case 'ENFILE':
      return 'raise the limit of open files of the machine (fs.file-max)';
    default:
      return null;
  }
}
