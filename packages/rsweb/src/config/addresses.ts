// What an address means for the safety of a connection. Pure.
// Invariant: an address of another machine is never taken for a loopback address.

import { isIPv4, isIPv6 } from 'node:net';

/** Returns true if nothing that is sent to this address leaves the machine. A name is no address. */
export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.');
  return isIPv6(address) && (address === '::1' || /^(0*:)*0*1$/.test(address) || /^::ffff:127\./i.test(address));
}
