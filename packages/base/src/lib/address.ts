// IP addresses in their canonical form. Pure. Invariant: one host has one text. Two spellings of an address are two addresses for each
// comparison of texts, so a text becomes an Address where it is parsed, and everything behind that point compares Addresses.

import { isIP, isIPv4 } from 'node:net';

declare const canonical: unique symbol;
/** An IPv4 address, or an IPv6 address as RFC 5952 writes it, without brackets and zone. */
export type Address = string & { readonly [canonical]: true };

const GROUPS = 8;
/** Beginning of an IPv6 address that stands for an IPv4 address (::ffff:0:0/96). */
const MAPPED = [0, 0, 0, 0, 0, 0xffff];
export const MAPPED_BITS = 96;

/** Returns the canonical form; null if the text is not an address, or has a zone, which has no meaning on another machine. */
export function toAddress(text: string): Address | null {
  if (text.includes('%') || isIP(text) === 0) return null;
  return (isIPv4(text) ? text : print(groupsOf(text))) as Address;
}

/** True if an IPv6 address stands for an IPv4 address. */
export function isMapped(text: string): boolean {
  return isIP(text) === 6 && !text.includes('%') && hasMapping(groupsOf(text));
}

/** Returns the 8 groups of a valid IPv6 address. */
export function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const [left, right] = [parse(head), parse(tail ?? '')];
  return [...left, ...Array.from({ length: GROUPS - left.length - right.length }, () => 0), ...right];
}

function parse(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

function hasMapping(groups: readonly number[]): boolean {
  return MAPPED.every((group, at) => groups[at] === group);
}

function print(groups: readonly number[]): string {
  if (hasMapping(groups))
    return groups
      .slice(MAPPED.length)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.');
  // The longest run of at least two zeros becomes `::`; of two equal ones, the first.
  let [from, length] = [-1, 1];
  for (let at = 0; at < GROUPS; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > length) [from, length] = [at, end - at];
  }
  const texts = groups.map((group) => group.toString(16));
  return from < 0 ? texts.join(':') : `${texts.slice(0, from).join(':')}::${texts.slice(from + length).join(':')}`;
}
