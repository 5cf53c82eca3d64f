// How large the packets may be that the other end of a connection takes: what TCP has agreed on in rsiod's own connections, through iproute2's
// ss. It holds where discovery datagrams say nothing: too small a card at the server, IPv6, routers. Invariant: without `ss`, without a connection, and
// for an answer that is not as expected it is null.

import { execFile } from 'node:child_process';
import { IP_LIST_MAX_BYTES } from '@rsio/protocol/explorer/network/limits';
import { DOCTOR_COMMAND_TIMEOUT_MS } from '../../cli/limits.ts';

/** Of IP and TCP, with options. */
const HEADERS_MAX_BYTES = 120;

/** Of the connections from `local` to an end point. `ownBytes`: MTU of the card that has `local`. */
export function agreedPacketBytes(local: string, address: string, port: number, ownBytes: number): Promise<number | null> {
  const isSix = address.includes(':');
  const [from, to] = isSix ? [`[${local}]`, `[${address}]`] : [local, address];
  const args = ['-Htin', 'state', 'established', 'src', from, 'dst', to, 'dport', '=', String(port)];
  const options = { timeout: DOCTOR_COMMAND_TIMEOUT_MS, maxBuffer: IP_LIST_MAX_BYTES, encoding: 'utf8', killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile('ss', args, options, (error, stdout) => resolve(error === null ? packetBytesIn(stdout, ownBytes) : null));
  });
}

/** In what `ss -i` prints: how much less than this end has offered (`advmss`, for `ownBytes`) goes into a packet (`mss`). */
export function packetBytesIn(text: string, ownBytes: number): number | null {
  const sizes = [...text.matchAll(/\bmss:(\d+) .*\badvmss:(\d+)/g)].flatMap(([, mss, offered]) => {
    const headersBytes = ownBytes - Number(offered);
    return headersBytes > 0 && headersBytes <= HEADERS_MAX_BYTES ? [Number(mss) + headersBytes] : [];
  });
  return sizes.length === 0 ? null : Math.max(...sizes);
}
