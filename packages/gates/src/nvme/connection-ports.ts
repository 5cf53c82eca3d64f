// What a connection of a host uses, and where it reports events. nvme-connection.ts contains the connection.
// Invariant: all connections of all gates share the pools and the budget.

import type { ConnectionEvents, GatePools } from '../ports/gate-protocol.ts';
import type { AuthFault, AuthParties } from './auth/dh-chap.ts';
import type { SharedAuthPorts } from './auth/dh-turns.ts';
import type { ConnectRequest } from './connect-request.ts';
import type { Subsystem } from './subsystem.ts';

export interface NvmePools extends GatePools {
  readonly auth: SharedAuthPorts;
}

export interface NvmeConnectionEvents extends Pick<ConnectionEvents, 'closing' | 'cut' | 'failed' | 'finished'> {
  /** The address of the host, or the network that it belongs to; strangers share by it what a login costs. */
  readonly source: string;
  /** Finds the subsystem that a host names; null if it is not at this gate, or not for this connection. */
  subsystem(request: ConnectRequest): Subsystem | null;
  /** Returns how an allowed host proves itself at a subsystem; null if it need not. */
  parties(request: ConnectRequest): AuthParties | null;
  /** Called when a host has failed to prove itself. */
  unproven(hostNqn: string, fault: AuthFault): void;
  /** Called once, when the host has logged in and, if it has to, has proven itself. */
  connected(request: ConnectRequest): void;
}
