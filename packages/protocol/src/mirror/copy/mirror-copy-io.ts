// Implements CopyIo for the copier: MirrorIo, plus the ioctls about intent maps on the sessions of the replicas.
// Invariant: an answer from a session that was given up is ignored.

import type { Clock } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { callSession, type SessionAnswer } from '../../client/session-call.ts';
import { OP } from '../../wire/frames.ts';
import { IOCTL } from '../../wire/messages.ts';
import { MirrorClearRequest, MirrorMapAnswer, MirrorMapRequest, MirrorSumsAnswer, MirrorSumsRequest } from '../../wire/mirror-messages.ts';
import { STATUS } from '../../wire/status.ts';
import type { MirrorIo } from '../io/mirror-io.ts';
import type { Lacks } from '../lacks/lacks.ts';
import type { RegionSet } from '../region-set.ts';
import type { CopyIo, CopyLock, Done } from './copy-ports.ts';

export class MirrorCopyIo implements CopyIo {
  private readonly io: MirrorIo;
  private readonly clock: Clock;

  constructor(io: MirrorIo, clock: Clock) {
    this.io = io;
    this.clock = clock;
  }

  get touched(): RegionSet {
    return this.io.touched;
  }

  get unsettled(): RegionSet {
    return this.io.unsettled;
  }

  get lacks(): Lacks {
    return this.io.lacks;
  }

  get outstanding(): number {
    return this.io.userIoCount;
  }

  settled(region: number): void {
    this.io.settled(region);
  }

  settledMany(): void {
    const region = this.io.unsettled.firstAbsentFrom(0);
    this.io.settled(region);
  }

  lock(beginBytes: number, endBytes: number, granted: () => void): CopyLock {
    return this.io.lock(beginBytes, endBytes, granted);
  }

  tenureOf(identity: string): string | null {
    return this.io.tenureOf(identity);
  }

  lifeOf(identity: string): string | null {
    return this.io.replicaOf(identity)?.attachment.volume?.life ?? null;
  }

  loadOf(identity: string): number {
    return this.io.loadOf(identity);
  }

  readAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void {
    this.io.readAt(identity, positionBytes, lengthBytes, buffer, bufferOffset, done);
  }

  writeAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void {
    this.io.writeAt(identity, positionBytes, lengthBytes, buffer, bufferOffset, done);
  }

  zeroAt(identity: string, positionBytes: number, lengthBytes: number, done: Done): void {
    this.io.zeroAt(identity, positionBytes, lengthBytes, done);
  }

  flushAt(identity: string, done: Done): void {
    this.io.flushAt(identity, done);
  }

  readMap(identity: string, first: number, done: (answer: MirrorMapAnswer | null) => void): void {
    this.call(identity, IOCTL.MIRROR_MAP, MirrorMapRequest.encode({ first }), ({ status, bodies }) => {
      done(status === STATUS.OK ? decoded(bodies[0], (body) => MirrorMapAnswer.decode(body, 0, body.length)) : null);
    });
  }

  clearMap(identity: string, ranges: readonly number[], done: Done): void {
    this.call(identity, IOCTL.MIRROR_CLEAR, MirrorClearRequest.encode({ ranges: [...ranges] }), ({ status }) => done(status));
  }

  /**
   * Reads checksums of a range of one replica, one checksum for each piece. `sums` is null if the status is not OK or the answer is
   * malformed.
   */
  readSums(
    identity: string,
    { beginBytes, endBytes }: { readonly beginBytes: number; readonly endBytes: number },
    pieceBytes: number,
    done: (answer: { readonly status: number; readonly sentence: string; readonly sums: Buffer | null }) => void,
  ): void {
    const [lba, sectors, pieceSectors] = [beginBytes, endBytes - beginBytes, pieceBytes].map((bytes) => bytes / SECTOR_BYTES) as [
      number,
      number,
      number,
    ];
    this.call(identity, IOCTL.MIRROR_SUMS, MirrorSumsRequest.encode({ lba, sectors, pieceSectors }), ({ status, sentence, bodies }) => {
      const sums = status === STATUS.OK ? decoded(bodies[0], (body) => MirrorSumsAnswer.decode(body, 0, body.length).sums) : null;
      done({ status, sentence, sums });
    });
  }

  private call(identity: string, aux: number, body: Buffer, answered: (answer: SessionAnswer) => void): void {
    const replica = this.io.replicaOf(identity);
    if (replica === null) {
      this.clock.soon(() => answered({ status: STATUS.OUTCOME_UNKNOWN, bodies: [], sentence: 'No session' }));
      return;
    }
    callSession(replica.trunk, { op: OP.IOCTL, attachment: replica.attachment, aux, body }, (answer) => {
      answered(replica.isAnswering ? answer : { ...answer, status: STATUS.OUTCOME_UNKNOWN });
    });
  }
}

function decoded<T>(body: Buffer | undefined, decode: (body: Buffer) => T): T | null {
  if (body === undefined) return null;
  try {
    return decode(body);
  } catch {
    return null;
  }
}
