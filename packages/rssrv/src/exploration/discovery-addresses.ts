// Where a server hears requests of exploration, and from which of its interfaces each is answered. Pure; the sockets are in discovery-service.ts.
// Invariant: no address and port twice, so that a request is heard once, however many interfaces are in one subnet.

import { isIPv4 } from 'node:net';
import type { RssrvConfig, ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { prefixLengthOf, isSameSubnet } from '@rsio/common/lib/subnet';

export interface DiscoveryAddress {
  readonly address: string;
  readonly port: number;
  /** A socket on a unicast address hears no broadcast, so there is one for each. */
  readonly isBroadcast: boolean;
  /** Name of the interface it is for; of several in one subnet the first. */
  readonly interfaceName: string;
}

/** None with `explore = no`. An interface with a port of its own is heard there too: who measures it asks at the port of its paths. */
export function discoveryAddresses(config: RssrvConfig, machine: readonly MachineInterface[]): DiscoveryAddress[] {
  if (config.namespace.explore === 'no') return [];
  const places = new Map<string, DiscoveryAddress>();
  const add = (address: string, port: number, isBroadcast: boolean, interfaceName: string): void => {
    const key = addressKeyOf(address, port);
    if (!places.has(key)) places.set(key, { address, port, isBroadcast, interfaceName });
  };
  const { port } = config.namespace;
  for (const one of config.interfaces.filter(({ address }) => isIPv4(address))) {
    add(one.address, port, false, one.name);
    add(one.address, one.port, false, one.name);
    // Not that of `A/LEN`: what a cable carries to a broadcast address reaches this machine by the machine's own subnets only.
    const broadcast = interfaceOf(one.address, machine)?.broadcast ?? null;
    if (broadcast !== null) add(broadcast, port, true, one.name);
  }
  return [...places.values()];
}

/**
 * Addresses from which a request heard on a broadcast address is answered, best first: those of the asker's subnet, then those that have
 * this broadcast address. On the loopback all subnets have the same.
 */
export function answeringAddresses(
  broadcast: string,
  from: string,
  interfaces: readonly ServerInterfaceConfig[],
  machine: readonly MachineInterface[],
): string[] {
  const near: string[] = [];
  const others: string[] = [];
  for (const { address, prefixLength } of interfaces.filter((one) => isIPv4(one.address))) {
    const found = interfaceOf(address, machine);
    if (found?.broadcast !== broadcast) continue;
    const counts = prefixLengthOf(address, prefixLength, found.prefixLength);
    if (counts !== null && isSameSubnet(address, counts, from)) near.push(address);
    else others.push(address);
  }
  return [...near, ...others];
}

export function addressKeyOf(address: string, port: number): string {
  return `${address} ${port}`;
}
