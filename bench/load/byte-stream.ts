// A TCP connection that receives into one static buffer. While the connection is being set up bytes are asked for by their number;
// then a handler gets them as they come. Invariant: nothing received is lost between the two.

import net from 'node:net';
import { RsError } from '@rsio/protocol/lib/errors';
import { CONNECT_TIMEOUT_MS, RECEIVE_BUFFER_BYTES } from '@rsio/protocol/limits';

/** The bytes are valid only during the call. */
export type BytesHandler = (buffer: Buffer, lengthBytes: number) => void;

/** So long a set-up may wait for the server. */
const ANSWER_TIMEOUT_MS = 10_000;

export class ByteStream {
  private socket: net.Socket | null = null;
  private early: Buffer = Buffer.alloc(0);
  private handler: BytesHandler | null = null;
  private waiting: { readonly lengthBytes: number; readonly resolve: (bytes: Buffer) => void } | null = null;

  async connect(host: string, port: number, failed: (error: Error) => void): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
    const callback = (lengthBytes: number): boolean => {
      this.received(buffer, lengthBytes);
      return true;
    };
    const socket = net.connect({ host, port, noDelay: true, onread: { buffer, callback } });
    this.socket = socket;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new RsError('E_TIMEOUT', `${host}/${port} did not take the connection`)), CONNECT_TIMEOUT_MS);
      socket.once('error', reject);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    socket.on('error', failed);
    socket.on('close', () => failed(new RsError('E_RESET', `${host}/${port} closed the connection: see the server's log`)));
  }

  /** The next bytes; a copy. One caller at a time, and only before `handOver`. */
  async take(lengthBytes: number): Promise<Buffer> {
    const bytes = new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new RsError('E_TIMEOUT', `The server sent ${this.early.length} of ${lengthBytes} expected bytes and stopped`)),
        ANSWER_TIMEOUT_MS,
      );
      const done = (taken: Buffer): void => {
        clearTimeout(timer);
        resolve(taken);
      };
      this.waiting = { lengthBytes, resolve: done };
    });
    this.serve();
    return bytes;
  }

  /** From now on `handler` gets everything. */
  handOver(handler: BytesHandler): void {
    this.handler = handler;
    const { early } = this;
    this.early = Buffer.alloc(0);
    if (early.length > 0) handler(early, early.length);
  }

  /** The bytes must stay as they are until the server has them. */
  send(bytes: Buffer): void {
    this.socket?.write(bytes);
  }

  private received(buffer: Buffer, lengthBytes: number): void {
    if (this.handler !== null) {
      this.handler(buffer, lengthBytes);
      return;
    }
    this.early = Buffer.concat([this.early, buffer.subarray(0, lengthBytes)]);
    this.serve();
  }

  private serve(): void {
    const { waiting } = this;
    if (waiting === null || this.early.length < waiting.lengthBytes) return;
    this.waiting = null;
    const taken = this.early.subarray(0, waiting.lengthBytes);
    this.early = this.early.subarray(waiting.lengthBytes);
    waiting.resolve(taken);
  }
}
