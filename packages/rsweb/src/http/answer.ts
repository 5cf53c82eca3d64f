// Makes HTTP answers with their security headers. Pure. Invariant: every answer forbids scripts and styles that are not files of this
// server, embedding in frames and content sniffing. Only assets may be cached.

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Called once, when the answer was sent or its connection was closed. */
  readonly sent?: () => void;
}

export const HTML = 'text/html; charset=utf-8';
export const TEXT = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Headers of every answer. The header Strict-Transport-Security is missing: it would apply to all ports of the host, and browsers would
 * then refuse plain pages of other programs there.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  // The value no-referrer would make browsers send `Origin: null` with a form, and rsweb refuses this origin.
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'Cache-Control': 'no-store',
};

export function page(text: string, status = 200, headers: Answer['headers'] = {}): Answer {
  return { status, type: HTML, body: text, headers };
}

export function plain(status: number, sentence: string, headers: Answer['headers'] = {}): Answer {
  return { status, type: TEXT, body: `${sentence}\n`, headers };
}

export function json(value: unknown, status = 200): Answer {
  return { status, type: JSON_TYPE, body: JSON.stringify(value) };
}

/**
 * Makes an answer that sends the browser to a path of this server, with GET. `path` must be encoded. `query` is a text such as
 * `notice=KEY`.
 */
export function redirect(path: string, headers: Answer['headers'] = {}, query = ''): Answer {
  const location = query === '' ? path : `${path}?${query}`;
  return { status: 303, type: TEXT, body: `See ${location}\n`, headers: { ...headers, Location: location } };
}

/** Returns `path` if it is a path of this server, to which a form may redirect the browser; otherwise '/'. */
export function ownPath(path: string): string {
  return /^\/(?![/\\])[\w/.@:~+%?=&-]{0,512}$/.test(path) ? path : '/';
}
