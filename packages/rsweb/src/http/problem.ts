// Errors of the HTTP interface as problem details (RFC 9457). Pure. Invariants: each error code has one status; a problem says what the
// message of the error says, and nothing about the inside of rsweb.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Answer } from './answer.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** 401 is only for tokens of rsweb: a program would ask its user for another token. */
const STATUSES = {
  E_USAGE: 400,
  E_CONFIG: 422,
  E_NO_CONFIG: 422,
  E_CHANGED: 409,
  E_RIGHTS: 403,
  E_ADDRESS_IN_USE: 409,
  E_ADDRESS_MISSING: 422,
  E_UNREACHABLE: 502,
  E_TIMEOUT: 504,
  E_RESET: 502,
  E_AUTH: 502,
  E_VERSION: 502,
  E_NAMESPACE: 502,
  E_PROTOCOL: 502,
  E_NO_SESSION: 503,
  E_LIMIT: 429,
  E_REPLACED: 409,
  E_OTHER_MACHINE: 409,
  E_SHUTTING_DOWN: 503,
  E_DRAINING: 503,
  E_FENCED: 403,
  E_TLS: 502,
  E_UNKNOWN_CLIENT: 404,
  E_UNKNOWN_VOLUME: 404,
  E_UNKNOWN_POOL: 404,
  E_UNKNOWN_SNAPSHOT: 404,
  E_UNKNOWN_JOB: 404,
  E_NO_REFLINK: 422,
  E_EXISTS: 409,
  E_POOL: 503,
  E_STORAGE: 500,
  E_FENCE: 409,
  E_SPACE: 507,
  E_AMBIGUOUS: 409,
  E_HELD: 409,
  E_TAKEN: 409,
  E_MOVED: 409,
  E_READONLY: 409,
  E_IN_USE: 409,
  E_BUSY: 409,
  E_NO_PATH: 503,
  E_VOLUME: 409,
  E_ALREADY_RUNNING: 409,
  E_NOT_RUNNING: 503,
  E_SOCKET_PATH: 500,
  E_SYSTEM: 500,
  E_NO_LOG: 500,
  E_TERMINAL: 500,
  E_NOT_BUILT: 500,
  E_INTERNAL: 500,
} as const satisfies Readonly<Record<ErrorCode, number>>;

/** The codes of refusals by the HTTP server itself, which come with a status and a sentence. */
const CODES: Readonly<Record<number, ErrorCode>> = { 401: 'E_AUTH', 403: 'E_RIGHTS', 413: 'E_LIMIT', 414: 'E_LIMIT', 500: 'E_INTERNAL' };

/** The fields of a problem, as the answer has them. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  /** The parameter that is wrong or unknown. */
  readonly parameter?: string;
}

export function problemOf({ code, message, context }: RsError, status: number = STATUSES[code]): Problem {
  const words = code.slice('E_'.length).toLowerCase().replaceAll('_', ' ');
  const title = `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
  const parameter = context['parameter'] ?? context['unknown'];
  const fields = { type: `urn:rsio:error:${code}`, title, status, detail: message, code };
  return typeof parameter === 'string' ? { ...fields, parameter } : fields;
}

export function problem(error: RsError, status?: number, headers: Answer['headers'] = {}): Answer {
  const fields = problemOf(error, status);
  return { status: fields.status, type: PROBLEM_TYPE, body: JSON.stringify(fields), headers };
}

/** Turns a refusal in plain text into a problem with the same status and headers. */
export function asProblem({ status, body, headers = {} }: Answer): Answer {
  return problem(new RsError(CODES[status] ?? 'E_USAGE', String(body).trimEnd()), status, headers);
}
