// A TCP relay in the test's own process, in front of one server interface. The proxy makes the faults of networks: it resets connections,
// swallows, holds, delays and slows down the bytes of either direction, and flips bits. The proxy also makes the faults of an attacker
// (meddler.ts). Faults may change while connections run. chaos-line.ts handles the bytes of one direction. Invariant: without faults, the
// proxy is a plain relay; it never interprets the bytes.

import net from 'node:net';
import { Line, Way, type WayFaults, type WayStats } from './chaos-line.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';

export interface ProxyEnd {
  readonly address: string;
  readonly port: number;
}

export interface Faults {
  readonly toServer?: WayFaults;
  readonly toClient?: WayFaults;
  /**
   * What happens to new connections. `carry` (default): new connections are carried. `refuse`: new connections are reset at once.
   * `swallow`: new connections are accepted, and their bytes are dropped.
   */
  readonly newConnections?: 'carry' | 'refuse' | 'swallow';
}

export interface ProxyStats {
  /** Number of accepted connections. Refused and swallowed connections are included. */
  readonly connections: number;
  /** Number of connections that are carried now. */
  readonly open: number;
  /** Number of connections that `cut` has reset. */
  readonly cut: number;
  readonly toServer: Readonly<WayStats>;
  readonly toClient: Readonly<WayStats>;
}

const RELAY_HOST = 30;

export class ChaosProxy {
  private readonly to: ProxyEnd;
  private readonly toServer: Way;
  private readonly toClient: Way;
  private newConnections: NonNullable<Faults['newConnections']> = 'carry';
  private readonly sockets = new Set<net.Socket>();
  private readonly pairs = new Set<readonly [Line, Line]>();
  private readonly counts = { connections: 0, cut: 0 };
  private readonly server = net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (near) => this.meet(near));

  /** A proxy that carries every connection to `to`. `random` returns numbers in [0, 1). Call `start` afterwards. */
  constructor(to: ProxyEnd, random: () => number = Math.random) {
    this.to = to;
    this.toServer = new Way(random);
    this.toClient = new Way(random);
  }

  async start(at: ProxyEnd): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host: at.address, port: at.port }, resolve);
    });
  }

  get stats(): ProxyStats {
    return { ...this.counts, open: this.pairs.size, toServer: { ...this.toServer.stats }, toClient: { ...this.toClient.stats } };
  }

  /** Sets the faults. A connection that has lost bytes stays broken (chaos-line.ts says why). */
  set(faults: Faults): void {
    this.newConnections = faults.newConnections ?? 'carry';
    this.toServer.set(faults.toServer ?? {});
    this.toClient.set(faults.toClient ?? {});
    for (const pair of this.pairs) for (const line of pair) line.move();
  }

  heal(): void {
    this.set({});
  }

  /** Resets every connection on both sides and drops bytes in flight; returns the number of connections. */
  cut(): number {
    const count = this.pairs.size;
    for (const pair of this.pairs) for (const line of pair) line.stop();
    for (const socket of this.sockets) socket.resetAndDestroy();
    this.pairs.clear();
    this.counts.cut += count;
    return count;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await closed;
  }

  private meet(near: net.Socket): void {
    this.counts.connections++;
    this.keep(near);
    if (this.newConnections === 'refuse') near.resetAndDestroy();
    else if (this.newConnections === 'swallow') near.resume();
    else this.carry(near);
  }

  private carry(near: net.Socket): void {
    // Connects from the client's own address, so that the server sees this address.
    const { remoteAddress } = near;
    const local = remoteAddress === undefined ? {} : { localAddress: remoteAddress };
    const far = net.connect({ host: this.to.address, port: this.to.port, noDelay: true, allowHalfOpen: true, ...local });
    this.keep(far);
    far.pause();
    let isConnected = false;
    far.once('connect', () => {
      isConnected = true;
      if (near.destroyed) {
        far.destroy();
        return;
      }
      const pair = [new Line(this.toServer, near, far), new Line(this.toClient, far, near)] as const;
      this.pairs.add(pair);
      const forget = (): void => {
        if (near.destroyed && far.destroyed) this.pairs.delete(pair);
      };
      for (const socket of [near, far]) socket.on('close', forget);
    });
    far.on('close', () => {
      if (!isConnected) near.resetAndDestroy();
    });
  }

  private keep(socket: net.Socket): void {
    this.sockets.add(socket);
    // `close` follows every error, and the proxy only needs `close`.
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }
}

/** Proxies at 127.A.B.30 in front of the server's address in every subnet. */
export async function chaosProxies(hosts: Hosts, network: TestNetwork): Promise<{ proxies: ChaosProxy[]; serverAddresses: string[] }> {
  const { port } = network;
  const serverAddresses = network.subnets.map((subnet) => subnet.address(RELAY_HOST));
  const proxies = network.serverAddresses.map((address) => new ChaosProxy({ address, port }));
  for (const [index, proxy] of proxies.entries()) {
    await proxy.start({ address: serverAddresses[index] ?? '', port });
    hosts.onClean(() => proxy.close());
  }
  return { proxies, serverAddresses };
}
