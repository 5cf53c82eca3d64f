// Addresses from which somebody has proved itself, for what a server keeps for those. Not for any right: an address is no proof.
// Invariant: so many at most, those of the last proofs.

import { KNOWN_ADDRESSES_MAX } from './limits.ts';

export class KnownAddresses {
  private readonly addresses = new Set<string>();

  proved(address: string): void {
    this.addresses.delete(address);
    this.addresses.add(address);
    for (const oldest of this.addresses) {
      if (this.addresses.size <= KNOWN_ADDRESSES_MAX) return;
      this.addresses.delete(oldest);
    }
  }

  has(address: string): boolean {
    return this.addresses.has(address);
  }
}
