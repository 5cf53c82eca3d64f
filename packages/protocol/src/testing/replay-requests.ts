// Requests for the tests of the replay log. Every sector of a WRITE contains its own position and the number of the write, so that a test
// can tell which write was executed.

import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES } from '../client/limits.ts';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { SLOTS } from '../wire/limits.ts';
import type { Replay } from '../client/replay/replay.ts';
import { Request } from '../client/requests/request.ts';
import { OP } from '../wire/frames.ts';
import { sectorsOf } from '../wire/header.ts';

/** BLOCK_COST: memory that a log needs for one block. MARGIN: memory that a log always keeps free. */
export const BLOCK_COST = REPLAY_BLOCK_BYTES + REPLAY_BLOCK_COST_BYTES;
export const MARGIN = SLOTS * REPLAY_RANGE_COST_BYTES;
export const ZEROES = 0;
export const HOLE = -1;

export function change(op: number, lba: number, count: number, { flags = 0, id = 1 }: { flags?: number; id?: number } = {}): Request {
  const request = Object.assign(new Request(), { op, lba, count, flags, bufferOffset: 64 });
  if (op !== OP.WRITE) return request;
  request.bodyBytes = count * SECTOR_BYTES;
  request.buffer = Buffer.alloc(request.bodyBytes + 64);
  for (let at = 0; at < count; at++) {
    request.buffer.writeUInt32BE(id, 64 + at * SECTOR_BYTES);
    request.buffer.writeUIntBE(lba + at, 64 + (at + 1) * SECTOR_BYTES - 6, 6);
  }
  return request;
}

/** Returns the content of each sector of a request after the request has been executed. */
export function contents(request: Request): [sector: number, value: number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < sectorsOf(request.op, request.flags, request.count); at++) {
    const offset = request.bufferOffset + at * SECTOR_BYTES;
    const value = request.op === OP.WRITE ? request.buffer.readUInt32BE(offset) : request.op === OP.ZERO ? ZEROES : HOLE;
    if (request.op === OP.WRITE)
      assert(request.buffer.readUIntBE(offset + SECTOR_BYTES - 6, 6) === request.lba + at, 'A sector is at the wrong position');
    found.push([request.lba + at, value]);
  }
  return found;
}

export function nextPiece(replay: Replay): Request {
  const request = new Request();
  request.buffer = Buffer.alloc(SEGMENT_BYTES);
  replay.next(request);
  return request;
}
