// Encodes the server's answers in the handshake. Pure; allocates freely, because a connection needs each answer only once.
//
//   reply:   0x0003e889045565a9 | option (u32) | type (u32) | length (u32) | data

import { NBD_REQUEST_MAX_BYTES } from '../../limits.ts';
import { exportDescription, exportName } from './export-names.ts';
import {
  EXPORT_NAME_PADDING_BYTES,
  HANDSHAKE_FLAG,
  INFO,
  MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_HEADER_BYTES,
  PREFERRED_BLOCK_BYTES,
  TRANSMISSION_FLAG,
} from './nbd-constants.ts';
import type { NbdExport } from './nbd-export.ts';

const U32 = 2 ** 32;
const NO_DATA = Buffer.alloc(0);

/** Returns the first bytes that the server sends on a connection. */
export function greeting(): Buffer {
  const flags = Buffer.alloc(2);
  flags.writeUInt16BE(HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES);
  return Buffer.concat([MAGIC.INIT, MAGIC.OPTION, flags]);
}

export function optionReply(option: number, type: number, data: Buffer = NO_DATA): Buffer {
  const header = Buffer.alloc(OPTION_REPLY_HEADER_BYTES);
  MAGIC.OPTION_REPLY.copy(header);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(data.length, 16);
  return Buffer.concat([header, data]);
}

export function optionError(option: number, type: number, sentence: string): Buffer {
  return optionReply(option, type, Buffer.from(sentence, 'utf8'));
}

export function serverReply(option: number, volume: NbdExport): Buffer {
  const name = Buffer.from(exportName(volume), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return optionReply(option, OPTION_REPLY.SERVER, Buffer.concat([length, name, Buffer.from(exportDescription(volume), 'utf8')]));
}

export function metaContextReply(option: number, { id, name }: { readonly id: number; readonly name: string }): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(id);
  return optionReply(option, OPTION_REPLY.META_CONTEXT, Buffer.concat([number, Buffer.from(name, 'latin1')]));
}

/**
 * Returns the transmission flags, which tell the client what this frontend can do with a volume. The flag DF is offered only with
 * structured replies.
 */
export function transmissionFlags(volume: NbdExport, structured: boolean): number {
  const flag = TRANSMISSION_FLAG;
  let flags: number = flag.HAS_FLAGS | flag.SEND_FLUSH | flag.SEND_FUA | flag.CAN_MULTI_CONN | flag.SEND_CACHE;
  if (structured) flags |= flag.SEND_DF;
  if (volume.readonly) return flags | flag.READ_ONLY;
  if (volume.canDiscard) flags |= flag.SEND_TRIM;
  return flags | flag.SEND_WRITE_ZEROES | flag.SEND_FAST_ZERO;
}

/**
 * Returns the answers to INFO and GO, without the final ACK. Size, flags and block sizes are always sent; otherwise, a client may send
 * requests that are refused as too long. Name and description are sent on request.
 */
export function infoReplies(option: number, volume: NbdExport, structured: boolean, kinds: ReadonlySet<number>): Buffer[] {
  const info = (type: number, payload: Buffer): Buffer => {
    const number = Buffer.alloc(2);
    number.writeUInt16BE(type);
    return optionReply(option, OPTION_REPLY.INFO, Buffer.concat([number, payload]));
  };
  const blockSize = Buffer.alloc(12);
  blockSize.writeUInt32BE(volume.blockSizeBytes, 0);
  blockSize.writeUInt32BE(Math.max(PREFERRED_BLOCK_BYTES, volume.blockSizeBytes), 4);
  blockSize.writeUInt32BE(NBD_REQUEST_MAX_BYTES, 8);
  const replies = [info(INFO.EXPORT, sizeAndFlags(volume, structured)), info(INFO.BLOCK_SIZE, blockSize)];
  if (kinds.has(INFO.NAME)) replies.push(info(INFO.NAME, Buffer.from(exportName(volume), 'utf8')));
  if (kinds.has(INFO.DESCRIPTION)) replies.push(info(INFO.DESCRIPTION, Buffer.from(exportDescription(volume), 'utf8')));
  return replies;
}

/** Returns the answer to EXPORT_NAME, which has a different layout. */
export function exportNameReply(volume: NbdExport, structured: boolean, zeroes: boolean): Buffer {
  const padding = Buffer.alloc(zeroes ? EXPORT_NAME_PADDING_BYTES : 0);
  return Buffer.concat([sizeAndFlags(volume, structured), padding]);
}

function sizeAndFlags(volume: NbdExport, structured: boolean): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(Math.floor(volume.sizeBytes / U32), 0);
  bytes.writeUInt32BE(volume.sizeBytes % U32, 4);
  bytes.writeUInt16BE(transmissionFlags(volume, structured), 8);
  return bytes;
}
