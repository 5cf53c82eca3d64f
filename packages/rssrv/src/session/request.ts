// Validates an I/O request from a client, starts its execution on the backend, and encodes its answer.
// The session decides which paths get the answer. Rules: S7, O2.

import { assert } from '@rsio/base/lib/assert';
import type { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { InFlight } from '@rsio/base/structures/in-flight';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import { type Header, sectorsOf } from '@rsio/protocol/wire/header';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { PoolLooks } from '../farm/looks.ts';
import type { Backend } from '../storage/io/backend.ts';
import type { VolumeCounters } from '../volumes/statistics/volume-counters.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { ThrottledHandle, VolumeThrottle } from '../volumes/throttle/volume-throttle.ts';
import type { GatedHandle, VolumeGate } from '../snapshots/change-gates.ts';
import type { ServerPath } from './server-path.ts';

const EMPTY = Buffer.alloc(0);

/** A volume that a session has opened. */
export interface OpenVolume extends GatedHandle, ThrottledHandle {
  readonly handle: number;
  readonly volume: ServedVolume;
  readonly backend: Backend;
  readonly readonly: boolean;
  /** True if every write must be durable before its answer, because several clients may be writing. */
  readonly isWriteThrough: boolean;
  /** Epoch of the grant that opened the handle. A revocation names an epoch and covers all grants up to that epoch. */
  readonly epoch: number;
  readonly incarnation: string;
  sizeBytes: number;
  /** True if the handle is being closed or has been revoked. A closing handle starts no new request. */
  isClosing: boolean;
  /** True while the free space of a pool of the volume is below the pool's reserve. Changes that need new space then wait. */
  isShort: boolean;
  /** Set for a volume of a shared pool: the looks at the owner of the pool (F8). */
  readonly looks: PoolLooks | null;
  /**
   * True if every answer needs a look of its own, because several clients may have the volume, or because a take-over does not wait for this
   * client.
   */
  readonly isLooked: boolean;
  /** True if this server no longer owns the pool of the volume. */
  isLost: boolean;
  /** One function for each request that waits for a look. The function ends the request. */
  readonly looking: Set<() => void>;
  gate: VolumeGate | null;
  throttle: VolumeThrottle | null;
  changing: number;
  /** True if anything has been written since the last sync began, or may have been written before the handle was opened. */
  hasUnsynced: boolean;
  /** Number of MIRROR_SUMS requests in progress. */
  sumsUnderWay: number;
  readonly inFlight: InFlight;
  readonly counters: VolumeCounters;
}

/** The flags that the protocol defines for each op. A request with a flag that is not in this table comes from a newer client. */
const FLAGS_KNOWN: Readonly<Record<number, number>> = {
  [OP.READ]: 0,
  [OP.WRITE]: FLAG.FUA,
  [OP.FLUSH]: 0,
  [OP.DISCARD]: FLAG.WIDE | FLAG.FUA,
  [OP.ZERO]: FLAG.WIDE | FLAG.FUA | FLAG.NO_HOLE,
};

/** Validates the range, alignment, rights and flags of an I/O request. Positions and sizes are in sectors of 512 bytes. */
export function validate(open: OpenVolume | undefined, op: number, flags: number, lba: number, count: number): Status {
  if (open === undefined || open.isClosing) return STATUS.STALE;
  if ((flags & ~(FLAGS_KNOWN[op] ?? 0)) !== 0) return STATUS.BAD_REQUEST;
  if (op === OP.FLUSH) return lba === 0 && count === 0 ? STATUS.OK : STATUS.BAD_REQUEST;
  if (count === 0) return STATUS.BAD_REQUEST;
  if ((op === OP.READ || op === OP.WRITE) && count > IO_MAX_SECTORS) return STATUS.BAD_REQUEST;
  if (op !== OP.READ && open.readonly) return STATUS.READ_ONLY;
  const sectors = sectorsOf(op, flags, count);
  const blockSectors = open.volume.blockSizeBytes / SECTOR_BYTES;
  if (lba % blockSectors !== 0 || sectors % blockSectors !== 0) return STATUS.MISALIGNED;
  if ((lba + sectors) * SECTOR_BYTES > open.sizeBytes) return STATUS.PAST_END;
  return open.throttle?.isStopped === true ? STATUS.STOPPED : STATUS.OK;
}

/**
 * Starts a validated request: a FLUSH, DISCARD or ZERO, or a WRITE that `tryWrite` did not execute. `body` belongs to the backend until
 * `done` is called.
 */
export function execute(open: OpenVolume, header: Header, body: Buffer, done: (status: Status) => void): void {
  const { backend } = open;
  assert(open.inFlight.count > 0, 'A change runs without being counted');
  const positionBytes = header.lba * SECTOR_BYTES;
  const lengthBytes = sectorsOf(header.op, header.flags, header.count) * SECTOR_BYTES;
  const fua = isFua(open, header.flags);
  switch (header.op) {
    case OP.FLUSH:
      backend.flush(done);
      return;
    case OP.WRITE:
      backend.write(body, 0, lengthBytes, positionBytes, fua, done);
      return;
    case OP.DISCARD:
      backend.discard(positionBytes, lengthBytes, fua ? (status) => flushAfter(backend, status, done) : done);
      return;
    default:
      backend.zero(positionBytes, lengthBytes, (header.flags & FLAG.NO_HOLE) !== 0, fua, done);
  }
}

/**
 * Starts a validated READ into `buffer`, which belongs to the backend until `done` is called. If the answer needs a look, the data may be
 * read at once, because only the answer waits. A READ on a lost handle is not executed at once, because its answer needs no look, and
 * `done` would end the request within this call.
 */
export function startRead(open: OpenVolume, header: Header, buffer: Buffer, lengthBytes: number, done: (status: Status) => void): void {
  const positionBytes = header.lba * SECTOR_BYTES;
  assert(open.inFlight.count > 0, 'A READ runs without being counted');
  const isRead = open.isLooked && !open.isLost && open.backend.tryRead(buffer, 0, lengthBytes, positionBytes) === STATUS.OK;
  if (isRead) done(STATUS.OK);
  else open.backend.read(buffer, 0, lengthBytes, positionBytes, done);
}

/** Returns the range for which a change may need space that its volume does not have yet. Returns null if the change needs no new space. */
export function neededSpace({ op, flags, lba, count }: Header): { positionBytes: number; lengthBytes: number } | null {
  if (op !== OP.WRITE && (op !== OP.ZERO || (flags & FLAG.NO_HOLE) === 0)) return null;
  return { positionBytes: lba * SECTOR_BYTES, lengthBytes: sectorsOf(op, flags, count) * SECTOR_BYTES };
}

/** Returns true if the request ends with a sync of the whole volume, and therefore never waits for space. */
export function isSync(op: number, fua: boolean): boolean {
  return op === OP.FLUSH || (fua && op !== OP.WRITE);
}

/** Returns true if the request must be durable before it is answered. */
export function isFua(open: OpenVolume, flags: number): boolean {
  return (flags & FLAG.FUA) !== 0 || open.isWriteThrough;
}

function flushAfter(backend: Backend, status: Status, done: (status: Status) => void): void {
  if (status === STATUS.OK) backend.flush(done);
  else done(status);
}

/**
 * Returns true if a request that was tried on the event loop must be executed where it can wait. It may wait for the storage, for space in
 * its pool or, after a failure in a shared pool, for a look at the owner.
 */
export function mustWait(open: OpenVolume, status: Status): boolean {
  return status === STATUS.NO_SPACE ? open.volume.pool !== undefined : status !== STATUS.OK && open.looks !== null;
}

/** Copies the body of a request into a buffer of the pool, because `body` is valid only during the call. */
export function copiedBody(bodies: Pick<BufferPool, 'take'>, body: Buffer, offset: number, lengthBytes: number): Buffer {
  if (lengthBytes === 0) return EMPTY;
  const buffer = bodies.take(lengthBytes);
  body.copy(buffer, 0, offset, offset + lengthBytes);
  return buffer;
}

export function answerIo(path: ServerPath, header: Header, status: number): void {
  path.connection.encoder.io(header.op | ANSWER, 0, status, header.slot, header.seq, header.lba, header.count);
}

export function answerRead(path: ServerPath, header: Header, status: Status, body: Buffer, lengthBytes: number): void {
  if (status !== STATUS.OK) {
    answerIo(path, header, status);
    return;
  }
  const { encoder } = path.connection;
  const at = encoder.beginIo(lengthBytes);
  body.copy(encoder.buffer, at, 0, lengthBytes);
  encoder.endIo(OP.READ | ANSWER, 0, status, header.slot, header.seq, header.lba, header.count, lengthBytes);
}

export function answerMessage(path: ServerPath, header: Header, status: number, bodies: readonly Buffer[], aux: number): void {
  const { encoder } = path.connection;
  const last = bodies.length - 1;
  for (let index = 0; index < last; index++) {
    encoder.message(header.op | ANSWER, FLAG.MORE, status, header.slot, header.seq, aux, bodies[index]!);
  }
  encoder.message(header.op | ANSWER, 0, status, header.slot, header.seq, aux, bodies[last] ?? EMPTY);
  path.flushSoon();
}
