// Tells whether a program listens on an address of this machine. This file reads the kernel's tables and does not connect to the address.
// The tables do not name the program, so the caller must know which program it is.

import { readFileSync } from 'node:fs';

const LISTEN = '0A';

export function isListening(address: string, port: number): boolean {
  const wanted = endpointOf(address, port);
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN && local === wanted;
    });
}

/** The endpoint in the kernel's form: the address as a hexadecimal number of this little-endian machine. */
function endpointOf(address: string, port: number): string {
  const bytes = address.split('.').map(Number).reverse();
  return `${hex(Buffer.from(bytes))}:${hex(Buffer.from([port >> 8, port & 0xff]))}`;
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
