// A small NBD client (fixed newstyle, simple replies) for rsiod's socket, so that the demo needs no program besides Node. The client does
// not support structured replies and TRIM. Invariant: every request settles, because it is answered, it is refused, or the connection ends.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { RsError } from '@rsio/base/lib/errors';

const FIXED_NEWSTYLE_NO_ZEROES = 3;
const OPTION_GO = 7;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const REPLY_ACK = 1;
const REPLY_INFO = 3;
const REPLY_ERROR_BIT = 0x80000000;
const INFO_EXPORT = 0;
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_REPLY_MAGIC = 0x67446698;
const COMMAND = { READ: 0, WRITE: 1, DISCONNECT: 2, FLUSH: 3 } as const;

interface Pending {
  readonly readBytes: number;
  readonly resolve: (data: Buffer) => void;
  readonly reject: (error: Error) => void;
}

const NOTHING = Buffer.alloc(0);

export class NbdClient {
  readonly sizeBytes: number;
  private readonly input: Input;
  private readonly pending = new Map<number, Pending>();
  private lastCookie = 0;

  private constructor(input: Input, sizeBytes: number) {
    this.input = input;
    this.sizeBytes = sizeBytes;
    void this.receive();
  }

  /** Opens an export. Aborting `signal` ends the connection and all requests in flight. */
  static async open(socketPath: string, exportName: string, signal: AbortSignal): Promise<NbdClient> {
    const socket = connect(socketPath);
    const input = new Input(socket, signal);
    try {
      return new NbdClient(input, await shakeHands(input, exportName));
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    }
  }

  read(offset: number, lengthBytes: number): Promise<Buffer> {
    return this.request(COMMAND.READ, offset, lengthBytes, NOTHING);
  }

  /** `data` must not change until the promise settles. */
  async write(offset: number, data: Buffer): Promise<void> {
    await this.request(COMMAND.WRITE, offset, data.length, data);
  }

  async flush(): Promise<void> {
    await this.request(COMMAND.FLUSH, 0, 0, NOTHING);
  }

  async close(): Promise<void> {
    const { socket } = this.input;
    if (socket.destroyed) return;
    socket.write(requestHeader(COMMAND.DISCONNECT, 0, 0, 0));
    socket.end();
    await once(socket, 'close');
  }

  private request(command: number, offset: number, lengthBytes: number, data: Buffer): Promise<Buffer> {
    const { socket } = this.input;
    if (socket.destroyed) return Promise.reject(this.input.gone());
    this.lastCookie += 1;
    const cookie = this.lastCookie;
    socket.write(requestHeader(command, cookie, offset, lengthBytes));
    if (data.length > 0) socket.write(data);
    return new Promise((resolve, reject) => {
      this.pending.set(cookie, { readBytes: command === COMMAND.READ ? lengthBytes : 0, resolve, reject });
    });
  }

  private async receive(): Promise<void> {
    try {
      for (;;) {
        const header = await this.input.take(16);
        if (header.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC) throw protocolError('a reply without its magic number');
        const cookie = Number(header.readBigUInt64BE(8));
        const pending = this.pending.get(cookie);
        if (pending === undefined) throw protocolError(`a reply to request ${cookie}, which was not asked`);
        const errno = header.readUInt32BE(4);
        if (errno === 0) pending.resolve(pending.readBytes === 0 ? NOTHING : await this.input.take(pending.readBytes));
        else pending.reject(new RsError('E_VOLUME', `The NBD socket answered error ${errno}: see the logs`, { errno }));
        this.pending.delete(cookie);
      }
    } catch (thrown) {
      this.input.socket.destroy();
      const error = thrown instanceof Error ? thrown : this.input.gone();
      for (const pending of this.pending.values()) pending.reject(error);
      this.pending.clear();
    }
  }
}

/** Takes exact numbers of bytes off a socket, in order. */
class Input {
  readonly socket: Socket;
  private error: Error | undefined;
  private wake: () => void = () => {};

  constructor(socket: Socket, signal: AbortSignal) {
    this.socket = socket;
    const abort = (): void => void socket.destroy();
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    socket.on('error', (error) => (this.error = error));
    socket.on('readable', () => this.wake());
    socket.on('end', () => this.wake());
    socket.on('close', () => {
      signal.removeEventListener('abort', abort);
      this.wake();
    });
  }

  /** Only one caller may wait at a time. */
  async take(lengthBytes: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.socket.read(lengthBytes) as Buffer | null;
      if (bytes !== null && bytes.length === lengthBytes) return bytes;
      if (this.socket.destroyed || this.socket.readableEnded) throw this.gone();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  gone(): Error {
    return new RsError('E_RESET', `The connection to the NBD socket is gone (${this.error?.message ?? 'closed'}): see the log of rsiod`);
  }
}

async function shakeHands(input: Input, exportName: string): Promise<number> {
  const greeting = await input.take(18);
  if (greeting.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw protocolError('no NBD greeting');
  const name = Buffer.from(exportName);
  const hello = Buffer.alloc(4 + 16 + 4 + name.length + 2);
  hello.writeUInt32BE(FIXED_NEWSTYLE_NO_ZEROES, 0);
  hello.write('IHAVEOPT', 4, 'latin1');
  hello.writeUInt32BE(OPTION_GO, 12);
  hello.writeUInt32BE(4 + name.length + 2, 16);
  hello.writeUInt32BE(name.length, 20);
  name.copy(hello, 24);
  input.socket.write(hello);
  let sizeBytes = 0;
  for (;;) {
    const header = await input.take(20);
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC) throw protocolError('an option reply without its magic number');
    const lengthBytes = header.readUInt32BE(16);
    const data = lengthBytes === 0 ? NOTHING : await input.take(lengthBytes);
    const type = header.readUInt32BE(12);
    if (type === REPLY_ACK) return sizeBytes;
    if (type >= REPLY_ERROR_BIT) throw new RsError('E_UNKNOWN_VOLUME', `Export ${exportName} was refused: ${data.toString()}`);
    if (type === REPLY_INFO && data.readUInt16BE(0) === INFO_EXPORT) sizeBytes = Number(data.readBigUInt64BE(2));
  }
}

function requestHeader(command: number, cookie: number, offset: number, lengthBytes: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(command, 6);
  header.writeBigUInt64BE(BigInt(cookie), 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(lengthBytes, 24);
  return header;
}

function protocolError(what: string): RsError {
  return new RsError('E_PROTOCOL', `The NBD socket sent ${what}: see the log of rsiod`);
}
