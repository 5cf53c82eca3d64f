// Candidate paths: which client interface may reach which server interface. Pure. Pairs on a common subnet; without any, the i-th with
// the i-th; `all`: every pair.

import { sameSubnet } from '../lib/subnet.ts';

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

/** Candidates in order of local, then remote. Addresses of different families are never paired. */
export function pairCandidates<L extends LocalInterface, R extends RemoteInterface>(
  locals: readonly L[],
  remotes: readonly R[],
  choice: 'auto' | 'all',
): Candidate<L, R>[] {
  const every = locals.flatMap((local) => remotes.map((remote) => ({ local, remote }))).filter(isOneFamily);
  if (choice === 'all') return every;
  const near = every.filter(
    ({ local, remote }) => local.prefixLength !== null && sameSubnet(local.address, local.prefixLength, remote.address),
  );
  if (near.length > 0) return near;
  return every.filter(({ local, remote }) => locals.indexOf(local) === remotes.indexOf(remote));
}

function isOneFamily({ local, remote }: Candidate<LocalInterface, RemoteInterface>): boolean {
  return local.address.includes(':') === remote.address.includes(':');
}
