// Determines on which addresses a server receives discovery datagrams, and from which addresses it answers them. Also remembers the
// addresses of proven clients. This module is pure, and discovery-service.ts owns the sockets. Invariants: each pair of address and port
// occurs once, so that no request is received twice. The number of known addresses is bounded, and a known address grants no rights.

import { isIPv4 } from 'node:net';
import type { RssrvConfig, ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import { isSameSubnet, prefixLengthOf } from '@rsio/base/lib/subnet';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { KNOWN_ADDRESSES_MAX } from './limits.ts';

export interface DiscoveryAddress {
  readonly address: string;
  readonly port: number;
  /**
   * True for a broadcast address. A broadcast address needs its own socket, because a socket on a unicast address receives no broadcasts.
   */
  readonly isBroadcast: boolean;
  /** Name of the first configured interface that has the address. */
  readonly interfaceName: string;
}

/**
 * Returns the addresses on which the server receives discovery datagrams. With `explore = no`, the list is empty. The server also receives
 * datagrams on the port of each interface, because probes use the same port as paths.
 */
export function discoveryAddresses(config: RssrvConfig, machine: readonly MachineInterface[]): DiscoveryAddress[] {
  if (config.namespace.explore === 'no') return [];
  const addresses = new Map<string, DiscoveryAddress>();
  const add = (address: string, port: number, isBroadcast: boolean, interfaceName: string): void => {
    const key = addressKeyOf(address, port);
    if (!addresses.has(key)) addresses.set(key, { address, port, isBroadcast, interfaceName });
  };
  const { port } = config.namespace;
  for (const one of config.interfaces.filter(({ address }) => isIPv4(address))) {
    add(one.address, port, false, one.name);
    add(one.address, one.port, false, one.name);
    // Do not compute the broadcast address from the configured `A/LEN`: the machine receives broadcasts only for the subnets of its own
    // interfaces, and these subnets may differ from `A/LEN`.
    const broadcast = interfaceOf(one.address, machine)?.broadcast ?? null;
    if (broadcast !== null) add(broadcast, port, true, one.name);
  }
  return [...addresses.values()];
}

/**
 * Returns the addresses from which the server may answer a broadcast request. Addresses in the sender's subnet come first, because several
 * subnets may share a broadcast address (on the loopback interface, for example).
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
