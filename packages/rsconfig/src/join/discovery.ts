// Finds the servers that `join` tries. If the given host answers exploration, `join` tries the server on that host and every other server
// of the same namespace that answers. Otherwise, `join` tries only this host, and logs in to the server there without exploration.
// Invariant: no content of a discovery datagram counts as proved.

import { isIPv6 } from 'node:net';
import { RsError } from '@rsio/base/lib/errors';
import { isSameSubnet } from '@rsio/base/lib/subnet';
import { printEndpoint } from '@rsio/base/lib/units';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import { explore } from '@rsio/protocol/explorer/explorer';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { DatagramPeer } from '@rsio/protocol/explorer/datagram-sockets';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeRemote, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { exploringLocals } from '../cli/hosts.ts';
import { probePorts, type ThisMachine } from '../cli/this-machine.ts';
import { splitSentence } from '../doctor/gather/naming.ts';
import type { JoinLogin } from './encryption.ts';

export interface JoinTarget {
  readonly host: DatagramPeer;
  readonly interfaces: readonly MachineInterface[];
  readonly login: JoinLogin;
  readonly namespacekey: string | null;
  /** Id of the namespace; null if `join` must take it from the host's answer. */
  readonly namespaceid: number | null;
}

export interface ServerToTry {
  readonly server: string;
  readonly serverid: number;
  readonly interfaces: readonly ProbeRemote[];
  /** Local addresses that received the server's answer; `join` uses these addresses if this machine and the server share no subnet. */
  readonly heardOn: readonly string[];
}

export interface Discovery {
  readonly namespaceid: number;
  /** Name of the namespace according to the servers; null if unknown. */
  readonly namespace: string | null;
  /** The server at the given host comes first. */
  readonly servers: readonly ServerToTry[];
  readonly findings: readonly Finding[];
}

/**
 * Throws E_UNREACHABLE if the host cannot be reached, E_NAMESPACE if the user must give the id of the namespace, and the error of a failed
 * login to the host.
 */
export async function discover(target: JoinTarget, here: ThisMachine): Promise<Discovery> {
  const { host, interfaces, namespacekey, namespaceid } = target;
  const { clock, sockets, random } = here;
  const locals = exploringLocals(interfaces, [host]);
  const options = { locals, port: host.port, targets: [host], namespacekey, namespaceid, clock, sockets, random };
  const { servers, findings } = await explore(options);
  const named =
    servers.find(({ heard }) => heard.some(({ from }) => from === host.address)) ??
    servers.find((server) => server.interfaces.some(({ address, port }) => address === host.address && port === host.port));
  if (named === undefined) return askByTcp(target, findings, here);
  const others = servers.filter((server) => server !== named && server.namespaceid === named.namespaceid);
  return {
    namespaceid: named.namespaceid,
    namespace: named.namespace,
    servers: [named, ...others].map(toTry),
    findings: findings.filter(({ kind }) => kind !== 'no-answer'),
  };
}

function toTry({ server, serverid, interfaces, heard }: FoundServer): ServerToTry {
  return { server, serverid, interfaces, heardOn: [...new Set(heard.map(({ localAddress }) => localAddress))] };
}

async function askByTcp(target: JoinTarget, findings: readonly Finding[], here: ThisMachine): Promise<Discovery> {
  const { host, namespaceid, login } = target;
  const shown = printEndpoint(host.address, host.port);
  const { report, local } = await firstConnection(target, here);
  if (report.failure !== null) throw failureAt(shown, report);
  const server = report.server;
  if (namespaceid === null || server === null) {
    throw new RsError('E_NAMESPACE', `${shown} does not answer exploration: give its namespaceid with --id`);
  }
  if (server.interfaces === null) {
    throw new RsError(
      'E_VERSION',
      `Server ${server.server} at ${shown} does not support probes, so ${login.nodename} cannot log in: update the server`,
    );
  }
  const listed = server.interfaces;
  // The given address is used even if the server does not list it, because NAT may translate addresses.
  const isListed = listed.some(({ address, port }) => address === host.address && port === host.port);
  const interfaces = isListed ? listed : [{ name: 'given', ...host }, ...listed];
  const one = { server: server.server, serverid: server.serverid, interfaces, heardOn: [local] };
  return { namespaceid, namespace: null, servers: [one], findings: findings.filter(({ kind }) => kind !== 'no-answer') };
}

/** Tries one interface after another until one connects; interfaces on the host's subnet come first. */
export async function firstConnection(target: JoinTarget, here: ThisMachine): Promise<{ report: ProbeReport; local: string }> {
  const { host, interfaces, login, namespaceid, namespacekey } = target;
  const ordered = inOrderOfHope(interfaces, host.address);
  const failures: string[] = [];
  for (const { device, address, prefixLength } of ordered) {
    const candidate = { local: { name: device, address, prefixLength }, remote: { name: 'host', ...host } };
    // Without the id of the namespace, no login is possible, and the attempt only shows whether the host can be reached.
    const report = await probeCandidate(
      candidate,
      namespaceid === null ? null : login,
      { namespaceid, serverid: null },
      probePorts(here, namespacekey),
    );
    if (report.connectMs !== null) return { report, local: address };
    failures.push(`from ${device} (${address}): ${report.failure}`);
  }
  const tried = failures.length === 0 ? 'this machine has no interface that is up' : failures.join('; ');
  throw new RsError(
    'E_UNREACHABLE',
    `${printEndpoint(host.address, host.port)} cannot be reached: ${tried}. Check that rssrv runs there, address, port, cables and firewalls`,
  );
}

/**
 * Returns the interfaces in the order in which they are tried. For a loopback address, only the loopback interface is tried; for any other
 * address, the loopback interface is not tried.
 */
function inOrderOfHope(interfaces: readonly MachineInterface[], address: string): MachineInterface[] {
  const isHostLoopback = address.startsWith('127.') || address === '::1';
  const isOfUse = (one: MachineInterface): boolean =>
    one.hasCarrier && isIPv6(one.address) === isIPv6(address) && one.isLoopback === isHostLoopback;
  const isNear = (one: MachineInterface): boolean => isSameSubnet(one.address, one.prefixLength, address);
  const useful = interfaces.filter(isOfUse);
  return [...useful.filter(isNear), ...useful.filter((one) => !isNear(one))];
}

function failureAt(shown: string, { failure, failureCode }: ProbeReport): RsError {
  if (failureCode === 'E_AUTH') return notAccepted(`at ${shown}`);
  const { what } = splitSentence(failure ?? '', '');
  if (failureCode === 'E_NAMESPACE') {
    return new RsError('E_NAMESPACE', `${what} (asked at ${shown}): give the right one with --id, or the namespacekey where one is set`);
  }
  return new RsError(failureCode ?? 'E_PROTOCOL', `Login at ${shown} failed: ${failure}`);
}

/**
 * Makes the error for a login that the server does not accept. The message mentions both the name and the key, because a server does not
 * report which of them is wrong.
 */
export function notAccepted(server: string): RsError {
  return new RsError('E_AUTH', `${notAcceptedSentence(server)}; nothing was written`);
}

export function notAcceptedSentence(server: string): string {
  return `The server ${server} does not accept this name with this key: compare both with [clients] in its rssrvcfg, and serverkey where one is set`;
}
