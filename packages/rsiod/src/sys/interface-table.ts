// What is known of the interfaces that carry the client's addresses, and what of it has changed. Pure; where the facts come from is the
// watcher's. Invariant: an address is said to be gone or back, a carrier lost or back, once for each change, and never for an address
// that was not seen before: a configuration may name one that this machine is still to get.

import type { IpFact } from './ip-lines.ts';

export type InterfaceChange = 'carrier-lost' | 'carrier-back' | 'address-gone' | 'address-back';

export interface InterfaceEvent {
  readonly address: string;
  readonly change: InterfaceChange;
  /** For people. */
  readonly sentence: string;
}

interface Known {
  readonly device: string;
  readonly isThere: boolean;
}

/** Loopback addresses need no interface that lists them, and have no carrier to lose. */
export function isWatched(address: string): boolean {
  return !address.startsWith('127.') && address !== '::1';
}

export class InterfaceTable {
  private readonly addresses: ReadonlySet<string>;
  private readonly known = new Map<string, Known>();
  private readonly carriers = new Map<string, boolean>();

  constructor(addresses: Iterable<string>) {
    this.addresses = new Set([...addresses].filter(isWatched));
  }

  get isEmpty(): boolean {
    return this.addresses.size === 0;
  }

  /** Takes one fact; gives what it changes. */
  take(fact: IpFact): InterfaceEvent[] {
    return fact.kind === 'link' ? this.takeLink(fact.device, fact.hasCarrier) : this.takeAddress(fact.device, fact.address, fact.isThere);
  }

  /** Takes a whole list: an address that it does not name is gone. */
  takeAll(facts: readonly IpFact[]): InterfaceEvent[] {
    const listed = new Set(facts.map((fact) => (fact.kind === 'address' ? fact.address : '')));
    const missing = [...this.known].filter(([address, { isThere }]) => isThere && !listed.has(address));
    return [
      ...missing.flatMap(([address, { device }]) => this.takeAddress(device, address, false)),
      ...facts.flatMap((fact) => this.take(fact)),
    ];
  }

  private takeLink(device: string, hasCarrier: boolean): InterfaceEvent[] {
    const before = this.carriers.get(device);
    this.carriers.set(device, hasCarrier);
    if (before === hasCarrier || (before === undefined && hasCarrier)) return [];
    const on = [...this.known].filter(([, known]) => known.device === device && known.isThere);
    return on.map(([address]) => ({
      address,
      change: hasCarrier ? 'carrier-back' : 'carrier-lost',
      sentence: hasCarrier ? `Interface ${device} has its carrier back` : `Interface ${device} has lost its carrier`,
    }));
  }

  private takeAddress(device: string, address: string, isThere: boolean): InterfaceEvent[] {
    if (!this.addresses.has(address)) return [];
    const before = this.known.get(address);
    // Moved to another device: the old one's farewell may come after the new one's greeting.
    if (!isThere && before !== undefined && before.device !== device) return [];
    this.known.set(address, { device, isThere });
    if (before === undefined || before.isThere === isThere) return [];
    if (!isThere) return [{ address, change: 'address-gone', sentence: `Address ${address} is gone from interface ${device}` }];
    return [{ address, change: 'address-back', sentence: `Address ${address} is back on interface ${device}` }];
  }
}
