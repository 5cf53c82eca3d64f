// By which device the data of a burst really went: what Linux' routing made of the local address, told by the byte counters of all
// devices. Pure. Invariant: nothing is said where the counters do not show it clearly.

import type { ByteCounters } from '../network/interfaces.ts';

type Counters = ReadonlyMap<string, ByteCounters>;

/** A device has carried a burst when it counts this share of it: other traffic and lazy counters are no proof. */
const CARRIED_SHARE = 0.5;

/**
 * The device that counted the burst of `bytes`; `expected` when it is among them (a bridge and its card both count). null: none did, or
 * too little was sent to tell.
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
