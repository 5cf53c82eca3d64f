// Composes the warnings that the daemon prints when it starts and has no path to a server. Pure. Invariant: a server that has answered with
// an error is never reported as unreachable.

import type { ErrorCode, RsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { REFUSALS_REPORTED_MAX } from './limits.ts';

export interface TriedPath {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** True while this path or another path to the same server is up. */
  readonly isConnected: boolean;
  readonly error: RsError | null;
}

/** An end point to which no path leads. */
interface LeftOutSection {
  readonly name: string;
  readonly address: string;
  /** Position of the `[server]` section that names the end point; null if only the server's list names the end point. */
  readonly position: number | null;
  readonly reason: string;
}

/** Errors of paths that occur without an answer from a server. */
const WITHOUT_ANSWER: ReadonlySet<ErrorCode> = new Set(['E_UNREACHABLE', 'E_TIMEOUT', 'E_RESET']);

/** Returns the warnings to print; none if a server is connected and no other server has answered with an error. */
export function unreachableServers(namespace: string, paths: readonly TriedPath[]): string[] {
  const refusals = new Set<string>();
  for (const { name, address, port, isConnected, error } of paths) {
    if (isConnected || error === null || WITHOUT_ANSWER.has(error.code)) continue;
    refusals.add(`No path to server ${name} of namespace ${namespace} at ${address}/${port}: ${error.message} [${error.code}]`);
  }
  if (refusals.size === 0) {
    if (paths.some(({ isConnected }) => isConnected)) return [];
    return [`No server of namespace ${namespace} is in reach: rsiod keeps trying; rsconfig -m status -v says why`];
  }
  const reported = [...refusals].slice(0, REFUSALS_REPORTED_MAX);
  const left = refusals.size - reported.length;
  const more =
    left > 0 ? [`The same applies to ${plural(left, 'more end point')} of namespace ${namespace}: rsconfig -m status -v lists them`] : [];
  return [...reported, ...more];
}

/**
 * Returns the warnings about `[server]` sections to which no path leads. The client never connects to the address of a section without a
 * path, so no other message says why the section has no effect.
 */
export function unreachedSections({ leftOut }: { readonly leftOut: readonly LeftOutSection[] }): string[] {
  const sections = leftOut.filter(({ position }) => position !== null);
  return sections.map(({ name, address, reason }) => `Server section ${name} (${address}): ${reason}`);
}
