// Decides what becomes of a connection that has proven its key: a path of a session, a probe, or a refused connection. Invariant: a refusal
// is sent to the client and logged at a limited rate.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { keysOf } from '@rsio/common/config/schema/client-keys';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { type Proven, provedRefusal, ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { eventOf } from '../events/event-log.ts';
import type { ProbeConnections } from '../session/probe-connections.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Admissions } from './admissions.ts';
import type { DiscoveryService } from './discovery-service.ts';
import { type ListeningSocket, toInterface } from './listening-sockets.ts';
import { checkTls, identityWith } from './offered-volumes.ts';
import { sendRefusal } from './unproven-connection.ts';
import { type KeyProven, UnprovenLimiter } from './unproven-limiter.ts';

export interface ProvenConnectionsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly limitedLog: RateLimitedLog;
  readonly identity: ServerIdentity;
  readonly fences: Pick<Fences, 'check'>;
  readonly holds: Pick<Holds, 'isKnown'>;
  config(): RssrvConfig;
  admissions(): Admissions;
  discovery(): Pick<DiscoveryService, 'proved'>;
  probes(): ProbeConnections;
  /** The list of interfaces for probes, with its generation. */
  list(): { readonly interfaces: readonly ServerInterface[]; readonly generation: number };
}

export class ProvenConnections {
  private readonly ports: ProvenConnectionsPorts;

  constructor(ports: ProvenConnectionsPorts) {
    this.ports = ports;
  }

  /** Returns the limiter of connections that have not proven a key yet. The limiter passes proven connections to this object. */
  newLimiter(): UnprovenLimiter {
    const { clock, log, identity, holds } = this.ports;
    return new UnprovenLimiter({
      clock,
      log,
      newHandshake: () => new ServerHandshake(identityWith(identity, this.ports.config().namespace.tls), randomBytes),
      keysOf: (node) => keysOf(this.ports.config().clients, node),
      secretOf: (session, node) => this.ports.admissions().secretOf(session, node),
      currentSecretOf: (node, dataProcess) => this.ports.admissions().currentSecretOf(node, dataProcess),
      isKnown: (claim) => holds.isKnown(claim),
      proven: (socket, proven, listeningSocket, isOutdated) => {
        this.ports.discovery().proved(socket.remoteAddress ?? '');
        if (isOutdated)
          this.refuse(socket, proven, new RsError('E_DRAINING', 'The configuration of the server has just changed: try again'));
        else this.admit(socket, proven, listeningSocket);
      },
    });
  }

  refuse(socket: Socket, proven: Proven, error: RsError): void {
    const { node } = proven.hello;
    const why = `${error.message} [${error.code}]`;
    const write = (): void =>
      this.ports.log.warn(`Refused ${socket.remoteAddress ?? '?'}: ${why}`, eventOf(`client ${node}`, '-', 'refused', why));
    this.ports.limitedLog.note(`Refused connections of node ${node}`, write);
    sendRefusal(socket, provedRefusal(proven, error.code, error.message));
  }

  /** Admits a proven connection. The listener itself serves probes, because probes never touch sessions. */
  private admit(socket: Socket, proven: KeyProven, { config }: ListeningSocket): void {
    const { ports } = this;
    if (!proven.features.includes(FEATURE.PROBE)) return ports.admissions().admit(socket, proven, toInterface(config));
    try {
      ports.fences.check(proven.hello.node);
      checkTls(proven.features, ports.config());
      const keys = keysOf(ports.config().clients, proven.hello.node);
      const keyUsed = keys.length < 2 ? undefined : proven.key === keys[0] ? 0 : 1;
      ports.probes().admit(socket, proven, config.name, { ...ports.list(), keyUsed });
    } catch (error) {
      this.refuse(socket, proven, toRsError(error));
    }
  }
}
