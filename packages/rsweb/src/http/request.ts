// A checked and bounded request, without sockets. Pure.
// Invariant: reading a request never throws; malformed parts count as missing.

import { COOKIES_MAX, FORM_FIELDS_MAX } from '../limits.ts';

export interface Request {
  readonly method: 'GET' | 'POST';
  /** Decoded path, such as /volume/oracle. The path begins with a slash. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The header Host as the peer has sent it. */
  readonly host: string;
  /** The header Origin; null if the request does not have this header. */
  readonly origin: string | null;
  readonly cookies: ReadonlyMap<string, string>;
  /** The token in the header `Authorization: Bearer TOKEN`; null if the request has no such header. */
  readonly bearer: string | null;
  /** The header If-None-Match; '' if the request has no header If-None-Match. */
  readonly knownTag: string;
  /** Address of the peer. */
  readonly address: string;
  /** The fields of the form in the body; empty if the request has no body. */
  readonly form: URLSearchParams;
  /** The body of a request for the HTTP interface, as it was sent; '' for pages. */
  readonly json: string;
  /** The header Accept; '' if the request does not have this header. */
  readonly accept: string;
  /** The header Idempotency-Key; null if the request does not have this header. */
  readonly orderId: string | null;
  /** The header Last-Event-ID; null if the request does not have this header. */
  readonly lastEvent: string | null;
}

/** True for a path of the HTTP interface, whose requests and answers are JSON. */
export function isApiPath(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}

/**
 * Returns the cookies in a header Cookie. If several cookies have the same name, the first one counts. Malformed cookies and those beyond
 * COOKIES_MAX are ignored.
 */
export function parseCookies(header: string): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const part of header.split(';', COOKIES_MAX)) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]{1,64})="?([\w!#-+./:<=>?@[\]^`{|}~-]{0,256})"?\s*$/.exec(part) ?? [];
    if (name !== undefined && value !== undefined && !cookies.has(name)) cookies.set(name, value);
  }
  return cookies;
}

/** Returns the token in a header Authorization; null if the header has another form. */
export function parseBearer(header: string): string | null {
  return /^Bearer +([\x21-\x7e]{1,512})$/i.exec(header)?.[1] ?? null;
}

/** Returns the decoded path; null if it cannot be decoded or contains control characters or empty, `.` or `..` parts. */
export function parsePath(raw: string): string | null {
  if (!raw.startsWith('/')) return null;
  let path: string;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return null;
  }
  // An encoded slash is refused, because it would add a part to the path.
  if (path.split('/').length !== raw.split('/').length || hasControls(path) || path.includes('\\')) return null;
  const parts = path.slice(1).split('/');
  if (parts.some((part) => part === '.' || part === '..')) return null;
  return path === '/' || parts.every((part) => part !== '') ? path : null;
}

function hasControls(text: string): boolean {
  return Array.from(text).some((char) => char < ' ' || char === '\x7f');
}

/** Returns the fields of a form; null if the form has too many fields. */
export function parseForm(body: string): URLSearchParams | null {
  const form = new URLSearchParams(body);
  return form.size <= FORM_FIELDS_MAX ? form : null;
}
