// Describes the interfaces of this machine, with addresses from the C library and link properties from /sys. Invariant: an unknown property
// is null, never a guess. Every address in 127/8 counts as an address of lo with prefix length 24.

import { readdirSync, readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { toAddress } from '@rsio/base/lib/address';
import os from 'node:os';
import { isLoopback4 } from '@rsio/base/lib/subnet';

export interface MachineInterface {
  /** The kernel's name, for example eth0. */
  readonly device: string;
  readonly address: string;
  readonly prefixLength: number;
  /** Broadcast address of the subnet; null for IPv6 and for a subnet of one or two addresses. */
  readonly broadcast: string | null;
  readonly mtuBytes: number | null;
  /** Speed of the link; null if the device, such as lo or a virtual device, does not report a speed. */
  readonly linkMbps: number | null;
  readonly hasCarrier: boolean;
  readonly isLoopback: boolean;
}

export interface ByteCounters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

interface InterfaceAddress {
  readonly device: string;
  readonly address: string;
  readonly prefixLength: number;
}

/** Sources of the facts that this module reports. Tests supply their own. */
export interface InterfaceFacts {
  /** Addresses of the interfaces that are running. */
  addresses(): readonly InterfaceAddress[];
  devices(): readonly string[];
  /** Text of a file below /sys/class/net or /proc/net; null if the file is missing or unreadable. `path` is absolute. */
  file(path: string): string | null;
}

const NET_DIR = '/sys/class/net';
const LOOPBACK_PREFIX_LENGTH = 24;
const LOOPBACK_BROADCAST = '127.255.255.255';

export const systemFacts: InterfaceFacts = {
  addresses: () =>
    Object.entries(interfaces()).flatMap(([device, list]) =>
      (list ?? [])
        // A link-local address is valid on its own link only, so it cannot be used in a configuration.
        .filter((info) => info.family === 'IPv4' || info.scopeid === 0)
        .map(({ address, cidr }) => ({
          device,
          address: toAddress(address) ?? address,
          prefixLength: Number(cidr?.split('/')[1] ?? (isIPv4(address) ? 32 : 128)),
        })),
    ),
  devices: () => {
    try {
      return readdirSync(NET_DIR);
    } catch {
      return [];
    }
  },
  file: (path) => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return null;
    }
  },
};

/**
 * Returns the interfaces that the kernel reports, or none if the query fails. The query needs a file descriptor; a daemon without free
 * descriptors must not exit because of a failed query.
 */
function interfaces(): ReturnType<typeof os.networkInterfaces> {
  try {
    return os.networkInterfaces();
  } catch {
    return {};
  }
}

/** Returns every address of this machine with its interface; interfaces without carrier are included. Loopback comes last. */
export function machineInterfaces(facts: InterfaceFacts): MachineInterface[] {
  const running = facts.addresses();
  const silent = silentAddresses(facts).filter(({ address }) => !running.some((known) => known.address === address));
  const all = [...running.map((known) => describe(facts, known, true)), ...silent.map((known) => describe(facts, known, false))];
  return [...all.filter(({ isLoopback }) => !isLoopback), ...all.filter(({ isLoopback }) => isLoopback)];
}

/** Returns the interface that has `address`, or null if this machine does not have the address. */
export function interfaceOf(address: string, machine: readonly MachineInterface[]): MachineInterface | null {
  const known = machine.find((candidate) => candidate.address === address);
  if (known !== undefined) return known;
  const loopback = isLoopback4(address) ? machine.find((candidate) => candidate.isLoopback && isIPv4(candidate.address)) : undefined;
  return loopback === undefined ? null : { ...loopback, address };
}

/** Bytes that a device has received and sent since its creation; null if the device has no counters. */
export function readCounters(device: string, facts: InterfaceFacts): ByteCounters | null {
  const receivedBytes = numberIn(facts, device, 'statistics/rx_bytes');
  const sentBytes = numberIn(facts, device, 'statistics/tx_bytes');
  return receivedBytes === null || sentBytes === null ? null : { receivedBytes, sentBytes };
}

/** Returns a map from the name of each device to its counters. */
export function allCounters(facts: InterfaceFacts): Map<string, ByteCounters> {
  return new Map(
    facts.devices().flatMap((device) => {
      const counters = readCounters(device, facts);
      return counters === null ? [] : [[device, counters] as const];
    }),
  );
}

function describe(facts: InterfaceFacts, { device, address, prefixLength }: InterfaceAddress, isRunning: boolean): MachineInterface {
  const isLoopback = isLoopback4(address) || address === '::1';
  const linkMbps = numberIn(facts, device, 'speed');
  return {
    device,
    address,
    prefixLength: isLoopback4(address) ? LOOPBACK_PREFIX_LENGTH : prefixLength,
    broadcast: isLoopback4(address) ? LOOPBACK_BROADCAST : broadcastOf(address, prefixLength),
    mtuBytes: numberIn(facts, device, 'mtu'),
    // An interface without a link reports a speed of -1 or the largest 32-bit number.
    linkMbps: linkMbps !== null && linkMbps > 0 && linkMbps < 0xffffffff ? linkMbps : null,
    hasCarrier: hasCarrier(facts, device, isRunning),
    isLoopback,
  };
}

/** A running interface that /sys does not list is assumed to have a carrier, because /sys may belong to another network namespace. */
function hasCarrier(facts: InterfaceFacts, device: string, isRunning: boolean): boolean {
  const carrier = facts.file(`${NET_DIR}/${device}/carrier`);
  if (carrier === null) return isRunning;
  return carrier === '1' && facts.file(`${NET_DIR}/${device}/operstate`) !== 'down';
}

function numberIn(facts: InterfaceFacts, device: string, name: string): number | null {
  const text = facts.file(`${NET_DIR}/${device}/${name}`);
  return text !== null && /^-?[0-9]+$/.test(text) ? Number(text) : null;
}

function broadcastOf(address: string, prefixLength: number): string | null {
  if (!isIPv4(address) || prefixLength > 30 || prefixLength < 1) return null;
  const hostMask = 2 ** (32 - prefixLength) - 1;
  return textOf((numberOf(address) | hostMask) >>> 0);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, octet) => (sum * 256 + Number(octet)) >>> 0, 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

/**
 * Finds IPv4 addresses on interfaces that are up but have no carrier. The C library does not list these addresses. /proc/net/fib_trie has
 * the addresses, and /proc/net/route has their subnets and devices.
 */
function silentAddresses(facts: InterfaceFacts): InterfaceAddress[] {
  const subnets = connectedSubnets(facts);
  return localAddresses(facts).flatMap((address) => {
    const subnet = subnets.find(
      ({ network, prefixLength }) => prefixLength < 32 && (numberOf(address) & maskOf(prefixLength)) >>> 0 === network,
    );
    return subnet === undefined ? [] : [{ device: subnet.device, address, prefixLength: subnet.prefixLength }];
  });
}

function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

/**
 * Returns the local addresses in /proc/net/fib_trie. In this file, a local address is on one line, and `/32 host LOCAL` is on the next
 * line.
 */
function localAddresses(facts: InterfaceFacts): string[] {
  const text = facts.file('/proc/net/fib_trie') ?? '';
  const found = [...text.matchAll(/\|-- ([0-9.]+)\n\s+\/32 host LOCAL/g)].map(([, address]) => address!);
  return [...new Set(found)].filter((address) => !isLoopback4(address));
}

/**
 * Returns the subnets of /proc/net/route that need no gateway. Each row has a device, a network and a mask. Network and mask are
 * hexadecimal numbers in this machine's byte order. The rows of connected subnets have gateway 0.
 */
function connectedSubnets(facts: InterfaceFacts): { device: string; network: number; prefixLength: number }[] {
  const rows = (facts.file('/proc/net/route') ?? '').split('\n').slice(1);
  return rows.flatMap((row) => {
    const [device, network, gateway, , , , , mask] = row.split(/\s+/);
    if (device === undefined || network === undefined || gateway !== '00000000' || mask === undefined) return [];
    const prefixLength = hexAddress(mask).toString(2).replaceAll('0', '').length;
    return [{ device, network: hexAddress(network), prefixLength }];
  });
}

function hexAddress(hex: string): number {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== 4) return 0;
  return os.endianness() === 'LE' ? bytes.readUInt32LE(0) : bytes.readUInt32BE(0);
}
