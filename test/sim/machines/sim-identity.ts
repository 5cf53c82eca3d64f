// Reads the identity of a simulated client from its handshake, and makes the identity of a simulated server. Invariant: two client
// processes never have the same number, even if they present the same identity.

import type { ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import type { SimClaimant } from './sim-holds.ts';

/** Reads the claimant from the handshake. A simulated client process puts its number into the process id that it presents. */
export function claimantOf({ hello: { node, instance, machine, boot, process } }: Proven, address: string): SimClaimant {
  return { node, instance, machine, boot, process, address, client: Number(process) };
}

export function interfaceAt(address: string): ServerInterface {
  return { name: `if-${address}`, address, port: PORT_DEFAULT };
}

/** Identity with which a server proves itself. `life`: number of the server's current listener. */
export function identityOf(
  { name, serverid }: Pick<ServerIdentity, 'serverid'> & { readonly name: string },
  life: number,
  { revokes, tls, mirrors, dataProcesses }: Readonly<Record<'revokes' | 'tls' | 'mirrors' | 'dataProcesses', boolean>>,
): ServerIdentity {
  const instance = life.toString(16).padStart(32, '0');
  const features = [
    FEATURE.DIGEST,
    ...(revokes ? [FEATURE.REVOKE] : []),
    ...(mirrors ? [FEATURE.MIRROR] : []),
    ...(dataProcesses ? [FEATURE.DATA_PROCESSES] : []),
    ...(tls ? [FEATURE.TLS] : []),
  ];
  return { namespaceid: 1, server: name, serverid, instance, serverkey: null, versions: [1], features };
}
