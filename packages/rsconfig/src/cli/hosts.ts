// HOST[:PORT] as a person gives it: an address or a name that the resolver knows. Nothing is sent to the host itself.
// Invariant: bounded in time, whatever the resolver does.

import { lookup } from 'node:dns/promises';
import type { DatagramPeer } from '@rsio/protocol/explorer/network/datagram-sockets';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { parseEndpoint } from '@rsio/common/lib/units';
import { PORT_MAX } from '@rsio/common/lib/limits';
import { HOST_LOOKUP_TIMEOUT_MS } from './limits.ts';
import { usageError } from './command.ts';

/** A name may have letters of any script, which the resolver takes as they are; what is surely none is refused. */
const NAMED = /^([^\s:/[\]]+)(?::(\d{1,5}))?$/u;

/** Throws E_USAGE for what is no HOST, E_UNREACHABLE for a name that nobody knows, E_TIMEOUT. */
export async function resolveHost(text: string, port: number, clock: Clock): Promise<DatagramPeer> {
  const endpoint = addressOf(text);
  if (endpoint !== null) return { address: endpoint.address, port: endpoint.port ?? port };
  const [, name, portText] = NAMED.exec(text) ?? [];
  const given = portText === undefined ? port : Number(portText);
  // What consists of digits and dots was meant as an address.
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
    // IPv4 first: exploration uses IPv4.
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
