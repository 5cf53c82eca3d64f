// Combines a transport with a decoder and an encoder, so that client and server exchange frames instead of bytes. Invariant: a connection
// reports its end exactly once, whatever the reason, and neither receives nor sends afterwards.

import type { BufferPool } from '@rsio/base/structures/buffer-pool';
import { OUTPUT_HARD_MAX_BYTES } from './limits.ts';
import { Decoder } from '../wire/decoder.ts';
import { Encoder, type OutputPool } from '../wire/encoder.ts';
import type { Header } from '../wire/header.ts';
import type { PathTransport, TlsKey } from './path-transport.ts';

export interface ConnectionEvents {
  bodyBegins(header: Header): void;
  frame(header: Header, body: Buffer, offset: number): void;
  /** Called after all frames of one receive event have been passed on; the owner should then flush its output. */
  received(): void;
  /** Called when a send has completed; there may now be room for more output. */
  drained(): void;
  /** Called once, whichever side ended the connection. */
  closed(reason: string): void;
}

export interface ConnectionPools {
  readonly bodies: BufferPool;
  readonly outputs: OutputPool;
}

export class Connection {
  events: ConnectionEvents;
  readonly transport: PathTransport;
  readonly decoder: Decoder;
  readonly encoder: Encoder;
  receivedBytes = 0;
  sentBytes = 0;
  private hasClosed = false;

  constructor(transport: PathTransport, pools: ConnectionPools, handler: ConnectionEvents) {
    this.transport = transport;
    this.events = handler;
    this.decoder = new Decoder(
      {
        bodyBegins: (header) => this.events.bodyBegins(header),
        frame: (header, body, offset) => this.events.frame(header, body, offset),
        malformed: (reason) => this.close(reason, true),
      },
      pools.bodies,
    );
    this.encoder = new Encoder(this, pools.outputs, () => {
      if (!this.hasClosed) this.events.drained();
    });
    this.encoder.isSerial = transport.cipher !== null;
    transport.events = {
      onBytes: (buffer, offset, lengthBytes) => this.onBytes(buffer, offset, lengthBytes),
      onClosed: (reason) => this.close(reason, false),
    };
  }

  get isClosed(): boolean {
    return this.hasClosed;
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (this.hasClosed) {
      done();
      return;
    }
    this.sentBytes += lengthBytes;
    this.transport.send(buffer, start, lengthBytes, done);
  }

  /** Begins TLS. Calls `secured` when frames may be sent; if TLS cannot begin, the connection closes. */
  startTls(key: TlsKey, secured: () => void): void {
    this.transport.startTls(key, () => {
      // An attacker may have sent a partial frame in clear, which would become the beginning of the first encrypted frame.
      if (!this.decoder.isBetweenFrames) this.close('The peer sent data outside TLS', true);
      if (this.hasClosed) return;
      this.encoder.isSerial = true;
      secured();
    });
  }

  /**
   * True if the peer has left so much output unread that the connection must be closed. The owner of the connection checks this value after
   * each event.
   */
  get hasOverflowed(): boolean {
    return this.encoder.queuedBytes > OUTPUT_HARD_MAX_BYTES;
  }

  /** Closes the connection; if `reset` is true, unsent bytes are dropped. Calls `events.closed` before this method returns. */
  close(reason: string, reset: boolean): void {
    if (this.hasClosed) return;
    this.hasClosed = true;
    this.decoder.stop();
    this.transport.destroy(reset);
    this.encoder.close();
    this.events.closed(reason);
  }

  /** Sends all output, then closes. Calls `events.closed` at once. */
  finish(reason: string): void {
    if (this.hasClosed) return;
    this.encoder.flush();
    this.encoder.sendRest();
    this.hasClosed = true;
    this.decoder.stop();
    this.transport.end();
    this.encoder.close();
    this.events.closed(reason);
  }

  private onBytes(buffer: Buffer, offset: number, lengthBytes: number): void {
    if (this.hasClosed) return;
    this.receivedBytes += lengthBytes;
    this.decoder.push(buffer, offset, lengthBytes);
    if (!this.hasClosed) this.events.received();
  }
}
