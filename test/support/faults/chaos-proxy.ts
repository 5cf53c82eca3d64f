// A TCP relay in the test's own process, in front of one server interface, that does to a path what networks do: it resets it, swallows or
// keeps bytes of either direction, delays, slows down, flips bits; and what only an attacker does (meddler.ts). Faults change while
// connections run. For one direction's bytes see chaos-line.ts. Invariant: without faults it is a plain relay; it never interprets the bytes.

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
  /** New connections: carried (default), reset at once, or accepted and never carried nor answered. */
  readonly newConnections?: 'carry' | 'refuse' | 'swallow';
}

export interface ProxyStats {
  /** Accepted connections, including refused and swallowed ones. */
  readonly connections: number;
  /** Carried now. */
  readonly open: number;
  /** Reset by `cut`. */
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

  /** Carries every connection on to `to`. `random` gives numbers in [0, 1). Call `start`. */
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

  /** From now on these faults and no others. A connection that has lost bytes stays as it is: see chaos-line.ts. */
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
    // From the client's own address, so that the server sees the client's.
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
    // An error is followed by close, which is all that matters here.
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
