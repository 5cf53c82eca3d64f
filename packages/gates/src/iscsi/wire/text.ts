// The text of login and text requests: lines KEY=VALUE, each followed by a zero byte (RFC 7143, 6.1). Pure.
// Invariant: a text with more than GATE_KEYS_MAX keys, or with a key twice, is refused as a whole.

import { GATE_KEYS_MAX } from '../../limits.ts';

const KEY = /^[A-Za-z0-9.\-+@_#/]{1,63}$/;

/** Returns the pairs in order, or a sentence with the error if the bytes are not such a text. */
export function parseText(bytes: Buffer): ReadonlyMap<string, string> | string {
  const pairs = new Map<string, string>();
  if (bytes.length === 0) return pairs;
  const lines = bytes.toString('latin1').split('\0');
  // The last line should also end with a zero byte, which several initiators leave out.
  while (lines.at(-1) === '') lines.pop();
  if (lines.length > GATE_KEYS_MAX) return `it has sent ${lines.length} keys: allowed are ${GATE_KEYS_MAX}`;
  for (const line of lines) {
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(equals, 0));
    if (!KEY.test(key)) return 'it has sent a text that is no list of KEY=VALUE';
    if (pairs.has(key)) return `it has sent the key ${key} twice`;
    pairs.set(key, line.slice(equals + 1));
  }
  return pairs;
}

export function printText(pairs: Iterable<readonly [string, string]>): Buffer {
  let text = '';
  for (const [key, value] of pairs) text += `${key}=${value}\0`;
  return Buffer.from(text, 'latin1');
}

/**
 * Returns the bytes of a number in hexadecimal or Base64 form; null if the text is no such number, or if it has more than `maxBytes` bytes.
 */
export function parseBinary(text: string, maxBytes: number): Buffer | null {
  if (/^0[xX][0-9A-Fa-f]+$/.test(text)) {
    const digits = text.slice(2);
    const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
    return bytes.length <= maxBytes ? bytes : null;
  }
  if (!/^0[bB][A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text.slice(2), 'base64');
  return bytes.length <= maxBytes ? bytes : null;
}

/** Returns the number in the text; null if the text is not a number in the range. */
export function parseNumber(text: string, min: number, max: number): number | null {
  if (!/^(?:0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10})$/.test(text)) return null;
  const value = Number(text);
  return value >= min && value <= max ? value : null;
}
