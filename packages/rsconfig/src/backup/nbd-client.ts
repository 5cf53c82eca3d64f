// An NBD client for a server on a Unix socket (rsiod or qemu-nbd): reads, writes, and queries the status of ranges. Invariants: every
// request ends with an answer, or with the error that ended the connection; an answer with an unexpected length ends the connection.

import { connect, type Socket } from 'node:net';
import { RsError } from '@rsio/base/lib/errors';
import { OPTION_REPLY_MAX_BYTES } from '../limits.ts';

const OPTION_MAGIC = Buffer.from('IHAVEOPT');
const OPTION = { GO: 7, STRUCTURED_REPLY: 8, SET_META_CONTEXT: 10 } as const;
const OPTION_ANSWER = { ACK: 1, INFO: 3, META_CONTEXT: 4, ERROR: 0x80000000 } as const;
const GREETING_BYTES = 18;
const OPTION_HEADER_BYTES = 20;
const FIXED_NEWSTYLE_NO_ZEROES = 3;
const COMMAND = { READ: 0, WRITE: 1, DISCONNECT: 2, FLUSH: 3, WRITE_ZEROES: 6, BLOCK_STATUS: 7 } as const;
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_MAGIC = 0x67446698;
const STRUCTURED_MAGIC = 0x668e33ef;
/** Length of a simple reply without its data, and of a structured one before its length. */
const REPLY_BYTES = 16;
const CHUNK = { OFFSET_DATA: 1, OFFSET_HOLE: 2, BLOCK_STATUS: 5, ERROR: 0x8000 } as const;

/** A part of a range with the flags of the selected metadata context. */
export interface RangeStatus {
  readonly lengthBytes: number;
  readonly flags: number;
}

interface Pending {
  readonly offsetBytes: number;
  /** For READ: the buffer that receives the data. Null for other requests. */
  readonly into: Buffer | null;
  filledBytes: number;
  statuses: RangeStatus[];
  failure: RsError | null;
  resolve(statuses: readonly RangeStatus[]): void;
  reject(error: RsError): void;
}

export class NbdClient {
  private readonly socket: Socket;
  private readonly what: string;
  private received: Buffer = Buffer.alloc(0);
  private wake: (() => void) | null = null;
  private ended: RsError | null = null;
  private readonly pending = new Map<number, Pending>();
  private lastCookie = 0;
  sizeBytes = 0;

  private constructor(socket: Socket, what: string) {
    this.socket = socket;
    this.what = what;
    socket.on('data', (bytes: Buffer) => {
      this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes]);
      this.wake?.();
    });
    socket.on('error', (error) => this.end(error.message));
    socket.on('close', () => this.end('the connection was closed'));
  }

  /**
   * Opens an export. `context`: the metadata context for `status`; null if `status` will not be called. Throws E_SYSTEM if the server
   * cannot be reached or refuses the export, and E_UNKNOWN_SNAPSHOT if the server does not have the context.
   */
  static async open(socketPath: string, name: string, context: string | null): Promise<NbdClient> {
    const client = new NbdClient(connect(socketPath), `${socketPath} (export ${name === '' ? 'without a name' : name})`);
    try {
      await client.negotiate(name, context);
      void client.receive();
      return client;
    } catch (thrown) {
      client.socket.destroy();
      throw thrown;
    }
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const into = Buffer.alloc(lengthBytes);
    await this.request(COMMAND.READ, offsetBytes, lengthBytes, null, into);
    return into;
  }

  async write(offsetBytes: number, data: Buffer): Promise<void> {
    await this.request(COMMAND.WRITE, offsetBytes, data.length, data);
  }

  async writeZeros(offsetBytes: number, lengthBytes: number): Promise<void> {
    await this.request(COMMAND.WRITE_ZEROES, offsetBytes, lengthBytes);
  }

  async flush(): Promise<void> {
    await this.request(COMMAND.FLUSH, 0, 0);
  }

  /** Returns the status of a range. The answer may end before the end of the range. */
  status(offsetBytes: number, lengthBytes: number): Promise<readonly RangeStatus[]> {
    return this.request(COMMAND.BLOCK_STATUS, offsetBytes, lengthBytes);
  }

  close(): void {
    if (this.ended === null) this.socket.end(requestHeader(COMMAND.DISCONNECT, 0, 0, 0));
    this.end('the connection was closed');
  }

  private async negotiate(name: string, context: string | null): Promise<void> {
    await this.bytes(GREETING_BYTES);
    this.socket.write(u32(FIXED_NEWSTYLE_NO_ZEROES));
    if (context !== null) {
      await this.option(OPTION.STRUCTURED_REPLY, Buffer.alloc(0));
      const replies = await this.option(OPTION.SET_META_CONTEXT, Buffer.concat([sized(name), u32(1), sized(context)]));
      if (!replies.some(({ type }) => type === OPTION_ANSWER.META_CONTEXT))
        throw new RsError(
          'E_UNKNOWN_SNAPSHOT',
          `${this.what} cannot tell what has changed (${context}): the older snapshot is not there any more`,
        );
    }
    for (const { type, data } of await this.option(OPTION.GO, Buffer.concat([sized(name), Buffer.alloc(2)])))
      if (type === OPTION_ANSWER.INFO && data.length >= 10 && data.readUInt16BE(0) === 0) this.sizeBytes = Number(data.readBigUInt64BE(2));
  }

  private async option(option: number, data: Buffer): Promise<readonly { readonly type: number; readonly data: Buffer }[]> {
    this.socket.write(Buffer.concat([OPTION_MAGIC, u32(option), u32(data.length), data]));
    const replies: { type: number; data: Buffer }[] = [];
    for (;;) {
      const answer = await this.bytes(OPTION_HEADER_BYTES);
      const [type, length] = [answer.readUInt32BE(12), answer.readUInt32BE(16)];
      if (length > OPTION_REPLY_MAX_BYTES) throw this.failure('it sent an answer that is too long');
      const body = await this.bytes(length);
      if (type >= OPTION_ANSWER.ERROR) throw this.failure(`it refused: ${body.toString('utf8')}`);
      if (type === OPTION_ANSWER.ACK) return replies;
      replies.push({ type, data: body });
    }
  }

  /** Resolves with the next bytes from the server. Throws after the connection has ended. */
  private async bytes(length: number): Promise<Buffer> {
    while (this.received.length < length) {
      if (this.ended !== null) throw this.ended;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    const taken = this.received.subarray(0, length);
    this.received = this.received.subarray(length);
    return taken;
  }

  private request(
    type: number,
    offsetBytes: number,
    lengthBytes: number,
    data: Buffer | null = null,
    into: Buffer | null = null,
  ): Promise<readonly RangeStatus[]> {
    if (this.ended !== null) return Promise.reject(this.ended);
    const cookie = ++this.lastCookie;
    return new Promise((resolve, reject) => {
      this.pending.set(cookie, { offsetBytes, into, filledBytes: 0, statuses: [], failure: null, resolve, reject });
      this.socket.write(requestHeader(type, cookie, offsetBytes, lengthBytes));
      if (data !== null) this.socket.write(data);
    });
  }

  /** Handles replies until the connection ends. */
  private async receive(): Promise<void> {
    try {
      for (;;) await this.reply();
    } catch (thrown) {
      if (this.ended !== null) return;
      this.end(thrown instanceof Error ? thrown.message : String(thrown));
      this.socket.destroy();
    }
  }

  private async reply(): Promise<void> {
    const header = await this.bytes(REPLY_BYTES);
    const magic = header.readUInt32BE(0);
    const cookie = Number(header.readBigUInt64BE(8));
    const pending = this.pending.get(cookie);
    if (pending === undefined || (magic !== SIMPLE_MAGIC && magic !== STRUCTURED_MAGIC)) throw new Error('it sent a reply to no request');
    const wantedBytes = pending.into?.length ?? 0;
    if (magic === SIMPLE_MAGIC) {
      const errno = header.readUInt32BE(4);
      if (errno !== 0) pending.failure = this.failure(`it answered with error ${errno}`);
      else fill(pending, pending.offsetBytes, await this.bytes(wantedBytes));
      return this.finish(cookie, pending);
    }
    const length = (await this.bytes(4)).readUInt32BE(0);
    if (length > wantedBytes + OPTION_REPLY_MAX_BYTES) throw new Error('it sent a chunk that is too long');
    this.chunk(pending, header.readUInt16BE(6), await this.bytes(length));
    if ((header.readUInt16BE(4) & 1) !== 0) this.finish(cookie, pending);
  }

  private chunk(pending: Pending, type: number, data: Buffer): void {
    if (type >= CHUNK.ERROR) pending.failure = this.failure(`it answered with error ${data.readUInt32BE(0)}: ${data.toString('utf8', 6)}`);
    else if (type === CHUNK.OFFSET_DATA) fill(pending, Number(data.readBigUInt64BE(0)), data.subarray(8));
    else if (type === CHUNK.OFFSET_HOLE) pending.filledBytes += data.readUInt32BE(8);
    else if (type === CHUNK.BLOCK_STATUS)
      for (let at = 4; at + 8 <= data.length; at += 8)
        pending.statuses.push({ lengthBytes: data.readUInt32BE(at), flags: data.readUInt32BE(at + 4) });
  }

  private finish(cookie: number, pending: Pending): void {
    this.pending.delete(cookie);
    const isShort = pending.into !== null && pending.filledBytes !== pending.into.length;
    const failure = pending.failure ?? (isShort ? this.failure('it sent less than was asked for') : null);
    if (failure === null) pending.resolve(pending.statuses);
    else pending.reject(failure);
  }

  private failure(why: string): RsError {
    return new RsError('E_SYSTEM', `NBD server at ${this.what}: ${why}`);
  }

  private end(why: string): void {
    this.ended ??= this.failure(why);
    for (const one of this.pending.values()) one.reject(this.ended);
    this.pending.clear();
    this.wake?.();
  }
}

function fill(pending: Pending, offsetBytes: number, data: Buffer): void {
  const at = offsetBytes - pending.offsetBytes;
  if (pending.into === null || at < 0 || at + data.length > pending.into.length) {
    if (data.length > 0) throw new Error('it sent data that was not asked for');
    return;
  }
  data.copy(pending.into, at);
  pending.filledBytes += data.length;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([u32(bytes.length), bytes]);
}

function requestHeader(type: number, cookie: number, offsetBytes: number, lengthBytes: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC);
  header.writeUInt16BE(type, 6);
  header.writeBigUInt64BE(BigInt(cookie), 8);
  header.writeBigUInt64BE(BigInt(offsetBytes), 16);
  header.writeUInt32BE(lengthBytes, 24);
  return header;
}
