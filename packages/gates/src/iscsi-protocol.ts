// iSCSI as the protocol of a gate: the target with its volumes, its sessions, and which initiators may have them. Invariants: an initiator
// that the configuration no longer allows, or that now has to prove itself, has no session; a list of targets contains only targets that
// the initiator may use.

import { createHash, randomBytes } from 'node:crypto';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import { printEndpoint } from '@rsio/base/lib/units';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import type { ConnectionEvents, GateConnection, GatePools, GateProtocol, ProtocolPorts } from './ports/gate-protocol.ts';
import { chapPartiesOf, chapRefusalText, isAllowed, mustProve } from './gate-secrets.ts';
import { IscsiConnection } from './iscsi/iscsi-connection.ts';
import { IscsiTarget } from './iscsi/iscsi-target.ts';
import type { LoginNames, LoginPorts } from './iscsi/login/login.ts';
import { Sessions } from './iscsi/sessions.ts';
import type { TargetEntry } from './iscsi/target-texts.ts';
import type { EnteringSession, IscsiTargetView } from './iscsi/target-view.ts';
import { LOGIN_STATUS } from './iscsi/wire/constants.ts';
import type { GatePath } from './order/gate-path.ts';
import type { ScsiNexus, TaskOwner } from './scsi/port.ts';

/** Returns the IQN of a gate. Gates of the same name and namespace, on any machine, are one target for hosts. */
export function gateIqn(namespaceid: number, name: string): string {
  const hash = createHash('sha256').update(`rsio gate ${namespaceid} ${name}`).digest('hex');
  // The domain .internal is reserved for names that only their own network knows.
  return `iqn.2026-01.internal.rsio:${hash.slice(0, 20)}`;
}

export class IscsiProtocol implements GateProtocol, IscsiTargetView {
  readonly target: IscsiTarget;
  readonly portalGroup: number;
  private readonly sessions = new Sessions();
  private readonly ports: ProtocolPorts;
  private readonly pools: GatePools;

  constructor(ports: ProtocolPorts, pools: GatePools) {
    this.ports = ports;
    this.pools = pools;
    const { member } = ports.config();
    this.portalGroup = member ?? 1;
    this.target = new IscsiTarget({
      hasPartner: member !== null,
      member: this.portalGroup,
      targetName: ports.name,
      ports: () => [this.portalGroup],
      version: ports.version,
      nowMs: () => ports.nowMs(),
    });
  }

  get logins(): number {
    return this.sessions.size;
  }

  connect(transport: StreamTransport, events: ConnectionEvents): GateConnection {
    return new IscsiConnection(transport, this.pools, events, this);
  }

  changed(before: ClientGateConfig): void {
    const config = this.ports.config();
    for (const { session, names } of this.sessions.all()) {
      const { initiatorName } = names;
      if (!isAllowed(config, this.ports.name, initiatorName)) session.close('the gate allows its host no longer');
      else if (mustProve(config, initiatorName) && !mustProve(before, initiatorName))
        session.close('the gate now has secrets, and its host has to authenticate');
    }
  }

  tick(): void {
    this.sessions.tick(this.ports.nowMs());
    this.target.tick();
  }

  // --- IscsiTargetView

  nowMs(): number {
    return this.ports.nowMs();
  }

  loginPorts(events: ConnectionEvents): LoginPorts {
    const { ports } = this;
    const { name } = ports;
    return {
      random: randomBytes,
      admits: (names) => {
        if (!isAllowed(ports.config(), name, names.initiatorName)) return LOGIN_STATUS.AUTHORIZATION;
        if (names.targetName !== null && names.targetName !== name) return LOGIN_STATUS.NOT_FOUND;
        return this.sessions.mayEnter(names) ? chapPartiesOf(ports.config(), name, names.initiatorName) : LOGIN_STATUS.OUT_OF_RESOURCES;
      },
      unproven: (initiatorName, fault) => events.refused(chapRefusalText(ports.config(), name, initiatorName, fault)),
    };
  }

  /** A gate has only one target, so that the list depends only on whether this gate allows the host. */
  entries(names: LoginNames | null): readonly TargetEntry[] {
    const { name } = this.ports;
    const { addresses } = this.ports.config();
    if (names === null || !isAllowed(this.ports.config(), name, names.initiatorName)) return [];
    return [{ name, addresses: addresses.map(({ address, port }) => `${printEndpoint(address, port)},${this.portalGroup}`) }];
  }

  enter(session: EnteringSession, names: LoginNames): void {
    this.sessions.enter(session, names, this.ports.nowMs());
  }

  begin({ initiatorName, isid, targetName }: LoginNames, path: GatePath, owner: TaskOwner): ScsiNexus {
    assert(targetName !== null, 'A session that looks for targets has no nexus');
    this.ports.note(`host ${initiatorName} has logged in`, initiatorName);
    return this.target.begin({ initiatorName, initiatorPort: `${initiatorName},i,0x${isid}`, targetPort: this.portalGroup, path, owner });
  }

  left(session: EnteringSession): void {
    this.sessions.left(session);
    const { names } = session;
    if (names !== null && names.targetName !== null) this.ports.note(`host ${names.initiatorName} has left`, names.initiatorName);
  }
}
