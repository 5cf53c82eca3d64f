// Admits the listener's probe connections, limits their number, and ends them. The module probe-session.ts serves one connection.
// Invariant: if `admit` throws, the socket is untouched and still belongs to the caller.

import type { Socket } from 'node:net';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { BufferPool } from '@rsio/common/structures/buffer-pool';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { Log } from '@rsio/common/log/log';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { PROBES_PER_NODE_MAX, PROBE_CONNECTIONS_MAX } from './limits.ts';
import { adoptSocket } from '@rsio/protocol/link/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { ListAnswer } from '@rsio/protocol/wire/messages';
import { ProbeSession } from './probe-session.ts';

export class ProbeConnections {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly lines: RateLimitedLog;
  /** Maps each open probe to the node of its client. */
  private readonly open = new Map<ProbeSession, string>();
  /** Probes have their own buffer pools, so that their data never mixes with other data. */
  private readonly pools = { bodies: new BufferPool(PROBE_CONNECTIONS_MAX * SEGMENT_BYTES), outputs: new OutputPool() };

  constructor(clock: Clock, log: Log, lines = new RateLimitedLog(clock, log)) {
    this.lines = lines;
    this.clock = clock;
    this.log = log;
  }

  /** Takes a proven, paused socket whose client has negotiated a probe. Throws E_PROTOCOL or E_LIMIT. */
  admit(socket: Socket, proven: Proven, interfaceName: string, list: Pick<ListAnswer, 'interfaces' | 'generation'>): void {
    if (proven.kind === 'join') throw new RsError('E_PROTOCOL', 'A probe cannot join a session: prove it without one');
    if (this.open.size >= PROBE_CONNECTIONS_MAX) {
      throw new RsError('E_LIMIT', `${PROBE_CONNECTIONS_MAX} probes are already running: try again later`);
    }
    const { node } = proven.hello;
    if ([...this.open.values()].filter((other) => other === node).length >= PROBES_PER_NODE_MAX) {
      throw new RsError('E_LIMIT', `${PROBES_PER_NODE_MAX} probes of node ${node} are already running: try again later`);
    }
    const about = `Probe of node ${node} from ${socket.remoteAddress ?? '?'} on ${interfaceName}`;
    const { welcomeKey, transcript, features } = proven;
    const startMs = this.clock.monotonicMs();
    const admission = { welcomeKey, transcript, digest: features.includes(FEATURE.DIGEST), ...list };
    const session = new ProbeSession(adoptSocket(socket), admission, {
      clock: this.clock,
      pools: this.pools,
      closed: (reason, bytes) => {
        this.open.delete(session);
        const tookMs = Math.round(this.clock.monotonicMs() - startMs);
        this.lines.note(`Probes of node ${node}`, () => this.log.info(`${about} ended after ${tookMs} ms and ${bytes} bytes: ${reason}`));
      },
    });
    this.open.set(session, node);
  }

  close(code: string, sentence: string): void {
    for (const session of [...this.open.keys()]) session.bye(code, sentence);
  }
}
