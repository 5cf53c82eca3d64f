// The error of a program that cannot listen on an address, as every daemon reports it. Invariant: the address that the error names is the
// one that was tried, and the remedy names what an administrator can do about it.

import { errnoName, RsError } from './errors.ts';

/** `what`: what the program cannot do, with the address: `listen on 127.0.0.1 port 5000 (interface if1)`. */
export function listenError(error: Error, what: string, context: Readonly<Record<string, unknown>> = {}): RsError {
  const [code, why] = REASONS[errnoName(error) ?? ''] ?? (['E_SYSTEM', error.message] as const);
  return new RsError(code, `Cannot ${what}: ${why}`, context, error);
}

const REASONS: Readonly<Record<string, readonly ['E_ADDRESS_IN_USE' | 'E_ADDRESS_MISSING' | 'E_RIGHTS', string]>> = {
  EADDRINUSE: ['E_ADDRESS_IN_USE', 'another program uses the port. Find it with ss -ltnp, stop it, or set another port'],
  EADDRNOTAVAIL: ['E_ADDRESS_MISSING', 'this machine does not have the address. Correct it, or bring the interface up'],
  EACCES: ['E_RIGHTS', 'no permission for this port. Run as root, or set a port of 1024 or above'],
  EPERM: ['E_RIGHTS', 'no permission for this port. Run as root, or set a port of 1024 or above'],
};
