// Copies the changed ranges of a snapshot from one NBD export to another, a few pieces at a time. Invariant: every byte in a changed range
// is written, even zeros, so that old data of the target or of its base never stays visible.

import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { RsError } from '@rsio/base/lib/errors';
import { PIECE_BYTES, PIECES_AT_ONCE, STATUS_BYTES } from '../limits.ts';
import type { CommandWork } from '../cli/command-work.ts';
import type { NbdClient } from './nbd-client.ts';

type Piece = Readonly<Record<'offsetBytes' | 'lengthBytes', number>>;
type Source = Pick<NbdClient, 'sizeBytes' | 'read' | 'status'>;
type Target = Pick<NbdClient, 'sizeBytes' | 'write' | 'writeZeros' | 'flush'>;

/** Returns the ranges that have changed, in pieces of at most PIECE_BYTES. */
export async function changedPieces(source: Pick<Source, 'sizeBytes' | 'status'>): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let offset = 0; offset < source.sizeBytes; ) {
    const parts = await source.status(offset, Math.min(STATUS_BYTES, source.sizeBytes - offset));
    const begin = offset;
    for (const { lengthBytes, flags } of parts) {
      const end = Math.min(offset + lengthBytes, source.sizeBytes);
      if (flags !== 0)
        for (let at = offset; at < end; at += PIECE_BYTES) pieces.push({ offsetBytes: at, lengthBytes: Math.min(PIECE_BYTES, end - at) });
      offset = end;
    }
    if (offset === begin) throw new RsError('E_SYSTEM', `The source did not say what has changed from byte ${offset} on`);
  }
  return pieces;
}

/** Copies the changed ranges from `source` to `target`, and flushes `target`. Returns their length in bytes. Throws E_SYSTEM. */
export async function copyChanges(source: Source, target: Target, work: Pick<CommandWork, 'plan' | 'add'> | null = null): Promise<number> {
  if (target.sizeBytes < source.sizeBytes)
    throw new RsError('E_SYSTEM', `The backup has ${target.sizeBytes} bytes, less than the ${source.sizeBytes} of the snapshot`);
  const pieces = await changedPieces(source);
  const changedBytes = pieces.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  work?.plan(changedBytes);
  await severalAtOnce(pieces, PIECES_AT_ONCE, async ({ offsetBytes, lengthBytes }) => {
    const bytes = await source.read(offsetBytes, lengthBytes);
    const isZero = bytes.equals(Buffer.alloc(lengthBytes));
    await (isZero ? target.writeZeros(offsetBytes, lengthBytes) : target.write(offsetBytes, bytes));
    work?.add(lengthBytes);
  });
  await target.flush();
  return changedBytes;
}
