// When somebody listens on an address of this machine, as the kernel tells it: nobody has to connect for that, and nobody is disturbed.
// Leaves what listens there to who asks.

import { readFileSync } from 'node:fs';

const LISTEN = '0A';

/** Whether a socket listens on this IPv4 address and port. */
export function isListening(address: string, port: number): boolean {
  const wanted = endpointOf(address, port);
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN && local === wanted;
    });
}

/** As the kernel writes it: the address as a number of this (little-endian) machine, in hexadecimal. */
function endpointOf(address: string, port: number): string {
  const bytes = address.split('.').map(Number).reverse();
  return `${hex(Buffer.from(bytes))}:${hex(Buffer.from([port >> 8, port & 0xff]))}`;
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
