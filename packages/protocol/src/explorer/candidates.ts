// Pairs client interfaces with server interfaces as candidate paths, and gives a reason for each interface left out. Pure. Interfaces on a
// common subnet are paired. If no two interfaces share a subnet, the i-th interface of the client is paired with the i-th interface of the
// server. The choice `all` pairs every client interface with every server interface. Invariant: every interface is in a candidate or is
// left out with a reason.

import { isSameSubnet } from '@rsio/base/lib/subnet';

export interface LocalInterface {
  readonly address: string;
  readonly prefixLength: number | null;
}

export interface RemoteInterface {
  readonly address: string;
}

export interface Candidate<L, R> {
  readonly local: L;
  readonly remote: R;
}

/** An interface of the client or of the server that is in no candidate. */
export interface LeftOut<L, R> {
  readonly local: L | null;
  readonly remote: R | null;
  /** Text for people; printed after the interface's name and a colon. */
  readonly reason: string;
}

export interface Pairing<L, R> {
  readonly candidates: Candidate<L, R>[];
  readonly leftOut: LeftOut<L, R>[];
}

/**
 * Returns the candidates, ordered by their position in `locals` and then in `remotes`. Addresses of different families are never paired.
 */
export function pairCandidates<L extends LocalInterface, R extends RemoteInterface>(
  locals: readonly L[],
  remotes: readonly R[],
  choice: 'auto' | 'all',
): Candidate<L, R>[] {
  return considerCandidates(locals, remotes, choice).candidates;
}

/** Returns the candidates that `pairCandidates` returns, and the interfaces that are left out, each with the reason. */
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

/** True if the remote address is in the subnet of the local interface; if so, no router is between the addresses. */
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
