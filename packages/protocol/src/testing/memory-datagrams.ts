// In-memory datagram sockets: a socket is bound to an address, and each datagram arrives after a delay. Several sockets may share an
// address and port, for example a broadcast address; every such socket receives each datagram. A test can lose datagrams and make addresses
// unavailable.

import { RsError } from '@rsio/base/lib/errors';
import type { Clock } from '@rsio/base/lib/clock';
import type { DatagramEvents, DatagramPeer, DatagramSocket, DatagramSockets } from '../explorer/datagram-sockets.ts';

interface Bound {
  readonly at: DatagramPeer;
  readonly handler: DatagramEvents;
}

const FIRST_FREE_PORT = 40_000;

export class MemoryDatagrams implements DatagramSockets {
  readonly sent: { datagram: Buffer; from: DatagramPeer; to: DatagramPeer }[] = [];
  readonly missing = new Set<string>();
  /** Set by the test: returns true if this datagram must be lost. */
  loses: (datagram: Buffer, from: DatagramPeer, to: DatagramPeer) => boolean = () => false;
  /** Set by the test: returns the reason why this datagram cannot be sent; null if it is sent. */
  refuses: (datagram: Buffer, from: DatagramPeer, to: DatagramPeer) => string | null = () => null;
  private readonly clock: Clock;
  private readonly delayMs: number;
  private readonly sockets = new Set<Bound>();
  private nextPort = FIRST_FREE_PORT;

  constructor(clock: Clock, delayMs = 1) {
    this.clock = clock;
    this.delayMs = delayMs;
  }

  get openSockets(): number {
    return this.sockets.size;
  }

  open({ address, port }: DatagramPeer, handler: DatagramEvents): Promise<DatagramSocket> {
    if (this.missing.has(address)) return Promise.reject(new RsError('E_SYSTEM', `bind EADDRNOTAVAIL ${address}`));
    const bound = { at: { address, port: port === 0 ? this.nextPort++ : port }, handler };
    this.sockets.add(bound);
    return Promise.resolve({
      send: (datagram, to, failed) => this.send(datagram, bound.at, to, failed),
      close: () => void this.sockets.delete(bound),
    });
  }

  /** Sends a datagram from any address, even if no socket is bound to it. */
  send(datagram: Buffer, from: DatagramPeer, to: DatagramPeer, failed: (reason: string) => void): void {
    const reason = this.refuses(datagram, from, to);
    if (reason !== null) {
      this.clock.after(0, () => failed(reason));
      return;
    }
    const bytes = Buffer.from(datagram);
    this.sent.push({ datagram: bytes, from, to });
    if (this.loses(bytes, from, to)) return;
    this.clock.after(this.delayMs, () => {
      for (const { at, handler } of this.sockets) {
        if (at.address === to.address && at.port === to.port) handler.onDatagram(Buffer.from(bytes), from);
      }
    });
  }
}
