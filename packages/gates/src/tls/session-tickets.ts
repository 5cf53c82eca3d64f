// Turns session tickets off. The kernel of a Linux host takes a connection over after the handshake, and ends it when a ticket arrives.
// Node cannot turn tickets off, so this file calls Node's own OpenSSL through koffi. Invariant: nothing is changed with an untested
// version of Node, or if the context does not have OpenSSL's default number of tickets.

import { inspect } from 'node:util';
import type { SecureContext } from 'node:tls';
import { native } from '@rsio/rsiod/sys/koffi';

/** The form in which Node shows the address of the OpenSSL context; koffi does not accept the value itself. */
const ADDRESS = /^\[External: ([0-9a-f]{6,16})\]$/;
const TESTED_NODES = [20, 22, 24];
/** OpenSSL's default number of tickets after each handshake. */
const TICKETS = 2;

/** Returns false if tickets could not be turned off. */
export function withoutTickets({ context }: SecureContext): boolean {
  try {
    const [, address] = ADDRESS.exec(inspect(Reflect.get(context as object, '_external'))) ?? [];
    const isTested = TESTED_NODES.includes(Number(process.versions.node.split('.')[0]));
    if (address === undefined || !isTested) return false;
    const { library: node } = native();
    const at = BigInt(`0x${address}`);
    const count = node.func('SSL_CTX_get_num_tickets', 'size_t', ['uintptr_t']);
    if (count(at) !== TICKETS) return false;
    return node.func('SSL_CTX_set_num_tickets', 'int', ['uintptr_t', 'size_t'])(at, 0) === 1 && count(at) === 0;
  } catch {
    return false;
  }
}
