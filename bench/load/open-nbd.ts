// Opens NBD connections for the load generator: fixed newstyle with GO. Each connection then accepts requests and returns simple replies
// (native/nbd.c). With a key, TLS is started first, as the option STARTTLS of NBD does.

import { RsError } from '@rsio/base/lib/errors';
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
import { throughTls } from './through-tls.ts';

/** NBDMAGIC, IHAVEOPT, flags. */
const GREETING_BYTES = 18;
/** Defined here, because rsiod does not have this option: its Unix socket needs no TLS. */
const OPTION_STARTTLS = 5;

/** Opens the connections. `cores`: cores for the relay that carries TLS for the load. */
export async function openNbd(place: Place, volume: NbdVolume, connections: number, cores: readonly number[]): Promise<OpenConnection[]> {
  const streams: ByteStream[] = [];
  const names = [volume.export, ...(volume.others ?? [])];
  try {
    for (let index = 0; index < connections; index++) {
      let stream = await ByteStream.connect(place);
      streams.push(stream);
      await greet(stream);
      if (volume.tls !== undefined) {
        stream.send(option(OPTION_STARTTLS, Buffer.alloc(0)));
        await acknowledged(stream);
        stream = await throughTls(stream, volume.tls, cores);
        streams[index] = stream;
      }
      stream.send(goOption(names[index % names.length] ?? ''));
      await acknowledged(stream);
    }
  } catch (error) {
    for (const stream of streams) stream.close();
    throw error;
  }
  return streams.map((stream) => stream.release([0, 0]));
}

async function greet(stream: ByteStream): Promise<void> {
  const greeting = await stream.take(GREETING_BYTES);
  const isNewstyle = greeting.subarray(0, 8).equals(MAGIC.INIT) && greeting.subarray(8, 16).equals(MAGIC.OPTION);
  const serverFlags = greeting.readUInt16BE(16);
  if (!isNewstyle || (serverFlags & HANDSHAKE_FLAG.FIXED_NEWSTYLE) === 0) {
    throw new RsError('E_PROTOCOL', 'The server does not speak the fixed newstyle of NBD');
  }
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(serverFlags & (HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES));
  stream.send(flags);
}

async function acknowledged(stream: ByteStream): Promise<void> {
  for (;;) {
    const reply = await stream.take(OPTION_REPLY_HEADER_BYTES);
    const type = reply.readUInt32BE(12);
    const data = await stream.take(reply.readUInt32BE(16));
    if (type === OPTION_REPLY.ACK) return;
    if (type !== OPTION_REPLY.INFO)
      throw new RsError('E_VOLUME', `The server refused the export: 0x${type.toString(16)} ${data.toString()}`);
  }
}

function goOption(name: string): Buffer {
  const nameBytes = Buffer.from(name);
  const data = Buffer.alloc(4 + nameBytes.length + 2);
  data.writeUInt32BE(nameBytes.length, 0);
  nameBytes.copy(data, 4);
  return option(OPTION.GO, data);
}

function option(number: number, data: Buffer): Buffer {
  const header = Buffer.alloc(OPTION_HEADER_BYTES);
  MAGIC.OPTION.copy(header, 0);
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}
