// Reads the ClientHello of a recorded TLS 1.3 handshake as an eavesdropper would, and checks whether a guessed pre-shared key is the key of
// the binder (RFC 8446, sections 4.2.9 and 4.2.11). The code follows the RFC and does not use OpenSSL for the check, so that it is an
// independent judge. The tests choose the keys to guess.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const RECORD_HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM_BYTES = 34;
const EXTENSION = { preSharedKey: 41, keyExchangeModes: 45 } as const;
/** Value of the key exchange mode in which a pre-shared key is combined with (EC)DHE. */
export const PSK_DHE_KE = 1;

export interface ClientHello {
  /** The message without its binders. Each binder is a mac over this part. */
  readonly truncated: Buffer;
  readonly identities: readonly string[];
  readonly binders: readonly Buffer[];
  readonly keyExchangeModes: readonly number[];
}

/** Reads a stream of bytes from the front. */
class Reader {
  private readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  number(lengthBytes: number): number {
    const value = this.bytes.readUIntBE(this.at, lengthBytes);
    this.at += lengthBytes;
    return value;
  }

  /** Reads a vector with a length field of this many bytes. */
  vector(lengthBytes: number): Buffer {
    const length = this.number(lengthBytes);
    const value = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  get isDone(): boolean {
    return this.at >= this.bytes.length;
  }
}

/** Reads the ClientHello at the beginning of this stream. Throws if the stream begins with something else. */
export function clientHelloOf(stream: Buffer): ClientHello {
  if (stream[0] !== RECORD_HANDSHAKE || stream[RECORD_HEADER_BYTES] !== CLIENT_HELLO) throw new Error('No ClientHello comes first');
  const message = stream.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + stream.readUInt16BE(3));
  const reader = new Reader(message, MESSAGE_HEADER_BYTES + VERSION_AND_RANDOM_BYTES);
  // Skips the session id, the cipher suites and the compression methods.
  reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  reader.number(2);
  const identities: string[] = [];
  const binders: Buffer[] = [];
  let keyExchangeModes: number[] = [];
  let truncated = message;
  while (!reader.isDone) {
    const type = reader.number(2);
    const beginsAt = reader.at + 2;
    const data = reader.vector(2);
    if (type === EXTENSION.keyExchangeModes) keyExchangeModes = [...data.subarray(1)];
    if (type !== EXTENSION.preSharedKey) continue;
    const inner = new Reader(data);
    const offered = new Reader(inner.vector(2));
    while (!offered.isDone) {
      identities.push(offered.vector(2).toString());
      offered.number(4);
    }
    truncated = message.subarray(0, beginsAt + inner.at);
    const given = new Reader(inner.vector(2));
    while (!given.isDone) binders.push(given.vector(1));
  }
  return { truncated, identities, binders, keyExchangeModes };
}

/** Whether the first binder was made with this key. An eavesdropper could use this check to find out whether a guessed key is right. */
export function isBoundBy({ truncated, binders }: ClientHello, psk: Buffer): boolean {
  const early = createHmac('sha256', Buffer.alloc(32)).update(psk).digest();
  const binderKey = expandLabel(early, 'ext binder', createHash('sha256').digest());
  const finished = expandLabel(binderKey, 'finished', Buffer.alloc(0));
  const binder = createHmac('sha256', finished).update(createHash('sha256').update(truncated).digest()).digest();
  const [given] = binders;
  return given !== undefined && given.length === binder.length && timingSafeEqual(given, binder);
}

/** HKDF-Expand-Label with SHA-256, 32 bytes. */
function expandLabel(secret: Buffer, label: string, context: Buffer): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, 32, name.length]), name, Buffer.from([context.length]), context, Buffer.from([1])]);
  return createHmac('sha256', secret).update(info).digest();
}
