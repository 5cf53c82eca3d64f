// Computes subnets of IPv4 and IPv6 addresses. The functions are pure. Invariant: addresses of different families are never in the same
// subnet. An IPv4 address that is written as IPv6 (::ffff:a.b.c.d) counts as IPv4, as in its canonical form.

import { isIPv4, isIPv6 } from 'node:net';
import { SOURCE_PREFIX_LENGTH_6 } from './limits.ts';
import { groupsOf, toAddress } from './address.ts';

/** Tests simulate several hosts on addresses in 127/8; the prefix length 24 puts these hosts into several subnets. */
const LOOPBACK_PREFIX_LENGTH = 24;

/**
 * Returns the prefix length of a local address; null if no length is known. A length in the configuration file (`ADDRESS/LENGTH`) takes
 * precedence. Otherwise, the length is 24 for an address in 127/8, and the network interface's length for any other address.
 */
export function prefixLengthOf(address: string, given: number | null, ofInterface: number | null): number | null {
  if (given !== null) return given;
  return isLoopback4(address) ? LOOPBACK_PREFIX_LENGTH : ofInterface;
}

/** Returns true if `other` is in the subnet that `address` and `prefixLength` define. */
export function isSameSubnet(address: string, prefixLength: number, other: string): boolean {
  const left = addressBytes(address);
  const right = addressBytes(other);
  if (left.length !== right.length) return false;
  for (let index = 0; index * 8 < prefixLength && index < left.length; index++) {
    const bits = Math.min(8, prefixLength - index * 8);
    const mask = (0xff << (8 - bits)) & 0xff;
    if ((((left[index] ?? 0) ^ (right[index] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** Returns the subnet of an address, in the form `192.168.45.0/24`. */
export function networkOf(address: string, prefixLength: number): string {
  const bytes = addressBytes(address).map(
    (byte, index) => byte & (0xff << Math.min(8, Math.max(0, (index + 1) * 8 - prefixLength))) & 0xff,
  );
  if (bytes.length === 4) return `${bytes.join('.')}/${prefixLength}`;
  const groups = Array.from({ length: 8 }, (_, group) => (((bytes[group * 2] ?? 0) << 8) | (bytes[group * 2 + 1] ?? 0)).toString(16));
  return `${groups.join(':').replace(/(^|:)0(:0)+$/, '::')}/${prefixLength}`;
}

/** Returns a key that is the same for all spellings of an address. */
export function addressKey(address: string): string {
  return toAddress(address) ?? address;
}

/** Returns a key for an address and port. The spelling of the address does not matter. */
export function endPointKey(address: string, port: number): string {
  return `${addressKey(address)}/${port}`;
}

/**
 * Returns the key for counting a peer's unproven connections: the IPv4 address, or the /64 network of the IPv6 address. An IPv6 address may
 * have a zone.
 */
export function sourceKey(address: string): string {
  const [bare = ''] = address.split('%');
  const plain = toAddress(bare) ?? bare;
  return isIPv6(plain) ? networkOf(plain, SOURCE_PREFIX_LENGTH_6) : plain;
}

/** Returns true unless the address is an unspecified, multicast, reserved or broadcast address. */
export function isSingleHost(address: string): boolean {
  const bytes = addressBytes(address);
  const first = bytes[0] ?? 0;
  if (bytes.length === 4) return first !== 0 && first < 224;
  return first !== 0xff && bytes.some((byte) => byte !== 0);
}

/** Returns true if the address is in 127/8. */
export function isLoopback4(address: string): boolean {
  return isIPv4(address) && address.startsWith('127.');
}

/** Returns true if only this machine can reach the address. */
export function isLoopback(address: string): boolean {
  return isLoopback4(address) || addressKey(address) === addressKey('::1');
}

/** Returns the 4 or 16 bytes of a valid address that has no zone. */
function addressBytes(text: string): readonly number[] {
  const address = toAddress(text) ?? text;
  return isIPv4(address) ? address.split('.').map(Number) : groupsOf(address).flatMap((group) => [group >> 8, group & 0xff]);
}
