// Finds the device that carried the data of a burst, from the byte counters of all devices. Linux's routing, not the local address, decides
// which device that is. Pure. Invariant: the result is null unless the counters show the device clearly.

import type { ByteCounters } from '../network/interfaces.ts';

type Counters = ReadonlyMap<string, ByteCounters>;

/** A device carried a burst if it counted at least this share of the bytes. Other traffic and delayed counters prove nothing. */
const CARRIED_SHARE = 0.5;

/**
 * Returns the device that counted the burst of `bytes`. If `expected` is among several (a bridge and its card both count), returns
 * `expected`. null: no device did, or too little was sent to tell.
 */
export function carrierOf(
  direction: keyof ByteCounters,
  bytes: number,
  expected: string,
  before: Counters,
  after: Counters,
): string | null {
  const grown = [...after].map(([device, counters]) => ({
    device,
    grownBytes: counters[direction] - (before.get(device)?.[direction] ?? counters[direction]),
  }));
  const carriers = grown.filter(({ grownBytes }) => grownBytes > 0 && grownBytes >= bytes * CARRIED_SHARE);
  if (carriers.some(({ device }) => device === expected)) return expected;
  return carriers.toSorted((one, other) => other.grownBytes - one.grownBytes)[0]?.device ?? null;
}
