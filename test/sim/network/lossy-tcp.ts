// The effect of packet loss on one direction of a connection: all bytes arrive, but late. A lost packet is repeated after a round trip if
// enough packets follow to reveal the loss, else after a time-out that doubles each time. All packets after the lost packet wait for the
// repetition. Afterwards the sender continues slowly. sim-link.ts applies the rate of the link. Pure, except for the given randomness.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';

export const PACKET_BYTES = 1460;
/**
 * WINDOW_FIRST: packets in flight with which a sender starts. FOLLOWERS: a packet counts as lost if this many later packets were
 * acknowledged. WINDOW_LEAST: losses never reduce a sender below this number of packets in flight.
 */
const WINDOW_FIRST = 10;
const FOLLOWERS = 3;
const WINDOW_LEAST = 2;
/**
 * TIMEOUT_MS: the first time-out after a loss. TIMEOUT_MAX_MS: bound of the time-outs, each of which is twice as long as the previous one.
 */
export const TIMEOUT_MS = 200;
const TIMEOUT_MAX_MS = 30_000;
/** The first time-out of a packet that opens a connection. */
const CONNECT_TIMEOUT_MS = 1000;
/** A repeated packet is lost again with at least this chance, because losses come in bursts. */
const AGAIN_CHANCE = 0.25;
/** A shorter round trip is treated as this long. */
const TRIP_MIN_MS = 0.2;

export class LossyTcp {
  private readonly random: SeededRandom;
  /** `window`: packets that may be in flight. `threshold`: from this number on, `window` grows slowly. */
  private window = WINDOW_FIRST;
  private threshold = Number.POSITIVE_INFINITY;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  bytesPerMs(tripMs: number): number {
    return (this.window * PACKET_BYTES) / Math.max(TRIP_MIN_MS, tripMs);
  }

  /** Sends `packets` packets, followed by `behind` more. Returns the additional delay, ms. */
  sent(packets: number, behind: number, loss: number, tripMs: number): number {
    if (!this.random.chance(1 - (1 - loss) ** packets)) {
      this.grow(packets);
      return 0;
    }
    this.threshold = Math.max(WINDOW_LEAST, this.window / 2);
    const isSeen = Math.min(behind, this.window) >= FOLLOWERS;
    const againMs = repeatedMs(this.random, Math.max(TIMEOUT_MS, 2 * tripMs), loss, !isSeen);
    this.window = againMs > 0 ? 1 : this.threshold;
    return tripMs + againMs;
  }

  private grow(packets: number): void {
    const quick = Math.min(packets, Math.max(0, this.threshold - this.window));
    this.window += quick;
    this.window += (packets - quick) / this.window;
  }
}

/** Returns by how many ms the losses of packets delay a connect. */
export function connectsLaterMs(random: SeededRandom, loss: number): number {
  return loss > 0 ? repeatedMs(random, CONNECT_TIMEOUT_MS, loss, random.chance(loss)) : 0;
}

/**
 * Returns the sum of the time-outs until a repeated packet arrives. Each time-out is twice as long as the one before. With `isDue`, the sum
 * has at least one time-out.
 */
function repeatedMs(random: SeededRandom, timeoutMs: number, loss: number, isDue: boolean): number {
  let sumMs = 0;
  const chance = Math.max(loss, AGAIN_CHANCE);
  for (let nextMs = timeoutMs; isDue || random.chance(chance); nextMs = Math.min(TIMEOUT_MAX_MS, 2 * nextMs)) {
    isDue = false;
    sumMs += nextMs;
  }
  return sumMs;
}
