// NBD as the load generator speaks it: fixed newstyle with GO, then simple replies. The counterpart of rsio-dialect.ts, and as lean:
// whatever is made faster in one of them is made faster in the other.

import { RsError } from '@rsio/protocol/lib/errors';
import {
  COMMAND,
  HANDSHAKE_FLAG,
  MAGIC,
  OPTION,
  OPTION_HEADER_BYTES,
  OPTION_REPLY,
  OPTION_REPLY_HEADER_BYTES,
  REQUEST_HEADER_BYTES,
} from '@rsio/rsiod/doors/nbd/nbd-constants';
import type { ByteStream } from './byte-stream.ts';
import { type Dialect, getU32, putU32 } from './dialect.ts';

export interface NbdVolume {
  readonly kind: 'nbd';
  readonly export: string;
}

/** NBDMAGIC, IHAVEOPT, flags. */
const GREETING_BYTES = 18;
const U32_MODULUS = 0x100000000;
const SLOTS_MAX = 0x10000;

export class NbdDialect implements Dialect {
  readonly requestHeaderBytes = REQUEST_HEADER_BYTES;
  slot = -1;
  bodyBytes = 0;
  private readonly target: NbdVolume;
  /** By slot: a reply does not say its length. */
  private readonly answerBytes = new Uint32Array(SLOTS_MAX);

  constructor(target: NbdVolume) {
    this.target = target;
  }

  async open(stream: ByteStream): Promise<void> {
    const greeting = await stream.take(GREETING_BYTES);
    const isNewstyle = greeting.subarray(0, 8).equals(MAGIC.INIT) && greeting.subarray(8, 16).equals(MAGIC.OPTION);
    const serverFlags = greeting.readUInt16BE(16);
    if (!isNewstyle || (serverFlags & HANDSHAKE_FLAG.FIXED_NEWSTYLE) === 0) {
      throw new RsError('E_PROTOCOL', 'The server does not speak the fixed newstyle of NBD');
    }
    stream.send(goOption(this.target.export, serverFlags & (HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES)));
    for (;;) {
      const reply = await stream.take(OPTION_REPLY_HEADER_BYTES);
      const type = reply.readUInt32BE(12);
      const data = await stream.take(reply.readUInt32BE(16));
      if (type === OPTION_REPLY.ACK) return;
      if (type !== OPTION_REPLY.INFO)
        throw new RsError('E_VOLUME', `The server refused the export: 0x${type.toString(16)} ${data.toString()}`);
    }
  }

  writeRequest(buffer: Buffer, offset: number, slot: number, isWrite: boolean, positionBytes: number, lengthBytes: number): void {
    this.answerBytes[slot] = isWrite ? 0 : lengthBytes;
    const high = Math.floor(positionBytes / U32_MODULUS);
    putU32(buffer, offset, MAGIC.REQUEST);
    putU32(buffer, offset + 4, isWrite ? COMMAND.WRITE : COMMAND.READ);
    putU32(buffer, offset + 8, 0);
    putU32(buffer, offset + 12, slot);
    putU32(buffer, offset + 16, high);
    putU32(buffer, offset + 20, positionBytes - high * U32_MODULUS);
    putU32(buffer, offset + 24, lengthBytes);
  }

  readAnswer(buffer: Buffer, offset: number): void {
    const slot = getU32(buffer, offset + 12);
    const error = getU32(buffer, offset + 4);
    if (getU32(buffer, offset) !== MAGIC.SIMPLE_REPLY || slot >= SLOTS_MAX) throw new RsError('E_PROTOCOL', 'No simple reply came');
    if (error !== 0) throw new RsError('E_VOLUME', `The server answered with NBD error ${error}`);
    this.slot = slot;
    this.bodyBytes = this.answerBytes[slot]!;
  }

  aside(): null {
    return null;
  }
}

function goOption(name: string, flags: number): Buffer {
  const nameBytes = Buffer.from(name);
  const dataBytes = 4 + nameBytes.length + 2;
  const bytes = Buffer.alloc(4 + OPTION_HEADER_BYTES + dataBytes);
  bytes.writeUInt32BE(flags, 0);
  MAGIC.OPTION.copy(bytes, 4);
  bytes.writeUInt32BE(OPTION.GO, 12);
  bytes.writeUInt32BE(dataBytes, 16);
  bytes.writeUInt32BE(nameBytes.length, 20);
  nameBytes.copy(bytes, 24);
  return bytes;
}
