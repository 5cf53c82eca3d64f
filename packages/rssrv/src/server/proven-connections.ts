// Decides what becomes of a connection that has proven its key: a path of a session, a probe, or a refused connection (refusals.ts).
// Invariant: no connection becomes a path or a probe under a configuration that would refuse it.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { keysOf } from '@rsio/common/config/schema/client-keys';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { ProbeConnections } from '../session/probe-connections.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Admissions } from './admissions.ts';
import type { CurrentConfig } from './current-config.ts';
import type { DiscoveryService } from './discovery-service.ts';
import { type ListeningSocket, toInterface } from './listening-sockets.ts';
import { checkTls, identityWith } from './offered-volumes.ts';
import type { Refusals } from './refusals.ts';
import { type KeyProven, UnprovenLimiter } from './unproven-limiter.ts';
import type { ListAnnouncements } from './workers/list-announcements.ts';

interface ProvenConnectionsParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: ServerIdentity;
  readonly current: CurrentConfig;
  readonly fences: Pick<Fences, 'check'>;
  readonly holds: Pick<Holds, 'isKnown'>;
  readonly lists: Pick<ListAnnouncements, 'generation'>;
  readonly admissions: Pick<Admissions, 'admit' | 'currentSecretOf' | 'secretOf'>;
  readonly refusals: Refusals;
  readonly discovery: Pick<DiscoveryService, 'proved'>;
  readonly probes: Pick<ProbeConnections, 'admit'>;
}

export class ProvenConnections {
  private readonly parts: ProvenConnectionsParts;

  constructor(parts: ProvenConnectionsParts) {
    this.parts = parts;
  }

  /** Returns the limiter of connections that have not proven a key yet. The limiter passes proven connections to this object. */
  newLimiter(): UnprovenLimiter {
    const { clock, log, identity, holds } = this.parts;
    return new UnprovenLimiter({
      clock,
      log,
      newHandshake: () => new ServerHandshake(identityWith(identity, this.parts.current.config.namespace.tls), randomBytes),
      keysOf: (node) => keysOf(this.parts.current.config.clients, node),
      secretOf: (session, node) => this.parts.admissions.secretOf(session, node),
      currentSecretOf: (node, dataProcess) => this.parts.admissions.currentSecretOf(node, dataProcess),
      isKnown: (claim) => holds.isKnown(claim),
      proven: (socket, proven, listeningSocket, isOutdated) => {
        this.parts.discovery.proved(socket.remoteAddress ?? '');
        if (isOutdated)
          this.parts.refusals.refuse(
            socket,
            proven,
            new RsError('E_DRAINING', 'The configuration of the server has just changed: try again'),
          );
        else this.admit(socket, proven, listeningSocket);
      },
    });
  }

  /** Admits a proven connection. The listener itself serves probes, because probes never touch sessions. */
  private admit(socket: Socket, proven: KeyProven, { config }: ListeningSocket): void {
    const { parts } = this;
    if (!proven.features.includes(FEATURE.PROBE)) return parts.admissions.admit(socket, proven, toInterface(config));
    try {
      parts.fences.check(proven.hello.node);
      checkTls(proven.features, parts.current.config);
      const keys = keysOf(parts.current.config.clients, proven.hello.node);
      const keyUsed = keys.length < 2 ? undefined : proven.key === keys[0] ? 0 : 1;
      const interfaces = parts.current.config.interfaces.map(toInterface);
      parts.probes.admit(socket, proven, config.name, { interfaces, generation: parts.lists.generation, keyUsed });
    } catch (error) {
      this.parts.refusals.refuse(socket, proven, toRsError(error));
    }
  }
}
