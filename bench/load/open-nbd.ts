// Opens NBD connections for the load generator: fixed newstyle with GO. Each connection then accepts requests and returns simple replies
// (native/nbd.c).

import { RsError } from '@rsio/common/lib/errors';
import {
  HANDSHAKE_FLAG,
  MAGIC,
  OPTION,
  OPTION_HEADER_BYTES,
  OPTION_REPLY,
  OPTION_REPLY_HEADER_BYTES,
} from '@rsio/rsiod/frontends/nbd/wire/nbd-constants';
import { ByteStream } from './byte-stream.ts';
import type { NbdVolume, OpenConnection, Place } from './orders.ts';

/** NBDMAGIC, IHAVEOPT, flags. */
const GREETING_BYTES = 18;

export async function openNbd(place: Place, volume: NbdVolume, connections: number): Promise<OpenConnection[]> {
  const streams: ByteStream[] = [];
  try {
    for (let index = 0; index < connections; index++) {
      const stream = await ByteStream.connect(place);
      streams.push(stream);
      await choose(stream, volume.export);
    }
  } catch (error) {
    for (const stream of streams) stream.close();
    throw error;
  }
  return streams.map((stream) => stream.release([0, 0]));
}

async function choose(stream: ByteStream, name: string): Promise<void> {
  const greeting = await stream.take(GREETING_BYTES);
  const isNewstyle = greeting.subarray(0, 8).equals(MAGIC.INIT) && greeting.subarray(8, 16).equals(MAGIC.OPTION);
  const serverFlags = greeting.readUInt16BE(16);
  if (!isNewstyle || (serverFlags & HANDSHAKE_FLAG.FIXED_NEWSTYLE) === 0) {
    throw new RsError('E_PROTOCOL', 'The server does not speak the fixed newstyle of NBD');
  }
  stream.send(goOption(name, serverFlags & (HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES)));
  for (;;) {
    const reply = await stream.take(OPTION_REPLY_HEADER_BYTES);
    const type = reply.readUInt32BE(12);
    const data = await stream.take(reply.readUInt32BE(16));
    if (type === OPTION_REPLY.ACK) return;
    if (type !== OPTION_REPLY.INFO)
      throw new RsError('E_VOLUME', `The server refused the export: 0x${type.toString(16)} ${data.toString()}`);
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
