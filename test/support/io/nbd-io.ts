// Opens one export of rsiod's NBD socket, for tests that need single reads and writes. The client sends one request at a time, and expects
// simple replies. Loads use real programs (qemu-io, fio). Invariant: every wait ends at a deadline.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { named, optionBytes, replies, requestBytes, u32 } from '@rsio/rsiod/frontends/nbd/testing/nbd-client';

const READ_BYTES = 1024 * 1024;
const GREETING_BYTES = 18;
const FIXED_NEWSTYLE_NO_ZEROES = 3;
const OPTION_GO = 7;
const OPTION_REPLY_HEADER_BYTES = 20;
const REPLY_ACK = 1;
const REPLY_INFO = 3;
const INFO_EXPORT = 0;
const COMMAND = { READ: 0, WRITE: 1, FLUSH: 3, TRIM: 4, ZEROES: 6 } as const;
const REPLY_BYTES = 16;
/** On a busy machine, a take-over may take a minute. */
const DEADLINE_MS = 120_000;

export class NbdIo {
  private readonly socket: net.Socket;
  private received: Buffer = Buffer.alloc(0);
  private wake: () => void = () => undefined;
  private cookie = 0;
  /** Size of the export in bytes, as announced when this connection started. */
  sizeBytes = 0;

  private readonly deadlineMs: number;

  private constructor(socket: net.Socket, deadlineMs: number) {
    this.socket = socket;
    this.deadlineMs = deadlineMs;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
    socket.on('close', () => this.wake());
  }

  /**
   * Opens an export such as `osl/oracle`. A wait longer than `deadlineMs` ends the connection. A refusal also ends the connection: tests
   * connect repeatedly until a volume exists, and rsiod limits the number of connections.
   */
  static async open(socketPath: string, name: string, deadlineMs = DEADLINE_MS): Promise<NbdIo> {
    const nbd = new NbdIo(net.connect(socketPath), deadlineMs);
    try {
      await nbd.choose(name);
      return nbd;
    } catch (error) {
      nbd.close();
      throw error;
    }
  }

  private async choose(name: string): Promise<void> {
    await this.take(GREETING_BYTES);
    this.socket.write(Buffer.concat([u32(FIXED_NEWSTYLE_NO_ZEROES), optionBytes(OPTION_GO, named(name))]));
    for (;;) {
      const header = await this.take(OPTION_REPLY_HEADER_BYTES);
      const type = header.readUInt32BE(12);
      const data = await this.take(header.readUInt32BE(16));
      if (type === REPLY_ACK) return;
      if (type === REPLY_INFO && data.readUInt16BE(0) === INFO_EXPORT) this.sizeBytes = Number(data.readBigUInt64BE(2));
      if (type >= 0x80000000) throw new Error(`Export ${name} was refused: ${data.toString()}`);
    }
  }

  /** This method and the following ones throw if the answer has an errno. */
  async read(offset: number, length: number): Promise<Buffer> {
    await this.request(COMMAND.READ, offset, length);
    return this.take(length);
  }

  /** Reads the whole export. */
  async whole(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; at < this.sizeBytes; at += READ_BYTES) parts.push(await this.read(at, Math.min(READ_BYTES, this.sizeBytes - at)));
    return Buffer.concat(parts);
  }

  async write(offset: number, data: Buffer, flags = 0): Promise<void> {
    await this.request(COMMAND.WRITE, offset, data.length, data, flags);
  }

  async trim(offset: number, length: number): Promise<void> {
    await this.request(COMMAND.TRIM, offset, length);
  }

  async zero(offset: number, length: number): Promise<void> {
    await this.request(COMMAND.ZEROES, offset, length);
  }

  async flush(): Promise<void> {
    await this.request(COMMAND.FLUSH, 0, 0);
  }

  /** Writes new content and reads it back. Throws if the data read differs. */
  async verify(offset: number, length: number): Promise<void> {
    const data = randomBytes(length);
    await this.write(offset, data);
    if (!(await this.read(offset, length)).equals(data)) throw new Error(`Bytes ${offset} + ${length} read back differently`);
  }

  close(): void {
    this.socket.destroy();
  }

  private async request(type: number, offset: number, length: number, data?: Buffer, flags = 0): Promise<void> {
    const cookie = ++this.cookie;
    this.socket.write(requestBytes({ type, flags, cookie, offset, length, ...(data === undefined ? {} : { data }) }));
    const [reply] = replies(await this.take(REPLY_BYTES));
    if (reply?.cookie !== cookie) throw new Error(`Reply ${reply?.cookie} to request ${cookie}`);
    if (reply.errno !== 0) throw new Error(`Errno ${reply.errno} at ${offset} + ${length}`);
  }

  private async take(length: number): Promise<Buffer> {
    const timer = setTimeout(() => this.socket.destroy(), this.deadlineMs);
    try {
      while (this.received.length < length) {
        if (this.socket.destroyed) throw new Error(`The NBD connection ended, or gave no ${length} bytes within ${this.deadlineMs} ms`);
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
    const taken = this.received.subarray(0, length);
    this.received = this.received.subarray(length);
    return taken;
  }
}
