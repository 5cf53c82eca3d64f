// Answers MIRROR_SUMS: checksums of a range of a replica or of a snapshot, with which a client compares it with another copy. Invariants:
// in each turn of the event loop, the process computes the checksum of at most one piece of one volume, so that checksums do not delay
// I/O. A handle has at most SUMS_PER_HANDLE_MAX of these requests in progress.

import { createHash } from 'node:crypto';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import { encodeMirrorSumsAnswer } from '@rsio/protocol/wire/mirror-codec';
import type { MirrorSumsRequest } from '@rsio/protocol/wire/mirror-messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Backend, WOULD_WAIT } from '../storage/io/backend.ts';

/**
 * Queued steps of all requests. One step runs in each turn of the event loop. Each handle has at most SUMS_PER_HANDLE_MAX steps in the
 * queue.
 */
const turns: (() => void)[] = [];

function inTurn(work: () => void): void {
  turns.push(work);
  if (turns.length === 1) setImmediate(takeTurn);
}

function takeTurn(): void {
  // The running step stays in the queue while it runs. If the running step adds another step, `inTurn` then schedules no second turn.
  turns[0]?.();
  turns.shift();
  if (turns.length > 0) setImmediate(takeTurn);
}

/** Called when the sums are known or the request has failed. `body` is null unless the status is OK. */
export type SumsDone = (status: Status, body: Buffer | null) => void;

/**
 * Computes the checksums of the pieces in a range. The range must be within the volume. `done` is called once, and never before this
 * function has returned.
 */
export function mirrorSums(backend: Backend, { lba, sectors, pieceSectors }: MirrorSumsRequest, done: SumsDone): void {
  const pieceBytes = pieceSectors * SECTOR_BYTES;
  const endBytes = (lba + sectors) * SECTOR_BYTES;
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, sectors * SECTOR_BYTES));
  const sums: Buffer[] = [];
  const next = (): void => {
    const positionBytes = lba * SECTOR_BYTES + sums.length * pieceBytes;
    if (positionBytes >= endBytes) return done(STATUS.OK, encodeMirrorSumsAnswer({ sums: Buffer.concat(sums) }));
    const lengthBytes = Math.min(pieceBytes, endBytes - positionBytes);
    const status = backend.tryRead(buffer, 0, lengthBytes, positionBytes);
    if (status === WOULD_WAIT) backend.read(buffer, 0, lengthBytes, positionBytes, (later) => inTurn(() => summed(later, lengthBytes)));
    else summed(status, lengthBytes);
  };
  const summed = (status: Status, lengthBytes: number): void => {
    if (status !== STATUS.OK) return done(status, null);
    sums.push(createHash('sha256').update(buffer.subarray(0, lengthBytes)).digest().subarray(0, MIRROR_SUM_BYTES));
    inTurn(next);
  };
  inTurn(next);
}
