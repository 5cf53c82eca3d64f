// Tries every path that the file makes: route, connecting, then the whole probe of those that connect, one after the other, because rates
// must not disturb each other. Invariant: bounded in number and time; a wrong key is shown to a namespace's servers once, not once for each
// path, so that the server's limit of failed proofs is not used up.

import type { ClientNamespaceConfig, ClientServerConfig, RscltConfig } from '@rsio/protocol/config/types';
import { targetPort } from '@rsio/protocol/config/rscltcfg';
import { type Candidate, considerCandidates } from '@rsio/protocol/explorer/candidates';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { prefixLengthOf } from '@rsio/protocol/lib/subnet';
import { DOCTOR_PATHS_MAX } from '@rsio/protocol/limits';
import { type MachinePorts, probePorts } from '../machine-ports.ts';
import type { LeftOutFacts, PathFacts } from './facts.ts';
import { isUnansweredOnLink, routeOf } from './ip-command.ts';
import { unreachedBy } from './reach.ts';
import { plural } from './words.ts';

interface Local {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  readonly portGiven: number | null;
}

interface Pair {
  readonly namespace: ClientNamespaceConfig;
  readonly local: Local;
  readonly remote: ClientServerConfig;
  readonly port: number;
}

export interface TriedPaths {
  readonly paths: readonly PathFacts[];
  readonly pathsNotTried: number;
  readonly leftOut: readonly LeftOutFacts[];
}

/** `tells` hears what is waited for. */
export async function tryPaths(config: RscltConfig, ports: MachinePorts, tells: (sentence: string) => void): Promise<TriedPaths> {
  const { pairs, leftOut } = pairsOf(config, ports);
  const tried = pairs.slice(0, DOCTOR_PATHS_MAX);
  if (tried.length > 0) tells(`Trying ${plural(tried.length, 'path')}, about a second each`);
  const connected = await Promise.all(
    tried.map(async (pair) => {
      const { local, remote, port } = pair;
      const isOurs = interfaceOf(local.address, ports.interfaces) !== null;
      if (!isOurs) return { pair, route: null, unreached: null, isOurs };
      const [route, reason] = await Promise.all([routeOf(local.address, remote.address), unreachedBy(local.address, remote.address, port)]);
      // The kernel gives up asking for the address at about the same time as we do.
      const isNobody = reason === 'ETIMEDOUT' && route !== null && route.device !== null;
      const unreached = isNobody && (await isUnansweredOnLink(remote.address, route.device)) ? 'EHOSTUNREACH' : reason;
      return { pair, route, unreached, isOurs };
    }),
  );
  const paths: PathFacts[] = [];
  const refusedIn = new Set<string>();
  for (const { pair, route, unreached, isOurs } of connected) {
    const { namespace, local, remote, port } = pair;
    const report = isOurs && unreached === null ? await probe(pair, ports, !refusedIn.has(namespace.name)) : null;
    if (report?.failureCode === 'E_AUTH') refusedIn.add(namespace.name);
    paths.push({
      namespace: namespace.name,
      nodename: namespace.nodename,
      interface: local.name,
      local: local.address,
      section: remote.name,
      address: remote.address,
      port,
      route,
      unreached,
      report,
    });
  }
  return { paths, pathsNotTried: pairs.length - tried.length, leftOut };
}

function probe({ namespace, local, remote, port }: Pair, ports: MachinePorts, logsIn: boolean): Promise<ProbeReport> {
  const { nodename, nodekey, namespacekey, namespaceid } = namespace;
  const login = logsIn ? { nodename, nodekey, serverkey: remote.serverkey } : null;
  const candidate = { local, remote: { name: remote.name, address: remote.address, port } };
  return probeCandidate(candidate, login, { namespaceid, serverid: null }, probePorts(ports, namespacekey));
}

function pairsOf(config: RscltConfig, { interfaces }: MachinePorts): { pairs: Pair[]; leftOut: LeftOutFacts[] } {
  const locals = config.interfaces.map(
    ({ name, address, prefixLength, portGiven }): Local => ({
      name,
      address,
      portGiven,
      prefixLength: prefixLengthOf(address, prefixLength, interfaceOf(address, interfaces)?.prefixLength ?? null),
    }),
  );
  const pairs: Pair[] = [];
  const leftOut: LeftOutFacts[] = [];
  for (const namespace of config.namespaces) {
    const pairing = considerCandidates(locals, namespace.servers, namespace.paths === 'all' ? 'all' : 'auto');
    pairs.push(...pairing.candidates.map((candidate) => pairOf(config, namespace, candidate)));
    for (const { local, remote, reason } of pairing.leftOut) {
      const one = local ?? remote;
      // An interface without any server has no path by itself: that is the file's warning.
      if (one === null || namespace.servers.length === 0) continue;
      leftOut.push({
        namespace: namespace.name,
        object: one.name,
        type: local === null ? 'server' : 'interface',
        address: one.address,
        reason,
      });
    }
  }
  return { pairs, leftOut };
}

function pairOf(config: RscltConfig, namespace: ClientNamespaceConfig, { local, remote }: Candidate<Local, ClientServerConfig>): Pair {
  return { namespace, local, remote, port: targetPort(config, namespace, remote, local) };
}
