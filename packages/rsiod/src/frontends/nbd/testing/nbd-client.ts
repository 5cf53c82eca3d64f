// The client's side of the NBD protocol for tests. The code does not use the server's codec, so that an error in that codec is not repeated
// here. Pure. Invariant: bytes that the NBD protocol does not allow always cause an exception.

export const REQUEST_MAGIC = 0x25609513;

export function optionBytes(option: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(16);
  header.write('IHAVEOPT', 'latin1');
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}

export function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, i * 2);
  return bytes;
}

export function named(name: string, asked: readonly number[] = []): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([u32(text.length), text, u16(asked.length, ...asked)]);
}

export function contexts(name: string, queries: readonly string[]): Buffer {
  const text = Buffer.from(name);
  const parts = queries.flatMap((query) => [u32(Buffer.byteLength(query)), Buffer.from(query)]);
  return Buffer.concat([u32(text.length), text, u32(queries.length), ...parts]);
}

export interface ClientRequest {
  readonly type: number;
  readonly cookie: number;
  readonly offset?: number | bigint;
  readonly length?: number;
  readonly flags?: number;
  readonly data?: Buffer;
}

export function requestBytes(request: ClientRequest): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(request.flags ?? 0, 4);
  header.writeUInt16BE(request.type, 6);
  header.writeBigUInt64BE(BigInt(request.cookie), 8);
  header.writeBigUInt64BE(BigInt(request.offset ?? 0), 16);
  header.writeUInt32BE(request.length ?? request.data?.length ?? 0, 24);
  return Buffer.concat([header, request.data ?? Buffer.alloc(0)]);
}

export interface OptionAnswer {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

/** Splits bytes into answers to options. Throws if the bytes are not a whole number of valid answers. */
export function optionAnswers(bytes: Buffer): OptionAnswer[] {
  const answers: OptionAnswer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.readBigUInt64BE(at) !== 0x3e889045565a9n) throw new Error(`No option reply at ${at}`);
    const length = bytes.readUInt32BE(at + 16);
    if (at + 20 + length > bytes.length) throw new Error('Option reply cut short');
    const data = bytes.subarray(at + 20, at + 20 + length);
    answers.push({ option: bytes.readUInt32BE(at + 8), type: bytes.readUInt32BE(at + 12), data });
    at += 20 + length;
  }
  return answers;
}

export interface Reply {
  readonly cookie: number;
  readonly errno: number;
  /** Type of the chunk; null for a simple reply. */
  readonly chunk: number | null;
  readonly data: Buffer;
}

/** Splits bytes into replies. `readBytes` maps the cookie of a READ to the length of the data in the simple reply. */
export function replies(bytes: Buffer, readBytes: ReadonlyMap<number, number> = new Map()): Reply[] {
  const found: Reply[] = [];
  for (let at = 0; at < bytes.length; ) {
    const magic = bytes.readUInt32BE(at);
    const cookie = Number(bytes.readBigUInt64BE(at + 8));
    if (magic === 0x67446698) {
      const errno = bytes.readUInt32BE(at + 4);
      const length = errno === 0 ? (readBytes.get(cookie) ?? 0) : 0;
      found.push({ cookie, errno, chunk: null, data: cut(bytes, at + 16, length) });
      at += 16 + length;
    } else if (magic === 0x668e33ef) {
      const chunk = bytes.readUInt16BE(at + 6);
      const data = cut(bytes, at + 20, bytes.readUInt32BE(at + 16));
      // A reply to BLOCK_STATUS has a chunk for each context, and only the last chunk is marked as the end of the reply.
      const isLast = bytes.readUInt16BE(at + 4) === 1;
      const next = at + 20 + data.length;
      const continues = next < bytes.length && Number(bytes.readBigUInt64BE(next + 8)) === cookie;
      if (isLast === continues) throw new Error('The last chunk of a reply, and no other, must be marked as the last');
      found.push({ cookie, errno: chunk >= 0x8000 ? data.readUInt32BE(0) : 0, chunk, data });
      at += 20 + data.length;
    } else throw new Error(`No reply at ${at}: 0x${magic.toString(16)}`);
  }
  return found;
}

function cut(bytes: Buffer, start: number, length: number): Buffer {
  if (start + length > bytes.length) throw new Error('Reply cut short');
  return bytes.subarray(start, start + length);
}
