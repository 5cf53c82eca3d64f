// The control method `probe` measures the daemon's paths one after the other. Invariants: probes do not use the daemon's own connections.
// Only one `probe` request is executed at a time. A `probe` request is answered before rsconfig stops waiting. A server that has
// refused the client's key is not sent it again.

import { toAddress } from '@rsio/base/lib/address';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { ControlMethods, LeftOutView, ProbeView } from '@rsio/api/rsiod/methods';
import { probeCandidate } from '@rsio/protocol/explorer/probe';
import type { ProbeCandidate, ProbeExpectation, ProbeLogin, ProbePorts, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { RsError } from '@rsio/base/lib/errors';
import { addressKey } from '@rsio/base/lib/subnet';
import { PROBES_TIME_MAX_MS } from './limits.ts';
import type { Route } from '../network/namespace.ts';
import type { LeftOut } from '../network/route-plan.ts';
import type { Server } from '../network/server.ts';

type Request = ControlMethods['probe']['params'];
type Answer = ControlMethods['probe']['result'];

export type Probe = (
  candidate: ProbeCandidate,
  login: ProbeLogin | null,
  expected: ProbeExpectation,
  ports: ProbePorts,
) => Promise<ProbeReport>;

type ProbedRoute = Pick<Route, 'local' | 'remote' | 'port'> & { readonly server: Pick<Server, 'serverid'> | null };

export interface ProbedNamespace {
  readonly config: Pick<ClientNamespaceConfig, 'namespaceid' | 'nodename' | 'nodekey' | 'namespacekey' | 'tls'>;
  readonly routes: readonly ProbedRoute[];
  readonly leftOut: readonly LeftOut[];
}

export interface PathProbesPorts {
  readonly namespaces: { readonly list: readonly ProbedNamespace[] };
  /** Returns what a probe needs from this machine, including the current state of its network interfaces. */
  readonly probePorts: (namespacekey: string | null) => ProbePorts;
  readonly probe?: Probe;
}

export class PathProbes {
  private readonly ports: PathProbesPorts;
  private isBusy = false;

  constructor(ports: PathProbesPorts) {
    this.ports = ports;
  }

  /** Measures the requested paths. Throws E_USAGE if no path matches the request, and E_LIMIT if another request is being executed. */
  async measure(request: Request): Promise<Answer> {
    if (this.isBusy) throw new RsError('E_LIMIT', 'Paths are being measured already: try again in a minute');
    this.isBusy = true;
    try {
      return await this.measureAll(request);
    } finally {
      this.isBusy = false;
    }
  }

  private async measureAll(request: Request): Promise<Answer> {
    const paths: ProbeView[] = [];
    const leftOut: LeftOutView[] = [];
    const { clock } = this.ports.probePorts(null);
    const endMs = clock.monotonicMs() + PROBES_TIME_MAX_MS;
    for (const namespace of this.ports.namespaces.list) {
      const refusals = new Map<string, RsError>();
      for (const route of namespace.routes.filter((one) => isMeant(one, request))) {
        if (clock.monotonicMs() >= endMs) {
          const reason = `not measured within ${PROBES_TIME_MAX_MS / 1000} s: probe it alone`;
          leftOut.push({ interface: route.local.name, section: route.remote.name, address: route.remote.address, reason });
          continue;
        }
        paths.push(viewOf(route, await this.probeRoute(namespace, route, refusals)));
      }
      if (request.interface === null) leftOut.push(...omitted(namespace, request));
    }
    if (paths.length === 0 && leftOut.length === 0 && (request.interface !== null || request.remote !== null)) {
      throw new RsError(
        'E_USAGE',
        `No path is from ${request.interface ?? 'any interface'} to ${request.remote ?? 'any server'}: rsconfig -m status lists the paths`,
      );
    }
    return { paths, leftOut };
  }

  private probeRoute(
    { config }: ProbedNamespace,
    { local, remote, port, server }: ProbedRoute,
    refusals: Map<string, RsError>,
  ): Promise<ProbeReport> {
    const { probe = probeCandidate, probePorts } = this.ports;
    const { namespaceid, nodename, nodekey, namespacekey, tls } = config;
    const login = { nodename, nodekey, serverkey: remote.serverkey, tls, refusals };
    const candidate = { local, remote: { name: remote.name, address: remote.address, port } };
    const expected = { namespaceid, serverid: remote.serverid ?? server?.serverid ?? null };
    return probe(candidate, login, expected, probePorts(namespacekey));
  }
}

function isMeant({ local, remote }: ProbedRoute, request: Request): boolean {
  return isCalled(request.interface, local) && isCalled(request.remote, remote);
}

function isCalled(request: string | null, { name, address }: { readonly name: string; readonly address: string }): boolean {
  if (request === null || request === name) return true;
  return toAddress(request) !== null && addressKey(request) === addressKey(address);
}

function omitted({ leftOut }: ProbedNamespace, request: Request): LeftOutView[] {
  return leftOut
    .filter((one) => isCalled(request.remote, one))
    .map(({ name, address, reason }) => ({ interface: null, section: name, address, reason }));
}

function viewOf({ local, remote, port }: ProbedRoute, report: ProbeReport): ProbeView {
  const { failure, failureCode, connectMs, handshakeMs, server, roundTripMs, mtuBytes, device, leavesBy, findings } = report;
  return {
    interface: local.name,
    localAddress: local.address,
    section: remote.name,
    address: remote.address,
    port,
    reachMs: connectMs,
    handshakeMs,
    server: server?.server ?? null,
    serverid: server?.serverid ?? null,
    roundTripMs,
    sendBytesPerSecond: report.writeBytesPerSecond,
    receiveBytesPerSecond: report.readBytesPerSecond,
    mtuBytes,
    device,
    leavesBy,
    error: failure === null ? null : { code: failureCode ?? 'E_INTERNAL', message: failure },
    remarks: findings.map(({ sentence, remedy }) => `${sentence}: ${remedy}`),
  };
}
