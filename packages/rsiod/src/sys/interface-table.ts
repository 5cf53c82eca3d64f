// What is known of the interfaces that carry the client's addresses, and what of it has changed. Pure; where the facts come from is the
// watcher's. Invariant: an address is said to be gone or back, a carrier lost or back, once for each change; an address that was not
// there when everything was first looked at, as a configuration may name one that is still to come, is back when it is first seen.

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
  private addresses: ReadonlySet<string> = new Set();
  private readonly known = new Map<string, Known>();
  private readonly carriers = new Map<string, boolean>();
  /** Everything was looked at once: what is not known was not there then. */
  private hasLooked = false;

  constructor(addresses: Iterable<string>) {
    this.watch(addresses);
  }

  get isEmpty(): boolean {
    return this.addresses.size === 0;
  }

  /** From now on these addresses, and no others. */
  watch(addresses: Iterable<string>): void {
    this.addresses = new Set([...addresses].filter(isWatched));
  }

  /** Takes what was found by looking everywhere; what it lacks may be there all the same. */
  takeLook(facts: readonly IpFact[]): InterfaceEvent[] {
    const events = facts.flatMap((fact) => this.take(fact));
    this.hasLooked = true;
    return events;
  }

  /** Takes one fact; gives what it changes. */
  take(fact: IpFact): InterfaceEvent[] {
    return fact.kind === 'link' ? this.takeLink(fact.device, fact.hasCarrier) : this.takeAddress(fact.device, fact.address, fact.isThere);
  }

  /** Takes a whole list: an address that it does not name is gone. */
  takeAll(facts: readonly IpFact[]): InterfaceEvent[] {
    const listed = new Set(facts.map((fact) => (fact.kind === 'address' ? fact.address : '')));
    const missing = [...this.known].filter(([address, { isThere }]) => isThere && !listed.has(address));
    return [...missing.flatMap(([address, { device }]) => this.takeAddress(device, address, false)), ...this.takeLook(facts)];
  }

  private takeLink(device: string, hasCarrier: boolean): InterfaceEvent[] {
    const before = this.carriers.get(device);
    this.carriers.set(device, hasCarrier);
    if (before === hasCarrier || (before === undefined && hasCarrier)) return [];
    const on = [...this.known].filter(([address, known]) => known.device === device && known.isThere && this.addresses.has(address));
    return on.map(([address]) => ({
      address,
      change: hasCarrier ? 'carrier-back' : 'carrier-lost',
      sentence: hasCarrier ? `Interface ${device} has its carrier back` : `Interface ${device} has lost its carrier`,
    }));
  }

  private takeAddress(device: string, address: string, isThere: boolean): InterfaceEvent[] {
    const before = this.known.get(address);
    // Moved to another device: the old one's farewell may come after the new one's greeting.
    if (!isThere && before !== undefined && before.device !== device) return [];
    // Of other addresses only those are kept that are there: they may be watched one day.
    if (isThere || this.addresses.has(address)) this.known.set(address, { device, isThere });
    else this.known.delete(address);
    const wasThere = before === undefined ? !this.hasLooked : before.isThere;
    if (!this.addresses.has(address) || wasThere === isThere || (before === undefined && !isThere)) return [];
    if (!isThere) return [{ address, change: 'address-gone', sentence: `Address ${address} is gone from interface ${device}` }];
    const is = before === undefined ? 'has come to' : 'is back on';
    return [{ address, change: 'address-back', sentence: `Address ${address} ${is} interface ${device}` }];
  }
}
