// A connection, over TCP or a Unix socket, during its set-up: the caller asks for a number of bytes. After the set-up, the load generator
// inherits the connection. Invariant: bytes that were received but not read are handed over with the connection, and nothing is received
// after the hand-over.

import net from 'node:net';
import { RsError } from '@rsio/base/lib/errors';
import { CONNECT_TIMEOUT_MS, RECEIVE_BUFFER_BYTES } from '@rsio/protocol/link/limits';
import type { OpenConnection, Place } from './orders.ts';

/** Longest wait for an answer of the server during the set-up. */
const ANSWER_TIMEOUT_MS = 10_000;

export class ByteStream {
  private readonly name: string;
  private readonly socket: net.Socket;
  private early: Buffer = Buffer.alloc(0);
  private failure: Error | null = null;
  private waiting: { readonly lengthBytes: number; readonly settle: (error: Error | null) => void } | null = null;

  private constructor({ host, port }: Place) {
    this.name = port === null ? host : `${host}/${port}`;
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
    const callback = (lengthBytes: number): boolean => {
      this.early = Buffer.concat([this.early, buffer.subarray(0, lengthBytes)]);
      this.serve();
      return true;
    };
    this.socket = net.connect({ ...(port === null ? { path: host } : { host, port, noDelay: true }), onread: { buffer, callback } });
    this.socket.on('error', (error) => this.fail(error));
    this.socket.on('end', () => this.fail(new RsError('E_RESET', `${this.name} closed the connection: see the server's log`)));
  }

  static async connect(place: Place): Promise<ByteStream> {
    const stream = new ByteStream(place);
    await new Promise<void>((resolve, reject) => {
      const late = new RsError('E_TIMEOUT', `${stream.name} did not take the connection`);
      const timer = setTimeout(() => reject(late), CONNECT_TIMEOUT_MS);
      stream.socket.once('error', reject);
      stream.socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return stream;
  }

  /** Returns a copy of the next bytes. Only one caller may wait at a time. */
  async take(lengthBytes: number): Promise<Buffer> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new RsError('E_TIMEOUT', `${this.name} sent ${this.early.length} of ${lengthBytes} expected bytes and stopped`)),
        ANSWER_TIMEOUT_MS,
      );
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        if (error === null) resolve();
        else reject(error);
      };
      this.waiting = { lengthBytes, settle };
      this.serve();
    });
    const taken = this.early.subarray(0, lengthBytes);
    this.early = this.early.subarray(lengthBytes);
    return taken;
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Stops receiving. The process that inherits the socket gets the bytes `early` before those of the socket. */
  release(words: OpenConnection['words']): OpenConnection {
    this.socket.pause();
    return { socket: this.socket, words, early: this.early };
  }

  close(): void {
    this.socket.destroy();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.serve();
  }

  private serve(): void {
    const { waiting } = this;
    if (waiting === null) return;
    if (this.early.length < waiting.lengthBytes && this.failure === null) return;
    this.waiting = null;
    waiting.settle(this.early.length < waiting.lengthBytes ? this.failure : null);
  }
}
