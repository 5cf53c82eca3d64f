// Two ends of a path in memory: what one end sends the other receives when the test pumps, in cuts the test chooses.
// A side may be cut off one way (bytes vanish) or reset, as a network would.

import type { PathTransport, TransportHandler } from '../trunk/path-transport.ts';

type Cut = (lengthBytes: number) => number;

export class MemoryEnd implements PathTransport {
  handler: TransportHandler | null = null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort = 5000;
  /** Bytes on their way to the other end. */
  readonly underWay: Buffer[] = [];
  /** Bytes sent from here vanish. */
  black = false;
  isClosed = false;
  /** The other end must still be told. */
  closing: string | null = null;
  private readonly dones: (() => void)[] = [];

  constructor(localAddress: string, remoteAddress: string) {
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (!this.black && !this.isClosed) this.underWay.push(Buffer.from(buffer.subarray(start, start + lengthBytes)));
    this.dones.push(done);
  }

  destroy(reset: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (reset) this.underWay.length = 0;
    if (!this.black) this.closing = reset ? 'ECONNRESET: the connection was reset' : 'The peer closed the connection';
  }

  end(): void {
    this.destroy(false);
  }

  /** Completes the sends made so far. */
  completeSends(): void {
    for (const done of this.dones.splice(0)) done();
  }
}

/** A connection of two ends; `pump` moves what is under way until nothing moves any more. */
export class MemoryLink {
  readonly client: MemoryEnd;
  readonly server: MemoryEnd;
  private readonly cut: Cut;

  constructor(clientAddress = '127.45.0.20', serverAddress = '127.45.0.10', cut: Cut = (lengthBytes) => lengthBytes) {
    this.client = new MemoryEnd(clientAddress, serverAddress);
    this.server = new MemoryEnd(serverAddress, clientAddress);
    this.cut = cut;
  }

  /** Moves one thing in each direction; false when nothing was to be moved. */
  step(): boolean {
    const there = this.move(this.client, this.server);
    const back = this.move(this.server, this.client);
    return there || back;
  }

  private move(from: MemoryEnd, to: MemoryEnd): boolean {
    from.completeSends();
    const next = from.underWay[0];
    if (next !== undefined) {
      const take = Math.max(1, Math.min(next.length, this.cut(next.length)));
      const piece = Buffer.from(next.subarray(0, take));
      if (take === next.length) from.underWay.shift();
      else from.underWay[0] = next.subarray(take);
      if (!to.isClosed) to.handler?.onBytes(piece, 0, piece.length);
      return true;
    }
    if (from.closing === null) return false;
    const reason = from.closing;
    from.closing = null;
    if (!to.isClosed) {
      to.isClosed = true;
      to.handler?.onClosed(reason);
    }
    return true;
  }
}
