// Decides whether data sent to an address stays on this machine. Pure. Invariant: an address of another machine never counts as a loopback
// address.

import { isLoopback as isLoopbackAddress } from '@rsio/base/lib/subnet';
import { toAddress } from '@rsio/base/lib/address';

/** Returns true for a loopback address, and false for every name. */
export function isLoopback(address: string): boolean {
  const canonical = toAddress(address);
  return canonical !== null && isLoopbackAddress(canonical);
}
