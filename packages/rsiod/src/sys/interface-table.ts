// Keeps the state of the interfaces that have the client's addresses, and finds changes to that state. Pure; interface-watcher.ts provides
// the facts. Parses the lines that iproute2 prints with -o (`ip monitor address link`, `ip address`, `ip link`), and ignores other lines
// and unknown fields. Invariants: each change in an address or a carrier is reported once; an address that appears after the first look is
// reported as "back", even if it is new.

export type InterfaceChange = 'carrier-lost' | 'carrier-back' | 'address-gone' | 'address-back';

export interface InterfaceEvent {
  readonly address: string;
  readonly change: InterfaceChange;
  readonly sentence: string;
}

interface Known {
  readonly device: string;
  readonly isThere: boolean;
}

/** True if the address is watched. Loopback addresses are not watched, because they have no carrier that can be lost. */
export function isWatched(address: string): boolean {
  return !address.startsWith('127.') && address !== '::1';
}

export class InterfaceTable {
  private addresses: ReadonlySet<string> = new Set();
  private readonly known = new Map<string, Known>();
  private readonly carriers = new Map<string, boolean>();
  /** True after the first look at the machine's interfaces. An address that appears later counts as "back". */
  private hasLooked = false;

  constructor(addresses: Iterable<string>) {
    this.watch(addresses);
  }

  get isEmpty(): boolean {
    return this.addresses.size === 0;
  }

  watch(addresses: Iterable<string>): void {
    this.addresses = new Set([...addresses].filter(isWatched));
  }

  /** Takes the facts that a look has found, and returns the changes. An address that is not among the facts may still exist. */
  takeLook(facts: readonly IpFact[]): InterfaceEvent[] {
    const events = facts.flatMap((fact) => this.take(fact));
    this.hasLooked = true;
    return events;
  }

  take(fact: IpFact): InterfaceEvent[] {
    return fact.kind === 'link' ? this.takeLink(fact.device, fact.hasCarrier) : this.takeAddress(fact.device, fact.address, fact.isThere);
  }

  /** Takes a complete list of facts, and returns the changes. An address that is not in the list is gone. */
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
      sentence: hasCarrier ? `Interface ${device} has a carrier again` : `Interface ${device} has lost its carrier`,
    }));
  }

  private takeAddress(device: string, address: string, isThere: boolean): InterfaceEvent[] {
    const before = this.known.get(address);
    // A removal is ignored if the address has moved to another device. The kernel may report the removal from the old device after the
    // addition to the new one.
    if (!isThere && before !== undefined && before.device !== device) return [];
    // Existing addresses are stored even if they are not watched, because they may be watched later.
    if (isThere || this.addresses.has(address)) this.known.set(address, { device, isThere });
    else this.known.delete(address);
    const wasThere = before === undefined ? !this.hasLooked : before.isThere;
    if (!this.addresses.has(address) || wasThere === isThere || (before === undefined && !isThere)) return [];
    if (!isThere) return [{ address, change: 'address-gone', sentence: `Address ${address} is gone from interface ${device}` }];
    const is = before === undefined ? 'has come to' : 'is back on';
    return [{ address, change: 'address-back', sentence: `Address ${address} ${is} interface ${device}` }];
  }
}

export type IpFact =
  | { readonly kind: 'link'; readonly device: string; readonly hasCarrier: boolean }
  | { readonly kind: 'address'; readonly device: string; readonly address: string; readonly isThere: boolean };

// Lines of iproute2:
//   4: eth0    inet 192.168.10.1/24 brd 192.168.10.255 scope global eth0\ ...
//   Deleted 4: eth0    inet 192.168.10.1/24 scope global eth0\ ...
//   3: eth1@eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 ... state DOWN ...\    link/ether ...

const LINE = /^(?:\[[A-Z]+\])?(Deleted )?\d+: ([^\s:@]+)(?:@[^\s:]+)?(:?)\s+(.*)$/;
const FLAGS = /^<([A-Z0-9_,-]*)>/;
const ADDRESS = /^inet6? ([0-9a-fA-F.:]+)/;

/** Extracts the fact from a line of iproute2. Returns null if the line contains no fact. */
export function readIpLine(line: string): IpFact | null {
  const [, deleted, device, colon, rest] = LINE.exec(line) ?? [];
  if (device === undefined || rest === undefined) return null;
  const isThere = deleted === undefined;
  if (colon === '') {
    const address = ADDRESS.exec(rest)?.[1];
    return address === undefined ? null : { kind: 'address', device, address, isThere };
  }
  const flags = FLAGS.exec(rest)?.[1]?.split(',');
  if (flags === undefined) return null;
  return { kind: 'link', device, hasCarrier: isThere && flags.includes('LOWER_UP') && !flags.includes('NO-CARRIER') };
}
