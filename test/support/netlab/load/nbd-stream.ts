// One NBD connection of a load. After the handshake (fixed newstyle, GO), the stream parses replies from a static receive buffer, and sends
// the requests of one turn of the event loop together. nbd-load.ts decides which requests are sent, and compares their data. Invariant: of
// read data, only the stamps are kept.

import net from 'node:net';
import { named, optionBytes, u32 } from '@rsio/rsiod/frontends/nbd/testing/nbd-client';
import { type NbdLoad, REPLY_BYTES, STAMP_BYTES } from './nbd-load.ts';

/** Where the NBD server is: the path of a Unix socket, a network address, or the descriptor of an open connection. */
export type NbdPlace = { readonly path: string } | { readonly host: string; readonly port: number } | { readonly fd: number };

const RECEIVE_BYTES = 256 * 1024;
const GREETING_BYTES = 18;
const FIXED_NEWSTYLE_NO_ZEROES = 3;
const OPTION_GO = 7;
const OPTION_REPLY_BYTES = 20;
const REPLY_ACK = 1;
const ERROR_BIT = 0x80000000;
const HANDSHAKE_MS = 10_000;

export class NbdStream {
  private readonly socket: net.Socket;
  private readonly buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
  private early: Buffer = Buffer.alloc(0);
  private wake: () => void = () => undefined;
  private load: NbdLoad | null = null;
  private readonly header = Buffer.alloc(REPLY_BYTES);
  private readonly stamps = Buffer.alloc(2 * STAMP_BYTES);
  private headerBytes = 0;
  /** State of the reply whose data arrives now. */
  private body = 0;
  private bodyAt = 0;
  private outgoing: Buffer[] = [];

  private constructor(place: NbdPlace) {
    const onread = { buffer: this.buffer, callback: (length: number) => this.received(length) };
    if ('fd' in place) {
      // The type declarations lack the option `onread`, although Node has it.
      this.socket = new net.Socket({ fd: place.fd, readable: true, writable: true, onread } as net.SocketConstructorOpts);
    } else if ('path' in place) this.socket = net.connect({ path: place.path, onread });
    else this.socket = net.connect({ ...place, onread, noDelay: true });
    this.socket.on('error', (error) => this.ended(error.message));
    this.socket.on('close', () => this.ended('The NBD connection was closed'));
    if ('fd' in place) this.socket.resume();
  }

  /** Opens an export, such as `osl/oracle`. */
  static async open(place: NbdPlace, name: string): Promise<NbdStream> {
    const stream = new NbdStream(place);
    const timer = setTimeout(() => stream.socket.destroy(), HANDSHAKE_MS);
    try {
      await stream.take(GREETING_BYTES);
      stream.socket.write(Buffer.concat([u32(FIXED_NEWSTYLE_NO_ZEROES), optionBytes(OPTION_GO, named(name))]));
      for (;;) {
        const header = await stream.take(OPTION_REPLY_BYTES);
        const type = header.readUInt32BE(12);
        const data = await stream.take(header.readUInt32BE(16));
        if (type === REPLY_ACK) return stream;
        if (type >= ERROR_BIT) throw new Error(`Export ${name} was refused: ${data.toString()}`);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Passes replies to the load. */
  serve(load: NbdLoad): void {
    this.load = load;
  }

  /** Sends bytes at the end of this turn of the event loop, together with the other requests of this turn. */
  send(bytes: Buffer): void {
    if (this.outgoing.length === 0) queueMicrotask(() => this.flush());
    this.outgoing.push(bytes);
  }

  close(): void {
    this.load = null;
    this.socket.destroy();
  }

  private flush(): void {
    const { outgoing, socket } = this;
    this.outgoing = [];
    // Copies small buffers into one, which is cheaper than sending them one by one.
    const small = outgoing.filter(({ length }) => length < 256);
    socket.cork();
    if (small.length > 0) socket.write(Buffer.concat(small));
    for (const bytes of outgoing) if (bytes.length >= 256) socket.write(bytes);
    socket.uncork();
  }

  private async take(length: number): Promise<Buffer> {
    while (this.early.length < length) {
      if (this.socket.destroyed) throw new Error('The NBD connection ended in its handshake');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const taken = this.early.subarray(0, length);
    this.early = this.early.subarray(length);
    return taken;
  }

  private ended(reason: string): void {
    this.wake();
    this.load?.failed(reason);
    this.load = null;
  }

  private received(length: number): boolean {
    const { load } = this;
    if (load === null) {
      this.early = Buffer.concat([this.early, this.buffer.subarray(0, length)]);
      this.wake();
    } else {
      for (let at = 0; at < length; ) at += this.body > 0 ? this.takeBody(at, length, load) : this.takeHeader(at, length, load);
    }
    return true;
  }

  private takeHeader(at: number, end: number, load: NbdLoad): number {
    const length = Math.min(REPLY_BYTES - this.headerBytes, end - at);
    this.buffer.copy(this.header, this.headerBytes, at, at + length);
    this.headerBytes += length;
    if (this.headerBytes < REPLY_BYTES) return length;
    this.headerBytes = 0;
    this.body = this.header.readUInt32BE(4) === 0 ? load.bodyBytes(this.header.readUInt32BE(12)) : 0;
    this.bodyAt = 0;
    if (this.body === 0) this.answered(load);
    return length;
  }

  private takeBody(at: number, end: number, load: NbdLoad): number {
    const length = Math.min(this.body - this.bodyAt, end - at);
    this.keep(at, length, 0, 0);
    this.keep(at, length, this.body - STAMP_BYTES, STAMP_BYTES);
    this.bodyAt += length;
    if (this.bodyAt === this.body) {
      this.body = 0;
      this.answered(load);
    }
    return length;
  }

  /** Stores the bytes of the stamp at `place` that lie in this piece of data. The other bytes of the stamp may come with another piece. */
  private keep(at: number, length: number, place: number, into: number): void {
    const from = Math.max(place, this.bodyAt);
    const to = Math.min(place + STAMP_BYTES, this.bodyAt + length);
    if (from < to) this.buffer.copy(this.stamps, into + from - place, at + from - this.bodyAt, at + to - this.bodyAt);
  }

  private answered(load: NbdLoad): void {
    const { header } = this;
    load.answered({ magic: header.readUInt32BE(0), errno: header.readUInt32BE(4), cookie: header.readUInt32BE(12) }, this.stamps);
  }
}
