// Tries every pair of a local interface and a discovered server's interface, one at a time, with a login and a short measurement.
// Invariants: every server interface and every local interface is in a path or is reported with the reason; a key that a server has refused
// is not sent to that server again.

import { considerCandidates, isOnLink, type Pairing } from '@rsio/protocol/explorer/candidates';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeCandidate, ProbeRemote, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { printEndpoint } from '@rsio/base/lib/units';
import { JOIN_PATHS_MAX } from '../limits.ts';
import { probePorts, type ThisMachine } from '../cli/this-machine.ts';
import type { Discovery, JoinTarget, ServerToTry } from './discovery.ts';
import type { UsablePath } from './plan.ts';

type Local = MachineInterface & { readonly name: string };

export interface TriedPath {
  readonly path: UsablePath;
  readonly report: ProbeReport;
}

export interface Trial {
  readonly usable: readonly TriedPath[];
  /** Messages about unused interfaces, each with the reason. */
  readonly unused: readonly string[];
  /** Names of the servers that did not accept the login. */
  readonly refusedBy: readonly string[];
  /**
   * Name of a server that accepts only encrypted paths; null if the trial has found no such server. The trial ends at this server, because
   * the login was without TLS.
   */
  readonly demandsTls: string | null;
  /** Names of the servers that refuse encrypted paths, if the login was with TLS. */
  readonly withoutTls: readonly string[];
}

/** Tries the paths to all discovered servers; calls `announce` before each path. */
export async function tryServers(
  target: JoinTarget,
  discovery: Discovery,
  here: ThisMachine,
  announce: (sentence: string) => void,
): Promise<Trial> {
  const usable: TriedPath[] = [];
  const unused: string[] = [];
  const refusedBy: string[] = [];
  const withoutTls: string[] = [];
  const idle = new Map(target.interfaces.filter(({ hasCarrier }) => !hasCarrier).map((one) => [localName(one), 'it has no carrier']));
  const tried = new Set<string>();
  let left = JOIN_PATHS_MAX;
  for (const server of discovery.servers) {
    const { candidates, leftOut } = pairsOf(target.interfaces, server);
    // Each server has its own flag `hasRefused`, because several servers may claim the same name.
    let hasRefused = false;
    for (const { local, remote, reason } of leftOut) {
      if (remote !== null) unused.push(`${remote.name} of ${server.server} (${remote.address}) is not used: ${reason}`);
      else if (local !== null && !local.isLoopback) idle.set(localName(local), reason);
    }
    for (const candidate of candidates) {
      const name = pairName(candidate, server);
      if (hasRefused) break;
      if (left === 0) {
        unused.push(`${name} was not tried: join tries at most ${JOIN_PATHS_MAX} paths`);
        continue;
      }
      left -= 1;
      announce(`Trying ${name}`);
      tried.add(localName({ device: candidate.local.name, address: candidate.local.address }));
      const report = await probe(candidate, target, discovery.namespaceid, server, here);
      if (report.failureCode === 'E_TLS' && !target.login.tls) {
        return { usable, unused, refusedBy, demandsTls: server.server, withoutTls };
      }
      if (report.failureCode === 'E_TLS') withoutTls.push(server.server);
      hasRefused = report.failureCode === 'E_AUTH';
      if (hasRefused) refusedBy.push(server.server);
      else if (report.failure !== null) unused.push(`${name} cannot be used: ${report.failure}`);
      else usable.push({ path: pathOf(candidate, server), report });
    }
  }
  for (const one of target.interfaces.filter(({ isLoopback }) => !isLoopback)) {
    const name = localName(one);
    if (!tried.has(name)) unused.push(`${name} is not used: ${idle.get(name) ?? 'no server answered on it'}`);
  }
  return { usable, unused, refusedBy, demandsTls: null, withoutTls };
}

/**
 * Returns the pairs of interfaces on a common subnet. If no pair has a common subnet, the server is reached through a router. Across a
 * router, only the local addresses that received the server's answer are paired, because they are known to have a route.
 */
function pairsOf(interfaces: readonly MachineInterface[], server: ServerToTry): Pairing<Local, ProbeRemote> {
  const remotes = server.interfaces;
  const alive = interfaces.filter(({ hasCarrier }) => hasCarrier).map((one): Local => ({ ...one, name: one.device }));
  const isNear = alive.some((local) => remotes.some((remote) => isSameFamily(local, remote) && isOnLink({ local, remote })));
  const near = isNear ? alive : alive.filter(({ address }) => server.heardOn.includes(address));
  return considerCandidates(near, remotes, 'auto');
}

function localName({ device, address }: Pick<MachineInterface, 'device' | 'address'>): string {
  return `${device} (${address})`;
}

function isSameFamily(local: { readonly address: string }, remote: { readonly address: string }): boolean {
  return local.address.includes(':') === remote.address.includes(':');
}

function probe(
  candidate: ProbeCandidate,
  { host, login, namespacekey }: JoinTarget,
  namespaceid: number,
  { serverid }: ServerToTry,
  here: ThisMachine,
): Promise<ProbeReport> {
  const { address, port } = candidate.remote;
  // The server need not list the address that the user gave, because NAT may translate addresses.
  const isNamed = address !== host.address || port !== host.port;
  return probeCandidate(candidate, login, { namespaceid, serverid, isNamed }, probePorts(here, namespacekey));
}

function pathOf({ local, remote }: ProbeCandidate, { server, serverid }: ServerToTry): UsablePath {
  return { device: local.name, local: local.address, server, serverid, address: remote.address, port: remote.port };
}

function pairName({ local, remote }: ProbeCandidate, { server }: ServerToTry): string {
  return `${local.name} (${local.address}) -> ${printEndpoint(remote.address, remote.port)} of ${server}`;
}
