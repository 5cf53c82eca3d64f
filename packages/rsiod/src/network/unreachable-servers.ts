// What the start of rsiod says of servers that it has no path to: what a server said, when one answered, and that none is there else. Pure.
// Invariant: a server that was met and said why is never called out of reach.

import type { ErrorCode, RsError } from '@rsio/common/lib/errors';
import { plural } from '@rsio/common/lib/units';
import { REFUSALS_REPORTED_MAX } from './limits.ts';

export interface TriedPath {
  /** What the configuration calls the server's end. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** This path, or another one of the server that it leads to, is up. */
  readonly isConnected: boolean;
  readonly error: RsError | null;
}

/** Errors without a word of a server. */
const NOBODY_SPOKE: ReadonlySet<ErrorCode> = new Set(['E_UNREACHABLE', 'E_TIMEOUT', 'E_RESET']);

/** Sentences for the prompt, none when all is well. */
export function unreachableServers(namespace: string, paths: readonly TriedPath[]): string[] {
  const said = new Set<string>();
  for (const { name, address, port, isConnected, error } of paths) {
    if (isConnected || error === null || NOBODY_SPOKE.has(error.code)) continue;
    said.add(`No path to server ${name} of namespace ${namespace} at ${address}/${port}: ${error.message} [${error.code}]`);
  }
  if (said.size === 0) {
    if (paths.some(({ isConnected }) => isConnected)) return [];
    return [`No server of namespace ${namespace} is in reach: trying on; rsconfig -m status -v says why`];
  }
  const told = [...said].slice(0, REFUSALS_REPORTED_MAX);
  const left = said.size - told.length;
  const more =
    left > 0 ? [`The same goes for ${plural(left, 'more end point')} of namespace ${namespace}: rsconfig -m status -v has them`] : [];
  return [...told, ...more];
}
