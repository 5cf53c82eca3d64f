// Identifies the server at one address over TCP, with the login data of its namespace, and lists its interfaces. TCP also finds servers
// that do not answer an exploration, for example because the network drops UDP.

import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { isOnLink } from '@rsio/protocol/explorer/candidates';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeLocal, ProbePorts, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { addressKey } from '@rsio/base/lib/subnet';
import type { IdentifiedServer } from './model/ports.ts';

export interface IdentificationRequest {
  readonly config: RscltConfig;
  readonly namespace: ClientNamespaceConfig;
  readonly locals: readonly ProbeLocal[];
  readonly ports: ProbePorts;
}

/** Tries the client's interfaces one after another until one connects; interfaces on the subnet of the address come first. */
export async function identifyServer(
  { config, namespace, locals, ports }: IdentificationRequest,
  address: string,
): Promise<IdentifiedServer> {
  const { namespaceid, nodename, nodekey, tls } = namespace;
  const login = { nodename, nodekey, serverkey: serverkeyAt(namespace, [address]), tls };
  const alike = locals.filter((local) => local.address.includes(':') === address.includes(':'));
  const isNear = (local: ProbeLocal): boolean => isOnLink({ local, remote: { address } });
  let last: ProbeReport | null = null;
  for (const local of [...alike.filter(isNear), ...alike.filter((each) => !isNear(each))]) {
    const port = portAt(config, namespace, local, address);
    last = await probeCandidate({ local, remote: { name: 'asked', address, port } }, login, { namespaceid, serverid: null }, ports);
    if (last.connectMs !== null) break;
  }
  const server = last === null || last.failure !== null ? null : serverOf(namespace, last);
  if (server !== null) return { server };
  const sentence =
    last === null ? 'no interface has an address of the same family' : (last.failure ?? 'the server does not name its interfaces');
  return { finding: { kind: 'no-answer', object: address, count: 1, sentence, remedy: 'check address, port, login data and cables' } };
}

/** Returns the serverkey in the file for a server at one of the addresses; null if there is none. */
export function serverkeyAt({ servers }: ClientNamespaceConfig, addresses: readonly string[]): string | null {
  const keys = new Set(addresses.map(addressKey));
  return servers.find(({ address, serverkey }) => serverkey !== null && keys.has(addressKey(address)))?.serverkey ?? null;
}

function portAt(config: RscltConfig, namespace: ClientNamespaceConfig, local: ProbeLocal, address: string): number {
  const port = namespace.servers.find((server) => addressKey(server.address) === addressKey(address))?.port ?? null;
  const portGiven = config.interfaces.find(({ name }) => name === local.name)?.portGiven ?? null;
  return targetPort(config, namespace, { port }, { portGiven });
}

function serverOf({ namespaceid, name }: ClientNamespaceConfig, { server, candidate }: ProbeReport): FoundServer | null {
  if (server === null || server.interfaces === null) return null;
  const { address, port } = candidate.remote;
  const isListed = server.interfaces.some((each) => addressKey(each.address) === addressKey(address) && each.port === port);
  // The requested address is valid even if the server does not list it, because NAT may translate addresses.
  const all = isListed ? server.interfaces : [{ name: 'asked', address, port }, ...server.interfaces];
  const interfaces = all.map((each) => ({ ...each, linkMbps: null, mtuBytes: null }));
  const { server: itsName, serverid, instance } = server;
  return { namespaceid, namespace: name, server: itsName, serverid, instance, isSigned: false, interfaces, heard: [] };
}
