// Decides whether data sent to an address stays on this machine. Pure. Invariant: an address of another machine never counts as a loopback
// address.

import { isIPv4, isIPv6 } from 'node:net';

/** Returns true for a loopback address, and false for every name. */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.');
  return isIPv6(address) && (address === '::1' || /^(0*:)*0*1$/.test(address) || /^::ffff:127\./i.test(address));
}
