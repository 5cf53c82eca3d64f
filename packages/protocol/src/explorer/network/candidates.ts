// Candidate paths: which client interface may reach which server interface, and why others are left out. Pure. Pairs on a common subnet;
// without any, the i-th with the i-th; `all`: every pair. Invariant: every interface is in a candidate or has a reason.

import { isSameSubnet } from '@rsio/common/lib/subnet';

export interface LocalInterface {
  readonly address: string;
  /** Of the subnet the address is in; null: not known. */
  readonly prefixLength: number | null;
}

export interface RemoteInterface {
  readonly address: string;
}

export interface Candidate<L, R> {
  readonly local: L;
  readonly remote: R;
}

/** An interface that is in no candidate: the client's, or the server's. */
export interface LeftOut<L, R> {
  readonly local: L | null;
  readonly remote: R | null;
  /** For people, to stand behind the interface's name and a colon. */
  readonly reason: string;
}

export interface Pairing<L, R> {
  readonly candidates: Candidate<L, R>[];
  readonly leftOut: LeftOut<L, R>[];
}

/** Candidates in order of local, then remote. Addresses of different families are never paired. */
export function pairCandidates<L extends LocalInterface, R extends RemoteInterface>(
  locals: readonly L[],
  remotes: readonly R[],
  choice: 'auto' | 'all',
): Candidate<L, R>[] {
  return considerCandidates(locals, remotes, choice).candidates;
}

/** The same, with what is left out and why. */
export function considerCandidates<L extends LocalInterface, R extends RemoteInterface>(
  locals: readonly L[],
  remotes: readonly R[],
  choice: 'auto' | 'all',
): Pairing<L, R> {
  const every = locals.flatMap((local) => remotes.map((remote) => ({ local, remote }))).filter(isOneFamily);
  const near = choice === 'all' ? every : every.filter(isOnLink);
  const isByPosition = near.length === 0;
  const candidates = isByPosition ? every.filter(({ local, remote }) => locals.indexOf(local) === remotes.indexOf(remote)) : near;
  const reason = reasonFor(isByPosition);
  const paired = new Set<L | R>(candidates.flatMap(({ local, remote }) => [local, remote]));
  const localsOut = locals.filter((local) => !paired.has(local));
  const remotesOut = remotes.filter((remote) => !paired.has(remote));
  return {
    candidates,
    leftOut: [
      ...localsOut.map((local) => ({
        local,
        remote: null,
        reason: reason(
          'server',
          every.some((pair) => pair.local === local),
        ),
      })),
      ...remotesOut.map((remote) => ({
        local: null,
        remote,
        reason: reason(
          'client',
          every.some((pair) => pair.remote === remote),
        ),
      })),
    ],
  };
}

/** True when no router is between the two, as far as the local subnet tells. */
export function isOnLink({ local, remote }: Candidate<LocalInterface, RemoteInterface>): boolean {
  return local.prefixLength !== null && isSameSubnet(local.address, local.prefixLength, remote.address);
}

function reasonFor(isByPosition: boolean): (peer: 'client' | 'server', hasFamily: boolean) => string {
  return (peer, hasFamily) => {
    if (!hasFamily) return `no interface of the ${peer} has an address of the same family`;
    if (isByPosition)
      return `not on a common subnet with any interface of the ${peer}, and the ${peer} has no interface at the same position`;
    return `not on a common subnet with any interface of the ${peer}`;
  };
}

function isOneFamily({ local, remote }: Candidate<LocalInterface, RemoteInterface>): boolean {
  return local.address.includes(':') === remote.address.includes(':');
}
