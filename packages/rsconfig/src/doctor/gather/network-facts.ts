// Asks the kernel about the network: `ip` (iproute2) shows routes and neighbours, `ss` shows the packet sizes of rsiod's TCP connections,
// and /sys shows the card below a device. The packet size of a TCP connection is known even if discovery datagrams fail because of IPv6,
// routers or a small MTU at the server. Invariant: each query takes a bounded time. If a program is missing or gives an unexpected answer,
// the result is null.

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { IP_LIST_MAX_BYTES } from '@rsio/protocol/explorer/limits';
import { DEVICE_LAYERS_MAX, DOCTOR_COMMAND_TIMEOUT_MS } from '../../limits.ts';
import type { RouteFacts, SilentAddress } from './facts.ts';

/** Resolves with the kernel's route from `local` to `remote`. The field `device` is null if there is no route. */
export async function routeOf(local: string, remote: string): Promise<RouteFacts | null> {
  const answer = await askIp(['route', 'get', remote, 'from', local]);
  if (answer === 'refused') return { device: null };
  const [first] = answer ?? [];
  const device = first?.['dev'];
  return typeof device === 'string' ? { device } : null;
}

/** Resolves with true if no machine on the device's link has answered the kernel's neighbour request for the address. */
export async function isUnansweredOnLink(address: string, device: string): Promise<boolean> {
  const answer = await askIp(['neigh', 'show', 'to', address, 'dev', device]);
  if (answer === null || answer === 'refused') return false;
  return answer.some(({ state }) => Array.isArray(state) && state.some((one) => one === 'FAILED' || one === 'INCOMPLETE'));
}

/** Resolves with the numbers of the routing tables to which routing rules refer. */
export async function tablesInUse(): Promise<number[]> {
  const answers = await Promise.all([askIp(['rule', 'show']), askIp(['-6', 'rule', 'show'])]);
  const rules = answers.flatMap((answer) => (answer === null || answer === 'refused' ? [] : answer));
  return rules.map(({ table }) => Number(table)).filter(Number.isInteger);
}

/** Resolves with the IPv4 router of each device. If a device has several routes through routers, the default route takes precedence. */
export async function routersOfDevices(): Promise<Record<string, string>> {
  const answer = await askIp(['-4', 'route', 'show']);
  if (answer === null || answer === 'refused') return {};
  const routers = answer.flatMap(({ dst, dev, gateway }) =>
    typeof dev === 'string' && typeof gateway === 'string' ? [{ isDefault: dst === 'default', entry: [dev, gateway] as const }] : [],
  );
  // Default routes are sorted last, because `Object.fromEntries` keeps the last entry for each device.
  return Object.fromEntries(routers.toSorted((one, other) => Number(one.isDefault) - Number(other.isDefault)).map(({ entry }) => entry));
}

/**
 * Resolves with the addresses on devices that are down or have no carrier. The command `ip` lists such addresses, but the C library does
 * not.
 */
export async function silentAddresses(): Promise<SilentAddress[]> {
  const answer = await askIp(['address', 'show']);
  return answer === null || answer === 'refused' ? [] : answer.flatMap(silentIn);
}

/** Returns the addresses of one device from the output of `ip -j address show`, or an empty list if the device is up and has a carrier. */
export function silentIn({ ifname, flags, addr_info: addresses }: Rows[number]): SilentAddress[] {
  if (typeof ifname !== 'string' || !Array.isArray(flags) || !Array.isArray(addresses)) return [];
  const isUp = flags.includes('UP');
  if (isUp && !flags.includes('NO-CARRIER')) return [];
  return addresses.flatMap(({ local }: { local?: unknown }) =>
    typeof local === 'string' ? [{ device: ifname, address: local, isUp }] : [],
  );
}

type Rows = readonly Readonly<Record<string, unknown>>[];

function askIp(args: readonly string[]): Promise<Rows | 'refused' | null> {
  const options = { timeout: DOCTOR_COMMAND_TIMEOUT_MS, maxBuffer: IP_LIST_MAX_BYTES, encoding: 'utf8', killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile('ip', ['-j', ...args], options, (error, stdout) => {
      // If `ip` exits with 2, the kernel has answered with an error.
      if (error !== null) resolve(error.code === 2 ? 'refused' : null);
      else resolve(rowsIn(stdout));
    });
  });
}

function rowsIn(text: string): Rows | null {
  try {
    const rows: unknown = JSON.parse(text);
    return Array.isArray(rows) ? rows.filter((row): row is Rows[number] => typeof row === 'object' && row !== null) : null;
  } catch {
    return null;
  }
}

/** Upper bound on the size of the IP and TCP headers with their options. */
const HEADERS_MAX_BYTES = 120;

/**
 * Resolves with the largest packet size of the TCP connections from `local` to a server's end point. `ownBytes` is the MTU of the device
 * that has the address `local`.
 */
export function agreedPacketBytes(local: string, address: string, port: number, ownBytes: number): Promise<number | null> {
  const isSix = address.includes(':');
  const [from, to] = isSix ? [`[${local}]`, `[${address}]`] : [local, address];
  const args = ['-Htin', 'state', 'established', 'src', from, 'dst', to, 'dport', '=', String(port)];
  const options = { timeout: DOCTOR_COMMAND_TIMEOUT_MS, maxBuffer: IP_LIST_MAX_BYTES, encoding: 'utf8', killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile('ss', args, options, (error, stdout) => resolve(error === null ? packetBytesIn(stdout, ownBytes) : null));
  });
}

/**
 * Computes the packet size from the output of `ss -i`. The field `advmss` is the segment size that this end offered for an MTU of
 * `ownBytes`. The field `mss` is the amount of data that one packet carries.
 */
export function packetBytesIn(text: string, ownBytes: number): number | null {
  const sizes = [...text.matchAll(/\bmss:(\d+) .*\badvmss:(\d+)/g)].flatMap(([, mss, offered]) => {
    const headersBytes = ownBytes - Number(offered);
    return headersBytes > 0 && headersBytes <= HEADERS_MAX_BYTES ? [Number(mss) + headersBytes] : [];
  });
  return sizes.length === 0 ? null : Math.max(...sizes);
}

const LOWER = 'lower_';

/**
 * Returns the network card below each layered device, such as a VLAN. Cards, bonds and bridges have no entry. The function follows at most
 * DEVICE_LAYERS_MAX layers.
 */
export function cardsBelow(interfaces: readonly { readonly device: string }[], lowersOf = lowerDevices): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { device } of interfaces) {
    let card = device;
    for (let layer = 0; layer < DEVICE_LAYERS_MAX; layer++) {
      const [lower, ...others] = lowersOf(card);
      if (lower === undefined || others.length > 0) break;
      card = lower;
    }
    if (card !== device) found[device] = card;
  }
  return found;
}

function lowerDevices(device: string): string[] {
  try {
    const names = readdirSync(`/sys/class/net/${device}`);
    return names.filter((name) => name.startsWith(LOWER)).map((name) => name.slice(LOWER.length));
  } catch {
    return [];
  }
}
