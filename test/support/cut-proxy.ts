// A TCP relay in the test's own process, in front of one server interface: connections through it can be reset on demand, on both
// sides at once. For machines on which `ss -K` is not permitted. It neither looks into nor delays what it carries.

import net from 'node:net';

export interface ProxyEnd {
  readonly address: string;
  readonly port: number;
}

export class CutProxy {
  private readonly pairs = new Set<readonly [net.Socket, net.Socket]>();
  private readonly server: net.Server;

  /** Listens at `at` and carries every connection on to `to`. Call `start`. */
  constructor(to: ProxyEnd) {
    this.server = net.createServer({ noDelay: true, pauseOnConnect: true }, (near) => this.carry(near, to));
  }

  async start(at: ProxyEnd): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host: at.address, port: at.port }, resolve);
    });
  }

  /** Resets every connection, dropping what is on its way; returns how many there were. */
  cut(): number {
    const count = this.pairs.size;
    for (const pair of this.pairs) {
      for (const socket of pair) socket.resetAndDestroy();
    }
    this.pairs.clear();
    return count;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await closed;
  }

  private carry(near: net.Socket, to: ProxyEnd): void {
    const far = net.connect({ host: to.address, port: to.port, noDelay: true });
    const pair = [near, far] as const;
    this.pairs.add(pair);
    const end = (): void => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    far.on('connect', () => {
      near.pipe(far);
      far.pipe(near);
      near.resume();
    });
  }
}
