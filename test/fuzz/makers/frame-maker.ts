// Makes well-formed frames from a seed, with all ops of the table and with fields at the edges of their ranges. The targets decide whether
// a frame is permitted at the time at which it arrives.

import { crc32 } from 'node:zlib';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEADER_BYTES, IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ANSWER, type FrameEntry, FRAMES } from '@rsio/protocol/wire/frames';
import { type Header, writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { edge, MESSAGE_KINDS, messageBytes } from './message-maker.ts';

/** Bodies usually have at most this many sectors. The content of longer bodies would test nothing more. */
const BODY_USUAL_MAX_SECTORS = 12;
const BODIES = Buffer.alloc(BODY_MAX_BYTES, 'some text that does not repeat at a power of two');

function crcOf(bytes: Buffer): Buffer {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(bytes));
  return crc;
}

/** Encodes header and body unchanged. `digest`: whether one CRC-32 follows the header and another the body. */
export function frameBytes(op: number, fields: Partial<Header>, shape: FrameEntry['shape'], body: Buffer, digest = false): Buffer {
  const { flags = 0, handle = 0, slot = 0, seq = 0, lba = 0, count = 0, aux = 0 } = fields;
  const header = Buffer.alloc(HEADER_BYTES);
  if (shape === 'io') writeIoHeader(header, 0, op, flags, handle, slot, seq, lba, count);
  else writeMessageHeader(header, 0, op, flags, handle, slot, seq, fields.length ?? body.length, aux);
  if (!digest) return Buffer.concat([header, body]);
  return Buffer.concat([header, crcOf(header), body, body.length === 0 ? body : crcOf(body)]);
}

/** Returns data of `sectors` sectors. The data is a view of a buffer that all frames share. */
export function dataOf(sectors: number): Buffer {
  return BODIES.subarray(0, sectors * SECTOR_BYTES);
}

export function anyFrame(random: SeededRandom, digest = false): Buffer {
  const entry = random.pick(FRAMES);
  const isAnswer = entry.isSlotted && random.chance(0.5);
  const op = isAnswer ? entry.op | ANSWER : entry.op;
  const fields = {
    flags: random.pick([0, 0, 0, 1, 2, 4, 8, 255]),
    handle: random.pick([0, 0, 1, 4, 65_535]),
    slot: edge(random, 0, 300),
    seq: edge(random, 0, 65_535),
    lba: edge(random, 0, 2 ** 48 - 1),
    count: random.chance(0.02) ? IO_MAX_SECTORS : random.int(0, BODY_USUAL_MAX_SECTORS),
    aux: edge(random, 0, 300),
  };
  if (entry.shape === 'message') {
    const body = random.chance(0.3) ? Buffer.alloc(0) : messageBytes(random, random.pick(MESSAGE_KINDS));
    return frameBytes(op, fields, 'message', body, digest);
  }
  const carries = isAnswer ? entry.body === 'answer' && fields.handle === 0 : entry.body === 'request';
  return frameBytes(op, fields, 'io', carries ? dataOf(fields.count) : Buffer.alloc(0), digest);
}
