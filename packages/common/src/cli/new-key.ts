// Makes new keys for clients, namespaces and servers. Invariant: at each position of a key, all characters in LETTERS are equally likely,
// and only the caller learns the key.

import { randomInt } from 'node:crypto';
import { KEY_NEW_CHARS } from '../config/schema/limits.ts';

/**
 * Characters of a key. The characters 0, o, 1, l and i are excluded, because people confuse them. The letter x is excluded because a key
 * with an x could look like a number.
 */
const LETTERS = '23456789abcdefghjkmnpqrstuvwyz';

export function newKey(): string {
  return Array.from({ length: KEY_NEW_CHARS }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}
