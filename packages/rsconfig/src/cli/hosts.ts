// Resolves HOST[:PORT] arguments, and selects the interfaces of this machine that a command uses. Invariant: resolving a name takes at most
// HOST_LOOKUP_TIMEOUT_MS.

import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { PORT_MAX } from '@rsio/base/lib/limits';
import { parseAddress, parseEndpoint } from '@rsio/base/lib/units';
import type { ExploreLocal } from '@rsio/protocol/explorer/exploration';
import type { DatagramPeer } from '@rsio/protocol/explorer/datagram-sockets';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { OptionSpec } from '@rsio/common/cli/command';
import { usageError } from './context.ts';
import { HOST_LOOKUP_TIMEOUT_MS } from '../limits.ts';

/**
 * Matches HOST or HOST:PORT, where HOST is any text that can be a host name. Letters of any script are allowed, because the resolver
 * accepts them.
 */
const NAMED = /^([^\s:/[\]]+)(?::(\d{1,5}))?$/u;

/**
 * Throws E_USAGE if the text is neither an address nor a host name, E_UNREACHABLE if the name is unknown, and E_TIMEOUT if the resolver
 * takes too long.
 */
export async function resolveHost(text: string, port: number, clock: Clock): Promise<DatagramPeer> {
  const endpoint = addressOf(text);
  if (endpoint !== null) return { address: endpoint.address, port: endpoint.port ?? port };
  const [, name, portText] = NAMED.exec(text) ?? [];
  const given = portText === undefined ? port : Number(portText);
  // Text that has only digits and dots is a mistyped address, not a name.
  if (name === undefined || /^[\d.]+$/.test(name) || given < 1 || given > PORT_MAX) {
    throw usageError(`Wrong HOST ${text}: give an address or a name, with :PORT or without, such as 192.168.45.10 or big-9:5000`);
  }
  return { address: await addressOfName(name, clock), port: given };
}

export function parsePort(text: string | null, otherwise: number): number {
  if (text === null) return otherwise;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > PORT_MAX) throw usageError(`Wrong --port ${text}: give a number from 1 to ${PORT_MAX}`);
  return port;
}

async function addressOfName(name: string, clock: Clock): Promise<string> {
  const late = new Promise<'late'>((resolve) => void clock.after(HOST_LOOKUP_TIMEOUT_MS, () => resolve('late')));
  try {
    // Prefer IPv4, because exploration uses IPv4.
    const found = await Promise.race([lookup(name, { family: 4 }).catch(() => lookup(name)), late]);
    if (found !== 'late') return found.address;
  } catch (thrown) {
    throw new RsError('E_UNREACHABLE', `Cannot resolve host ${name} (${errnoName(thrown) ?? 'no answer'}): give its address`, {}, thrown);
  }
  throw new RsError('E_TIMEOUT', `The resolver did not answer for ${name} within ${HOST_LOOKUP_TIMEOUT_MS} ms: give its address`);
}

function addressOf(text: string): ReturnType<typeof parseEndpoint> | null {
  try {
    return parseEndpoint(text);
  } catch (thrown) {
    if (thrown instanceof RsError) return null;
    throw thrown;
  }
}

export const INTERFACE_OPTION = {
  kind: 'list',
  value: 'ADDRESS',
  help: 'use only the local interface that has this address;\nmay be repeated; default: all interfaces of this machine',
} as const satisfies OptionSpec;

/**
 * Returns the interfaces that have the given addresses, in the order of `addresses`; all interfaces if `addresses` is empty. Throws E_USAGE
 * and E_ADDRESS_MISSING.
 */
export function namedInterfaces(interfaces: readonly MachineInterface[], addresses: readonly string[]): readonly MachineInterface[] {
  if (addresses.length === 0) return interfaces;
  return [...new Set(addresses.map(parseAddress))].map((address) => {
    const found = interfaceOf(address, interfaces);
    if (found !== null) return found;
    const own = interfaces.map((one) => `${one.address} (${one.device})`).join(', ');
    throw new RsError('E_ADDRESS_MISSING', `This machine does not have address ${address}: it has ${own}`, { address });
  });
}

/**
 * Returns the interfaces from which to explore. An interface without a broadcast address (IPv6 or point-to-point) is used only if a target
 * has the same address family.
 */
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
