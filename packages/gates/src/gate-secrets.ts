// Which hosts a gate lets in, and how they prove who they are. The proof itself is in nvme/auth and iscsi/login. Pure.
// Invariant: at a gate with secrets, a host without a secret is refused; at a gate with TLS, a host without a TLS key; and at every gate, a
// host that uses the gate's own name.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import type { ChapFault, ChapParties } from './iscsi/login/chap.ts';
import type { AuthFault, AuthParties } from './nvme/auth/dh-chap.ts';

/** `nqn`: the NQN of the gate. All its hosts may know the gate's secret, even hosts whose own secret was removed. */
export function isAllowed({ hosts, secrets, tls, tlsKeys }: ClientGateConfig, nqn: string, hostNqn: string): boolean {
  if (hostNqn === nqn || hosts?.includes(hostNqn) === false) return false;
  return tls ? tlsKeys.has(hostNqn) : secrets?.has(hostNqn) !== false;
}

/** True if an allowed host has to authenticate. With TLS, only a host with a secret has to authenticate; the TLS key proves the others. */
export function mustProve({ secrets, tls }: ClientGateConfig, hostNqn: string): boolean {
  return secrets !== null && (!tls || secrets.has(hostNqn));
}

/** Returns how an allowed host proves itself at the gate with this NQN; null if it need not. */
export function partiesOf(config: ClientGateConfig, nqn: string, hostNqn: string): AuthParties | null {
  const { secrets } = config;
  if (secrets === null || !mustProve(config, hostNqn)) return null;
  const host = secrets.get(hostNqn);
  assert(host !== undefined, 'A host without a secret was let in');
  return { hostNqn, host, nqn, own: secrets.get(nqn) ?? null };
}

/** Returns what happened and what to do. */
export function refusalText({ secretFile }: ClientGateConfig, nqn: string, hostNqn: string, fault: AuthFault): string {
  const refused = `host ${hostNqn} was refused`;
  switch (fault) {
    case 'secret':
      return `${refused}: its secret is not the one in ${secretFile}, give both the same (dhchap_secret on Linux) and run rsconfig reload`;
    case 'own secret':
      return `${refused}: it wants the gate to prove itself, give it the secret of ${nqn} in ${secretFile} (dhchap_ctrl_secret on Linux)`;
    case 'message':
      return `${refused}: it has sent a wrong message of DH-HMAC-CHAP, or has ended the authentication; its own log says why`;
  }
}

/**
 * Returns how an allowed initiator proves itself at the iSCSI gate with this name; null if it need not. The gate does not prove itself with a
 * secret that a host has, too: it would answer the challenge of that host to another one.
 */
export function chapPartiesOf({ secrets }: Pick<ClientGateConfig, 'secrets'>, name: string, initiatorName: string): ChapParties | null {
  const secret = secrets?.get(initiatorName);
  if (secrets === null) return null;
  assert(secret !== undefined, 'An initiator without a secret was let in');
  const own = secrets.get(name)?.key ?? null;
  const isShared = own !== null && [...secrets].some(([host, { key }]) => host !== name && key.equals(own));
  return { secret: secret.key, targetName: name, own: isShared ? null : own };
}

/** Returns what happened and what to do. */
export function chapRefusalText({ secretFile }: ClientGateConfig, name: string, initiatorName: string, fault: ChapFault): string {
  const refused = `host ${initiatorName} was refused`;
  switch (fault) {
    case 'secret':
      return `${refused}: its secret is not the one in ${secretFile}, give both the same and run rsconfig reload`;
    case 'own secret':
      return `${refused}: it wants the gate to prove itself, give ${name} a secret of its own in ${secretFile} (password_in of open-iscsi)`;
    case 'hash':
      return `${refused}: it offers neither SHA-256 nor MD5 for CHAP`;
    case 'message':
      return `${refused}: it has sent a wrong message of CHAP`;
  }
}
