// The interfaces of this machine that a command works with: those a person named, or all; and of them those on which is asked. Pure.
// Leaves asking to the explorer.

import { isIPv6 } from 'node:net';
import type { DatagramPeer } from '@rsio/protocol/explorer/network/datagram-sockets';
import type { ExploreLocal } from '@rsio/protocol/explorer/discovery/exploration';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { RsError } from '@rsio/common/lib/errors';
import { parseAddress } from '@rsio/common/lib/units';
import type { OptionSpec } from '../../cli/command.ts';

export const INTERFACE_OPTION = {
  kind: 'list',
  value: 'ADDRESS',
  help: 'use the interface with this address; may be repeated;\ndefault: all interfaces of this machine',
} as const satisfies OptionSpec;

/** The interfaces with these addresses, in this order; none given: all. Throws E_USAGE, E_ADDRESS_MISSING. */
export function namedInterfaces(interfaces: readonly MachineInterface[], addresses: readonly string[]): readonly MachineInterface[] {
  if (addresses.length === 0) return interfaces;
  return [...new Set(addresses.map(parseAddress))].map((address) => {
    const found = interfaceOf(address, interfaces);
    if (found !== null) return found;
    const own = interfaces.map((one) => `${one.address} (${one.device})`).join(', ');
    throw new RsError('E_ADDRESS_MISSING', `This machine does not have address ${address}: it has ${own}`, { address });
  });
}

/** An interface without broadcast (IPv6, point to point) is of use only where an address of its family was given. */
export function exploringLocals(interfaces: readonly MachineInterface[], targets: readonly DatagramPeer[]): ExploreLocal[] {
  const isAsked = ({ address, broadcast }: MachineInterface): boolean =>
    broadcast !== null || targets.some((target) => isIPv6(target.address) === isIPv6(address));
  return interfaces
    .filter((one) => one.hasCarrier && isAsked(one))
    .map(({ device, address, broadcast }) => ({ name: device, address, broadcast }));
}

export function shownLocals(locals: readonly ExploreLocal[]): string {
  return locals.length === 0 ? 'no interface (none is up)' : locals.map(({ name, address }) => `${name} (${address})`).join(', ');
}
