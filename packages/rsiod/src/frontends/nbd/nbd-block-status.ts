// Converts a volume's extents to (length, flags) pairs, which are the descriptors of a metadata context. Returns as many pairs as fit in
// one chunk. Pure. Volumes report whole blocks only, but a client's range may start at any byte. The first `headBytes` bytes of the extents
// may therefore lie before the client's range. Invariants: the list of pairs is never empty; the lengths add up to at most the length of
// the range; adjacent extents of the same kind are merged. A hole in a volume reads as zeros, so it is reported with the flags HOLE and
// ZERO.

import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import type { Change, Extent } from '../../volumes/frontend-volume.ts';
import { CHUNK, CHUNK_HEADER_BYTES, STATE, STATE_DIRTY } from './wire/nbd-constants.ts';
import { type ReplyAddress, writeChunkHeader } from './wire/nbd-codec.ts';

const DESCRIPTOR_BYTES = 8;

/** Length of the largest BLOCK_STATUS chunk. */
export const BLOCK_STATUS_MAX_BYTES = CHUNK_HEADER_BYTES + 4 + EXTENTS_PER_ANSWER_MAX * DESCRIPTOR_BYTES;

/**
 * Returns the (length, flags) pairs for a range of `lengthBytes` bytes. The range begins `headBytes` bytes after the start of `extents`. If
 * `one` is true, returns only the first pair.
 */
export function allocationDescriptors(extents: readonly Extent[], headBytes: number, lengthBytes: number, one: boolean): number[] {
  const parts = extents.map((extent) => ({ lengthBytes: extent.lengthBytes, flags: extent.isHole ? STATE.HOLE | STATE.ZERO : 0 }));
  // Without extents, the whole range is reported as allocated, which is always a correct answer.
  return descriptorsOf(parts, headBytes, lengthBytes, one, 0);
}

/** Like `allocationDescriptors`, but for a context that tells which blocks have changed since an older snapshot. */
export function dirtyDescriptors(changes: readonly Change[], headBytes: number, lengthBytes: number, one: boolean): number[] {
  const parts = changes.map((change) => ({ lengthBytes: change.lengthBytes, flags: change.isChanged ? STATE_DIRTY : 0 }));
  return descriptorsOf(parts, headBytes, lengthBytes, one, STATE_DIRTY);
}

/** `otherwise`: the flags for the whole range if `parts` is empty. */
function descriptorsOf(
  parts: readonly { readonly lengthBytes: number; readonly flags: number }[],
  headBytes: number,
  lengthBytes: number,
  one: boolean,
  otherwise: number,
): number[] {
  const most = one ? 1 : EXTENTS_PER_ANSWER_MAX;
  const pairs: number[] = [];
  let before = headBytes;
  let left = lengthBytes;
  for (const part of parts) {
    const bytes = Math.min(part.lengthBytes - before, left);
    before = Math.max(0, before - part.lengthBytes);
    if (bytes <= 0) continue;
    const { flags } = part;
    const last = pairs.length - 2;
    if (pairs.length > 0 && pairs[last + 1] === flags) pairs[last] = (pairs[last] ?? 0) + bytes;
    else if (pairs.length / 2 < most) pairs.push(bytes, flags);
    else break;
    left -= bytes;
  }
  return pairs.length > 0 ? pairs : [lengthBytes, otherwise];
}

/** Writes a BLOCK_STATUS chunk, by default the only one of its reply, and returns the position after the chunk. */
export function writeBlockStatus(
  into: Buffer,
  at: number,
  to: ReplyAddress,
  descriptors: readonly number[],
  contextId: number,
  isLast: boolean,
): number {
  let behind = writeChunkHeader(into, at, to, CHUNK.BLOCK_STATUS, 4 + descriptors.length * 4, isLast);
  behind = into.writeUInt32BE(contextId, behind);
  for (const value of descriptors) behind = into.writeUInt32BE(value, behind);
  return behind;
}
