// The "cable of if1": a TCP relay between the client's second interface and the server's, so that the demo can cut this path without rights
// over the network of the machine. The cable never changes bytes. Invariant: while the cable is cut, no byte passes, and new connections
// are reset.

import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export interface EndPoint {
  readonly address: string;
  readonly port: number;
}

export class Cable {
  private readonly far: EndPoint;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private cutNow = false;

  private constructor(server: Server, far: EndPoint) {
    this.server = server;
    this.far = far;
    server.on('connection', (near) => this.join(near));
  }

  /** Accepts connections at `near` and relays them to `far`. Rejects with the system's error, such as EADDRINUSE. */
  static async plug(near: EndPoint, far: EndPoint): Promise<Cable> {
    const server = createServer();
    const cable = new Cable(server, far);
    server.listen({ host: near.address, port: near.port });
    await once(server, 'listening');
    return cable;
  }

  get isCut(): boolean {
    return this.cutNow;
  }

  /** Resets all connections, and every later connection. */
  cut(): void {
    this.cutNow = true;
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.cutNow = false;
  }

  async unplug(): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(near: Socket): void {
    this.keep(near);
    if (this.cutNow) {
      near.resetAndDestroy();
      return;
    }
    // The connection to the server comes from the client's own address, so that the server sees this address.
    const { remoteAddress } = near;
    const local = remoteAddress === undefined ? {} : { localAddress: remoteAddress };
    const far = connect({ host: this.far.address, port: this.far.port, ...local });
    this.keep(far);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on('close', () => to.destroy());
    }
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    // `close` follows every error, and the cable only needs `close`.
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
  }
}
