// Makes new tokens, and finds the configured token that a request contains. Invariants: the duration of a comparison reveals nothing about
// a token; no token is stored.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { WebToken } from '../config/rswebcfg.ts';
import { TOKEN_BYTES } from '../limits.ts';

/** Prefix that makes tokens recognizable in files and logs. */
const PREFIX = 'rsweb_';

export function newToken(): string {
  return PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Returns the configured token that equals the shown token; null if no token does. The shown token is compared with all configured tokens,
 * in constant time.
 */
export function tokenOf(shown: string, tokens: readonly WebToken[]): WebToken | null {
  const hash = createHash('sha256').update(shown).digest();
  let found: WebToken | null = null;
  for (const token of tokens) if (timingSafeEqual(hash, Buffer.from(token.sha256, 'hex'))) found = token;
  return found;
}
