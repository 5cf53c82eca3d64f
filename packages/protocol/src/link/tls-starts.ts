// Begins TLS on proven connections of a server: sends START_TLS, and reports when a connection is secure. Invariants: a connection that is
// not secure within TLS_START_MAX_MS is closed. Each connection is reported at most once. See docs/PROTOCOL.md, Encrypted paths.

import type { Clock } from '@rsio/base/lib/clock';
import { OP } from '../wire/frames.ts';
import { writeMessageHeader } from '../wire/header.ts';
import { HEADER_BYTES } from '../wire/limits.ts';
import { TLS_START_MAX_MS } from './limits.ts';
import type { PathTransport } from './path-transport.ts';

/** The TLS identity and key from the handshake. `psk` is hexadecimal, so that the key can be sent to another process. */
export interface AgreedTls {
  readonly identity: string;
  readonly psk: string;
}

const START_TLS = Buffer.alloc(HEADER_BYTES);
writeMessageHeader(START_TLS, 0, OP.START_TLS, 0, 0, 0, 0, 0, 0);

export class TlsStarts {
  private readonly clock: Clock;
  /** Maps each connection that is not secure yet to the callback for its failure. */
  private readonly pending = new Map<PathTransport, (reason: string) => void>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Number of connections that are not secure yet. */
  get count(): number {
    return this.pending.size;
  }

  /**
   * Calls `secured` when the connection is secure, or `failed` if the connection ends earlier: only one of them, and only once. If `tls` is
   * null, the connection stays plain, and `secured` is called at once.
   */
  begin(transport: PathTransport, tls: AgreedTls | null, secured: () => void, failed: (reason: string) => void): void {
    if (tls === null) {
      secured();
      return;
    }
    const timer = this.clock.after(TLS_START_MAX_MS, () => this.cancel(transport, `TLS did not begin within ${TLS_START_MAX_MS} ms`));
    this.pending.set(transport, (reason) => {
      timer.cancel();
      failed(reason);
    });
    transport.events = {
      // After PROOF, a client must send nothing until START_TLS arrives.
      onBytes: () => this.cancel(transport, 'The client sent data outside TLS'),
      onClosed: (reason) => this.take(transport)?.(reason),
    };
    transport.send(START_TLS, 0, START_TLS.length, () => {
      if (!this.pending.has(transport)) return;
      transport.startTls({ side: 'server', identity: tls.identity, psk: Buffer.from(tls.psk, 'hex') }, () => {
        if (this.take(transport) === undefined) return;
        timer.cancel();
        secured();
      });
    });
  }

  /** Closes a connection that is not secure yet. */
  cancel(transport: PathTransport, reason: string): void {
    const failed = this.take(transport);
    if (failed === undefined) return;
    transport.destroy(true);
    failed(reason);
  }

  end(reason: string): void {
    for (const transport of [...this.pending.keys()]) this.cancel(transport, reason);
  }

  private take(transport: PathTransport): ((reason: string) => void) | undefined {
    const failed = this.pending.get(transport);
    if (this.pending.delete(transport)) transport.events = null;
    return failed;
  }
}
