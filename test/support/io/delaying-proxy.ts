// A proxy of TCP connections that delays each direction on its own, and can lose what comes back: a network that is slow one way. Bytes stay in
// order. Invariant: what has been sent arrives after its delay, even if the sender has given the connection up meanwhile, but not after `close`.

import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';

export class DelayingProxy {
  /** How long bytes to the server and bytes to the client are delayed from now on. */
  outMs = 0;
  inMs = 0;
  /** While it is true, what the server sends is lost. */
  isDeaf = false;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(host: string, port: number) {
    this.server = createServer({ noDelay: true }, (client) => {
      const server = connect({ host, port, noDelay: true });
      this.forward(client, server, () => this.outMs);
      this.forward(server, client, () => (this.isDeaf ? null : this.inMs));
    });
  }

  /** Listens at `port`, and forwards to `to`, both at the same address. */
  static async listen(address: string, port: number, to: number): Promise<DelayingProxy> {
    const proxy = new DelayingProxy(address, to);
    await new Promise<void>((resolve) => proxy.server.listen(port, address, resolve));
    return proxy;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  /** `delayMs`: null for bytes that are lost. */
  private forward(from: Socket, to: Socket, delayMs: () => number | null): void {
    let lastMs = 0;
    const later = (what: () => void): void => {
      const ms = delayMs();
      if (ms === null) return;
      lastMs = Math.max(lastMs, systemClock.monotonicMs() + ms);
      // Timers of the same time fire in order.
      systemClock.after(lastMs - systemClock.monotonicMs(), what);
    };
    this.sockets.add(from);
    from.on('data', (bytes: Buffer) => later(() => void to.write(bytes)));
    from.on('error', () => undefined);
    from.on('close', () => {
      this.sockets.delete(from);
      later(() => void to.destroy());
    });
  }
}
