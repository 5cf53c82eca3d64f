// Turns session tickets off. The kernel of a Linux host takes a connection over after the handshake, and ends it when a ticket arrives. Node
// has no function for this, so it is called in Node's own OpenSSL through koffi, an optional package. Invariant: without koffi, or with an
// unknown Node, nothing is called.

import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import type { SecureContext } from 'node:tls';
import type * as Koffi from 'koffi';

/** Node shows the address of the OpenSSL context so, and koffi does not take the value itself. */
const ADDRESS = /^\[External: ([0-9a-f]{6,16})\]$/;

/** Returns false if tickets could not be turned off. */
export function withoutTickets({ context }: SecureContext): boolean {
  try {
    const [, address] = ADDRESS.exec(inspect(Reflect.get(context as object, '_external'))) ?? [];
    if (address === undefined) return false;
    // An optional package cannot be imported statically, and no bundle can contain its binaries.
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    return koffi.load(null).func('SSL_CTX_set_num_tickets', 'int', ['uintptr_t', 'size_t'])(BigInt(`0x${address}`), 0) === 1;
  } catch {
    return false;
  }
}
