// NVMe/TCP as the protocol of a gate: the subsystem with its volumes, the discovery subsystem that names it, and the connections of both.
// Invariant: a host that the configuration no longer allows, or that now has to prove itself, has no login.

import { createHash } from 'node:crypto';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import type { ConnectionEvents, GateConnection, GateProtocol, ProtocolPorts } from './ports/gate-protocol.ts';
import { isAllowed, mustProve, partiesOf, refusalText } from './gate-secrets.ts';
import type { NvmePools } from './nvme/connection-ports.ts';
import { type DiscoveryEntry, portIdOf } from './nvme/discovery.ts';
import { NvmeConnection } from './nvme/nvme-connection.ts';
import { Subsystem } from './nvme/subsystem.ts';
import { DISCOVERY_NQN } from './nvme/wire/constants.ts';

/** Returns the NQN of a gate. Gates of the same name and namespace, on any machine, are one subsystem for hosts. */
export function gateNqn(namespaceid: number, name: string): string {
  const hash = createHash('sha256').update(`rsio gate ${namespaceid} ${name}`).digest('hex');
  const parts = [hash.slice(0, 8), hash.slice(8, 12), `8${hash.slice(13, 16)}`, `8${hash.slice(17, 20)}`, hash.slice(20, 32)];
  return `nqn.2014-08.org.nvmexpress:uuid:${parts.join('-')}`;
}

export class NvmeProtocol implements GateProtocol {
  readonly target: Subsystem;
  private readonly discovery: Subsystem;
  private readonly ports: ProtocolPorts;
  private readonly pools: NvmePools;

  constructor(ports: ProtocolPorts, pools: NvmePools) {
    this.ports = ports;
    this.pools = pools;
    const { name: nqn } = ports;
    const { member } = ports.config();
    const options = {
      number: member ?? 1,
      hasPartner: member !== null,
      serial: createHash('sha256').update(nqn).digest('hex').slice(0, 20),
      version: ports.version,
      isHostAllowed: (hostNqn: string) => isAllowed(ports.config(), nqn, hostNqn),
      nowMs: () => ports.nowMs(),
      order: pools.order,
      random: pools.auth.random,
      note: (sentence: string, host: string) => ports.note(sentence, host),
    };
    this.target = new Subsystem({ ...options, nqn, discovery: null });
    this.discovery = new Subsystem({ ...options, nqn: DISCOVERY_NQN, discovery: () => this.entries() });
  }

  connect(transport: StreamTransport, events: ConnectionEvents, admits: (target: string, host: string) => boolean): GateConnection {
    const { ports } = this;
    const { name: nqn } = ports;
    return new NvmeConnection(transport, this.pools, {
      ...events,
      subsystem: (request) => (admits(request.nqn, request.hostNqn) ? this.subsystemOf(request.nqn) : null),
      // The discovery subsystem only tells hosts about the gate.
      parties: (request) => (request.nqn === nqn ? partiesOf(ports.config(), nqn, request.hostNqn) : null),
      unproven: (hostNqn, fault) => events.refused(refusalText(ports.config(), nqn, hostNqn, fault)),
      connected: (request) => events.proven(request.nqn === nqn ? request.hostNqn : null),
    });
  }

  changed(before: ClientGateConfig): void {
    const config = this.ports.config();
    for (const { controllers } of [this.target, this.discovery])
      for (const controller of [...controllers.values()])
        if (!isAllowed(config, this.ports.name, controller.hostNqn)) controller.end('the gate allows its host no longer');
        else if (mustProve(config, controller.hostNqn) && !mustProve(before, controller.hostNqn))
          controller.end('the gate now has secrets, and its host has to authenticate');
    this.discovery.discoveryChanged();
  }

  tick(): void {
    this.target.tick();
    this.discovery.tick();
  }

  private subsystemOf(nqn: string): Subsystem | null {
    if (nqn === DISCOVERY_NQN) return this.discovery;
    return nqn === this.ports.name ? this.target : null;
  }

  private entries(): DiscoveryEntry[] {
    const { addresses, tls } = this.ports.config();
    const { number } = this.target.options;
    return addresses.map((endpoint, index) => ({ ...endpoint, nqn: this.ports.name, portId: portIdOf(number, index), tls }));
  }
}
