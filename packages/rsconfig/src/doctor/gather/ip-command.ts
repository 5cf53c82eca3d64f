// What the kernel says of its routes, through iproute2: one question, one answer as JSON, bounded in time.
// Invariant: a machine without `ip`, and an answer that is not as expected, give null: then nothing is said of routes.

import { execFile } from 'node:child_process';
import { IP_LIST_MAX_BYTES } from '@rsio/protocol/explorer/network/limits';
import { DOCTOR_COMMAND_TIMEOUT_MS } from '../../cli/limits.ts';
import type { RouteFacts, SilentAddress } from '../facts/facts.ts';

/** Which way what goes from `local` to `remote` leaves. `device` null: there is no route. */
export async function routeOf(local: string, remote: string): Promise<RouteFacts | null> {
  const answer = await askIp(['route', 'get', remote, 'from', local]);
  if (answer === 'refused') return { device: null };
  const [first] = answer ?? [];
  const device = first?.['dev'];
  return typeof device === 'string' ? { device } : null;
}

/** True when nobody on the device's link says that the address is his: it is asked for, and no answer has come. */
export async function isUnansweredOnLink(address: string, device: string): Promise<boolean> {
  const answer = await askIp(['neigh', 'show', 'to', address, 'dev', device]);
  if (answer === null || answer === 'refused') return false;
  return answer.some(({ state }) => Array.isArray(state) && state.some((one) => one === 'FAILED' || one === 'INCOMPLETE'));
}

/** Numbers of the routing tables that rules name. */
export async function tablesInUse(): Promise<number[]> {
  const answers = await Promise.all([askIp(['rule', 'show']), askIp(['-6', 'rule', 'show'])]);
  const rules = answers.flatMap((answer) => (answer === null || answer === 'refused' ? [] : answer));
  return rules.map(({ table }) => Number(table)).filter(Number.isInteger);
}

/** The router of each device, those of default routes first, IPv4. */
export async function routersOfDevices(): Promise<Record<string, string>> {
  const answer = await askIp(['-4', 'route', 'show']);
  if (answer === null || answer === 'refused') return {};
  const routers = answer.flatMap(({ dst, dev, gateway }) =>
    typeof dev === 'string' && typeof gateway === 'string' ? [{ isDefault: dst === 'default', entry: [dev, gateway] as const }] : [],
  );
  // The last one of a device counts.
  return Object.fromEntries(routers.toSorted((one, other) => Number(one.isDefault) - Number(other.isDefault)).map(({ entry }) => entry));
}

/** Addresses on devices that are switched off, or have no carrier: the C library does not name them. */
export async function silentAddresses(): Promise<SilentAddress[]> {
  const answer = await askIp(['address', 'show']);
  return answer === null || answer === 'refused' ? [] : answer.flatMap(silentIn);
}

/** Of one device, as `ip -j address show` tells it. */
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
      // Exit code 2: the kernel answered with an error.
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
