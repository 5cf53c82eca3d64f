// Which hosts a gate lets in, and how they prove who they are. nvme/auth has the proof itself. Pure.
// Invariant: at a gate with secrets, a host without a secret is refused, and so is one that calls itself like the gate.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/common/lib/assert';
import type { AuthFault, AuthParties } from './nvme/auth/dh-chap.ts';

/** `nqn`: that of the gate, whose secret all its hosts may know, also those whose own secret was removed. */
export function isAllowed({ hosts, secrets }: ClientGateConfig, nqn: string, hostNqn: string): boolean {
  return hostNqn !== nqn && hosts?.includes(hostNqn) !== false && secrets?.has(hostNqn) !== false;
}

/** Returns how an allowed host proves itself at the gate with this NQN; null if it need not. */
export function partiesOf({ secrets }: ClientGateConfig, nqn: string, hostNqn: string): AuthParties | null {
  if (secrets === null) return null;
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
