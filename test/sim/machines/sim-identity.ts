// Who a simulated client is, as its handshake says, and an interface of a simulated server. Invariant: two client processes never have the
// same number, whatever identity they present.

import type { ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import type { SimClaimant } from './sim-holds.ts';

/** Simulated clients say in the id of their process which one they are. */
export function claimantOf({ hello: { node, instance, machine, boot, process } }: Proven, address: string): SimClaimant {
  return { node, instance, machine, boot, process, address, client: Number(process) };
}

export function interfaceAt(address: string): ServerInterface {
  return { name: `if-${address}`, address, port: PORT_DEFAULT };
}

/** As which a server proves itself; `life`: the number of its listener. */
export function identityOf(
  { name, serverid }: Pick<ServerIdentity, 'serverid'> & { readonly name: string },
  life: number,
  { revokes, tls, mirrors }: { readonly revokes: boolean; readonly tls: boolean; readonly mirrors: boolean },
): ServerIdentity {
  const instance = life.toString(16).padStart(32, '0');
  const features = [
    FEATURE.DIGEST,
    ...(revokes ? [FEATURE.REVOKE] : []),
    ...(mirrors ? [FEATURE.MIRROR] : []),
    ...(tls ? [FEATURE.TLS] : []),
  ];
  return { namespaceid: 1, server: name, serverid, instance, serverkey: null, versions: [1], features };
}
