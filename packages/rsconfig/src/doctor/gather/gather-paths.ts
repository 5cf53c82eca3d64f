// Tries every path: looks up the route, connects, and probes the path if the connection succeeded. The connections are made concurrently,
// but the probes run one at a time, because simultaneous measurements would disturb one another. The paths in the file are tried first,
// then the paths to further interfaces that the servers list. Invariants: the number and the duration of the attempts are bounded. A
// server that has refused the key is not sent it again, so that no server reaches its limit of failed proofs; all others are asked.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { RsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { DOCTOR_PATHS_MAX } from '../../limits.ts';
import { probePorts, type ThisMachine } from '../../cli/this-machine.ts';
import type { LeftOutFacts, PathFacts } from './facts.ts';
import { agreedPacketBytes, isUnansweredOnLink, routeOf } from './network-facts.ts';
import { configuredPairs, learnedPairs, localsOf, type Pair, type Pairs } from './pairs.ts';

export interface TriedPaths {
  readonly paths: readonly PathFacts[];
  readonly pathsNotTried: number;
  readonly leftOut: readonly LeftOutFacts[];
}

/** Tries the paths and returns their facts; calls `announce` before each longer wait. */
export async function tryPaths(config: RscltConfig, here: ThisMachine, announce: (sentence: string) => void): Promise<TriedPaths> {
  const locals = localsOf(config, here.interfaces);
  const paths: PathFacts[] = [];
  const refusals = new Map<string, Map<string, RsError>>();
  let pathsNotTried = 0;
  const tryAll = async ({ pairs }: Pairs, which: string): Promise<void> => {
    const tried = pairs.slice(0, DOCTOR_PATHS_MAX - paths.length);
    pathsNotTried += pairs.length - tried.length;
    if (tried.length > 0) announce(`Trying ${plural(tried.length, 'path')} ${which}, about a second each`);
    const connected = await Promise.all(tried.map((pair) => connect(pair, here)));
    for (const { pair, facts, canProbe } of connected) {
      const { name } = pair.namespace;
      const known = refusals.get(name) ?? new Map<string, RsError>();
      refusals.set(name, known);
      paths.push({ ...facts, report: canProbe ? await probe(pair, here, known) : null });
    }
  };
  const configured = configuredPairs(config, locals);
  await tryAll(configured, 'of the file');
  const learned = learnedPairs(config, locals, paths);
  await tryAll(learned, 'that the servers reported');
  // A local interface whose subnet has no `[server]` section is not idle if a server lists an interface on that subnet.
  const isIdle = ({ type, object }: LeftOutFacts): boolean => type !== 'interface' || paths.every((path) => path.interface !== object);
  return { paths, pathsNotTried, leftOut: [...configured.leftOut.filter(isIdle), ...learned.leftOut] };
}

interface Connected {
  readonly pair: Pair;
  readonly facts: Omit<PathFacts, 'report'>;
  readonly canProbe: boolean;
}

async function connect(pair: Pair, { interfaces }: ThisMachine): Promise<Connected> {
  const { namespace, local, remote, port } = pair;
  const ends = {
    namespace: namespace.name,
    nodename: namespace.nodename,
    interface: local.name,
    local: local.address,
    section: remote.name,
    address: remote.address,
    port,
  };
  const own = interfaceOf(local.address, interfaces);
  if (own === null) return { pair, facts: { ...ends, route: null, unreached: null, tcpMtuBytes: null }, canProbe: false };
  const [route, reason, tcpMtuBytes] = await Promise.all([
    routeOf(local.address, remote.address),
    unreachedBy(local.address, remote.address, port),
    own.mtuBytes === null ? null : agreedPacketBytes(local.address, remote.address, port, own.mtuBytes),
  ]);
  // When a connection attempt times out, the kernel has finished its ARP requests for the address, so their result is known.
  const isNobody = reason === 'ETIMEDOUT' && route !== null && route.device !== null;
  const unreached = isNobody && (await isUnansweredOnLink(remote.address, route.device)) ? 'EHOSTUNREACH' : reason;
  return { pair, facts: { ...ends, route, unreached, tcpMtuBytes }, canProbe: unreached === null };
}

function probe({ namespace, local, remote, port }: Pair, here: ThisMachine, refusals: Map<string, RsError>): Promise<ProbeReport> {
  const { nodename, nodekey, namespacekey, namespaceid, tls } = namespace;
  const login = { nodename, nodekey, serverkey: remote.serverkey, tls, refusals };
  const candidate = { local, remote: { name: remote.name, address: remote.address, port } };
  return probeCandidate(candidate, login, { namespaceid, serverid: null }, probePorts(here, namespacekey));
}

/** Connects once and resolves with the errno (ETIMEDOUT after CONNECT_TIMEOUT_MS), or with null if the connection succeeded. */
export function unreachedBy(local: string, address: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    tcpConnector.connect(
      local,
      address,
      port,
      (transport) => {
        transport.destroy(false);
        resolve(null);
      },
      (reason) => resolve(/^E[A-Z0-9]+/.exec(reason)?.[0] ?? 'EIO'),
    );
  });
}
