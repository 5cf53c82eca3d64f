// Generates random numbers from a seed. Every random choice in a test uses this class, so that failures can be reproduced. The test chooses
// and prints the seed. The predictable numbers must not be used for secrets.

export class SeededRandom {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Returns a uniformly distributed number in [0, 1). */
  unit(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns a whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  /** Returns random bytes. In tests, replaces the unpredictable bytes of a handshake. */
  readonly bytes = (lengthBytes: number): Buffer => {
    const bytes = Buffer.alloc(lengthBytes);
    for (let at = 0; at < lengthBytes; at++) bytes[at] = this.int(0, 255);
    return bytes;
  };
}
