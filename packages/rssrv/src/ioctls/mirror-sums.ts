// Answers MIRROR_SUMS: checksums of a range of a replica, with which a client compares the replicas of a mirror. Invariants: the process turns to
// other work between two pieces, so that sums of one volume delay no other one; a handle has few of these requests under way.

import { createHash } from 'node:crypto';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import { encodeMirrorSumsAnswer } from '@rsio/protocol/wire/mirror/codec';
import type { MirrorSumsRequest } from '@rsio/protocol/wire/mirror/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Backend, WOULD_WAIT } from '../backends/io/backend.ts';

/** `body`: null unless the status is OK. */
export type SumsDone = (status: Status, body: Buffer | null) => void;

/** The range must be within the volume. `done` is called once, and never before this function has returned. */
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
    if (status === WOULD_WAIT) backend.read(buffer, 0, lengthBytes, positionBytes, (later) => summed(later, lengthBytes));
    else summed(status, lengthBytes);
  };
  const summed = (status: Status, lengthBytes: number): void => {
    if (status !== STATUS.OK) return done(status, null);
    sums.push(createHash('sha256').update(buffer.subarray(0, lengthBytes)).digest().subarray(0, MIRROR_SUM_BYTES));
    setImmediate(next);
  };
  setImmediate(next);
}
