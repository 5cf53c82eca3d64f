// Requests for the tests of the replay log: every sector that a WRITE carries tells its own position and the write's number, so that whatever
// is executed later says what it is. Leaves the log and the server to the tests.

import { assert } from '@rsio/common/lib/assert';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { REPLAY_BLOCK_BYTES, REPLAY_BLOCK_COST_BYTES, REPLAY_RANGE_COST_BYTES } from '../client/replay/limits.ts';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { SLOTS } from '../wire/limits.ts';
import type { Replay } from '../client/replay/replay.ts';
import { Request } from '../client/requests/request.ts';
import { OP } from '../wire/frames.ts';
import { sectorsOf } from '../wire/header.ts';

/** What a log takes for one block, and what it keeps free whatever comes. */
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

/** What each sector of a request holds when it is executed. */
export function contents(request: Request): [sector: number, value: number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < sectorsOf(request.op, request.flags, request.count); at++) {
    const offset = request.bufferOffset + at * SECTOR_BYTES;
    const value = request.op === OP.WRITE ? request.buffer.readUInt32BE(offset) : request.op === OP.ZERO ? ZEROES : HOLE;
    if (request.op === OP.WRITE)
      assert(request.buffer.readUIntBE(offset + SECTOR_BYTES - 6, 6) === request.lba + at, 'A sector is at another position');
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
