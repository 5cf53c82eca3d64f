// Admits the listener's probe connections, limits their number, and ends them. The module probe-session.ts serves a single connection.
// Invariant: if `admit` throws, the socket is untouched and still belongs to the caller.

import type { Socket } from 'node:net';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Log } from '@rsio/base/log/log';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { PROBES_PER_NODE_MAX, PROBE_CONNECTIONS_MAX } from './limits.ts';
import type { PathTransport } from '@rsio/protocol/link/path-transport';
import { adoptSocket } from '@rsio/protocol/link/tcp-transport';
import { TlsStarts } from '@rsio/protocol/link/tls-starts';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { Welcome } from '@rsio/protocol/wire/messages';
import { ProbeSession } from './probe-session.ts';

export class ProbeConnections {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly lines: RateLimitedLog;
  /** Maps the connection of each probe to the node of its client. */
  private readonly nodes = new Map<PathTransport, string>();
  /** Maps connections to their probes. A connection is in this map as soon as the server sends WELCOME on the connection. */
  private readonly sessions = new Map<PathTransport, ProbeSession>();
  private readonly tlsStarts: TlsStarts;
  /** Probes have their own buffer pools, so that their data never mixes with other data. */
  private readonly pools = { bodies: new BufferPool(PROBE_CONNECTIONS_MAX * SEGMENT_BYTES), outputs: new OutputPool() };

  constructor(clock: Clock, log: Log, lines: RateLimitedLog) {
    this.lines = lines;
    this.clock = clock;
    this.tlsStarts = new TlsStarts(clock);
    this.log = log;
  }

  /** Takes a proven, paused socket whose client has negotiated a probe. Throws E_PROTOCOL or E_LIMIT. */
  admit(socket: Socket, proven: Proven, interfaceName: string, list: Pick<Welcome, 'interfaces' | 'generation' | 'keyUsed'>): void {
    if (proven.kind === 'join') throw new RsError('E_PROTOCOL', 'A probe cannot join a session: prove it without one');
    if (this.nodes.size >= PROBE_CONNECTIONS_MAX) {
      throw new RsError('E_LIMIT', `${PROBE_CONNECTIONS_MAX} probes are already running: try again later`);
    }
    const { node } = proven.hello;
    if ([...this.nodes.values()].filter((other) => other === node).length >= PROBES_PER_NODE_MAX) {
      throw new RsError('E_LIMIT', `${PROBES_PER_NODE_MAX} probes of node ${node} are already running: try again later`);
    }
    const about = `Probe of node ${node} from ${socket.remoteAddress ?? '?'} on ${interfaceName}`;
    const { welcomeKey, transcript, features, tlsPsk } = proven;
    const startMs = this.clock.monotonicMs();
    const admission = { welcomeKey, transcript, digest: features.includes(FEATURE.DIGEST), ...list };
    const transport = adoptSocket(socket);
    const closed = (reason: string, bytes: number): void => {
      this.nodes.delete(transport);
      this.sessions.delete(transport);
      const tookMs = Math.round(this.clock.monotonicMs() - startMs);
      this.lines.note(`Probes of node ${node}`, () => this.log.info(`${about} ended after ${tookMs} ms and ${bytes} bytes: ${reason}`));
    };
    const begin = (): void => {
      this.sessions.set(transport, new ProbeSession(transport, admission, { clock: this.clock, pools: this.pools, closed }));
    };
    this.nodes.set(transport, node);
    const tls = tlsPsk === null ? null : { identity: node, psk: tlsPsk };
    this.tlsStarts.begin(transport, tls, begin, (reason) => closed(reason, 0));
  }

  /** Closes all probes, or, if `only` is not null, the probes of the node `only`. */
  close(code: string, sentence: string, only: string | null = null): void {
    for (const [transport, node] of [...this.nodes]) {
      if (only !== null && node !== only) continue;
      const session = this.sessions.get(transport);
      if (session !== undefined) session.bye(code, sentence);
      else this.tlsStarts.cancel(transport, sentence);
    }
  }
}
