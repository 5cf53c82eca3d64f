// Selects the pairs of interfaces that doctor tries: those in the file, and those that rsiod would derive from the servers' own interface
// lists. Invariant: a pair of end points is tried once; an interface without a pair is listed with the reason.

import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { ClientNamespaceConfig, ClientServerConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { considerCandidates, isOnLink } from '@rsio/protocol/explorer/candidates';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { addressKey, prefixLengthOf } from '@rsio/base/lib/subnet';
import type { LeftOutFacts, PathFacts } from './facts.ts';

export interface Local {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  readonly portGiven: number | null;
}

export interface Pair {
  readonly namespace: ClientNamespaceConfig;
  readonly local: Local;
  readonly remote: Pick<ClientServerConfig, 'name' | 'address' | 'serverkey'>;
  readonly port: number;
}

export interface Pairs {
  readonly pairs: readonly Pair[];
  readonly leftOut: readonly LeftOutFacts[];
}

export function localsOf({ interfaces }: RscltConfig, machine: readonly MachineInterface[]): Local[] {
  return interfaces.map(({ name, address, prefixLength, portGiven }) => ({
    name,
    address,
    portGiven,
    prefixLength: prefixLengthOf(address, prefixLength, interfaceOf(address, machine)?.prefixLength ?? null),
  }));
}

export function configuredPairs(config: RscltConfig, locals: readonly Local[]): Pairs {
  const all = config.namespaces.map((namespace): Pairs => {
    // A namespace without servers is not reported here, because the check of the file already warns about it.
    if (namespace.servers.length === 0) return { pairs: [], leftOut: [] };
    const { candidates, leftOut } = considerCandidates(locals, namespace.servers, choiceOf(namespace));
    return {
      pairs: candidates.map(({ local, remote }) => ({ namespace, local, remote, port: targetPort(config, namespace, remote, local) })),
      leftOut: leftOut.flatMap(({ local, remote, reason }): LeftOutFacts[] => {
        const one = local ?? remote;
        const type = local === null ? 'section' : 'interface';
        return one === null ? [] : [{ namespace: namespace.name, object: one.name, type, address: one.address, reason }];
      }),
    };
  });
  return { pairs: all.flatMap(({ pairs }) => pairs), leftOut: all.flatMap(({ leftOut }) => leftOut) };
}

/** Returns pairs of a local interface and a server interface, for the server interfaces that are in the servers' lists but on no path in `tried`. */
export function learnedPairs(config: RscltConfig, locals: readonly Local[], tried: readonly PathFacts[]): Pairs {
  const all = config.namespaces
    .filter(({ paths }) => paths !== 'configured')
    .flatMap((namespace) => serversMet(namespace, tried).map((path) => pairsToServer(namespace, locals, path, tried)));
  return { pairs: all.flatMap(({ pairs }) => pairs), leftOut: all.flatMap(({ leftOut }) => leftOut) };
}

/** Returns one path to each server that has proved its identity. */
function serversMet(namespace: ClientNamespaceConfig, tried: readonly PathFacts[]): PathFacts[] {
  const proved = tried.filter((path) => path.namespace === namespace.name && path.report?.server?.isProved === true);
  const instances = proved.map(({ report }) => report?.server?.instance);
  return proved.filter((_, index) => instances.indexOf(instances[index]) === index);
}

function pairsToServer(
  namespace: ClientNamespaceConfig,
  locals: readonly Local[],
  { report, section }: PathFacts,
  tried: readonly PathFacts[],
): Pairs {
  const server = report?.server?.server ?? '';
  const known = new Set(
    tried.filter((path) => path.namespace === namespace.name).map(({ address, port }) => `${addressKey(address)} ${port}`),
  );
  const named = new Set(namespace.servers.map(({ address }) => addressKey(address)));
  const serverkey = namespace.servers.find(({ name }) => name === section)?.serverkey ?? null;
  const remotes = (report?.server?.interfaces ?? [])
    .filter(({ address, port }) => !known.has(`${addressKey(address)} ${port}`))
    .map(({ name, address, port }) => ({ name: `${server}-${name}`, address, port, serverkey }));
  const { candidates, leftOut } = considerCandidates(locals, remotes, choiceOf(namespace));
  const usable = candidates.filter((candidate) => choiceOf(namespace) === 'all' || isOnLink(candidate));
  const unused = remotes.filter(
    (remote) => usable.every((candidate) => candidate.remote !== remote) && !named.has(addressKey(remote.address)),
  );
  return {
    pairs: usable.map(({ local, remote }) => ({ namespace, local, remote, port: remote.port })),
    leftOut: unused.map((remote) => ({
      namespace: namespace.name,
      object: remote.name,
      type: 'learned',
      address: remote.address,
      reason: leftOut.find((one) => one.remote === remote)?.reason ?? 'not on a common subnet with any interface of the client',
    })),
  };
}

function choiceOf({ paths }: ClientNamespaceConfig): 'auto' | 'all' {
  return paths === 'all' ? 'all' : 'auto';
}
