// Errors that people see. Each has a stable code, a kind, and whether trying again can help.
// The data plane does not use them: there an outcome is a status number (wire/status.ts).

export type ErrorKind = 'usage' | 'config' | 'rights' | 'network' | 'peer' | 'volume' | 'state' | 'system' | 'internal';

interface ErrorEntry {
  kind: ErrorKind;
  /** True when the same call may succeed later without anybody changing anything. */
  retry: boolean;
}

/** Every stable error code. Codes are never reused; docs/HACKING.md tells how to add one. */
export const ERRORS = {
  E_USAGE: { kind: 'usage', retry: false },
  E_CONFIG: { kind: 'config', retry: false },
  E_NO_CONFIG: { kind: 'config', retry: false },
  E_CHANGED: { kind: 'config', retry: true },
  E_RIGHTS: { kind: 'rights', retry: false },
  E_ADDRESS_IN_USE: { kind: 'network', retry: false },
  E_ADDRESS_MISSING: { kind: 'network', retry: true },
  E_UNREACHABLE: { kind: 'network', retry: true },
  E_TIMEOUT: { kind: 'network', retry: true },
  E_RESET: { kind: 'network', retry: true },
  E_AUTH: { kind: 'peer', retry: true },
  E_VERSION: { kind: 'peer', retry: true },
  E_NAMESPACE: { kind: 'peer', retry: true },
  E_PROTOCOL: { kind: 'peer', retry: true },
  E_NO_SESSION: { kind: 'peer', retry: true },
  E_LIMIT: { kind: 'peer', retry: true },
  E_REPLACED: { kind: 'peer', retry: false },
  E_OTHER_MACHINE: { kind: 'peer', retry: true },
  E_SHUTTING_DOWN: { kind: 'peer', retry: true },
  E_DRAINING: { kind: 'peer', retry: true },
  E_UNKNOWN_VOLUME: { kind: 'volume', retry: false },
  E_AMBIGUOUS: { kind: 'volume', retry: false },
  E_HELD: { kind: 'volume', retry: true },
  E_TAKEN: { kind: 'volume', retry: false },
  E_READONLY: { kind: 'volume', retry: false },
  E_IN_USE: { kind: 'volume', retry: true },
  E_NO_PATH: { kind: 'volume', retry: true },
  E_VOLUME: { kind: 'volume', retry: true },
  E_ALREADY_RUNNING: { kind: 'state', retry: false },
  E_NOT_RUNNING: { kind: 'state', retry: false },
  E_SOCKET_PATH: { kind: 'system', retry: false },
  E_SYSTEM: { kind: 'system', retry: true },
  E_NO_LOG: { kind: 'system', retry: false },
  E_TERMINAL: { kind: 'system', retry: false },
  E_NOT_BUILT: { kind: 'internal', retry: false },
  E_INTERNAL: { kind: 'internal', retry: false },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error for people: `message` is a sentence (no full stop) that names the object and its numbers, and says what to do
 * after a colon. `context` holds the same facts for programs.
 */
export class RsError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly retry: boolean;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, context: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RsError';
    this.code = code;
    this.kind = ERRORS[code].kind;
    this.retry = ERRORS[code].retry;
    this.context = context;
  }
}

/** Turns anything thrown into an RsError; a Node system error keeps its errno name in the sentence. */
export function toRsError(thrown: unknown): RsError {
  if (thrown instanceof RsError) return thrown;
  if (thrown instanceof Error) {
    const errno = errnoName(thrown);
    return new RsError(errno === undefined ? 'E_INTERNAL' : 'E_SYSTEM', thrown.message, errno === undefined ? {} : { errno }, thrown);
  }
  return new RsError('E_INTERNAL', String(thrown));
}

/** The errno name (`ENOENT`) of a Node system error, else undefined. */
export function errnoName(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  const code: unknown = thrown.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** What to do about a system error whose cause is a bound of the machine, whatever was being done; null: it depends on that. */
export function errnoRemedy(errno: string | undefined): string | null {
  switch (errno) {
    case 'ENOSPC':
      return 'free space there';
    case 'EDQUOT':
      return 'free space there, or raise the quota';
    case 'EROFS':
      return 'mount its file system for writing';
    case 'EMFILE':
      return 'raise the number of files that the program may have open (ulimit -n, or LimitNOFILE= of its unit), and start it anew';
    case 'ENFILE':
      return 'raise the number of files that the machine may have open (fs.file-max)';
    default:
      return null;
  }
}
