// Passes the kernel's requests for one raw device to the volume, and answers them. Sans-I/O: the owner of the descriptor passes in the
// bytes that it has read. The volume checks the requests; the session checks only what is particular to files: reads and writes across the
// end of the file, permissions and holes. Invariants: each request that needs an answer gets exactly one, even after `stop`. A buffer is
// given back only once, and never while the volume uses the buffer. A request that changes data is answered only after the volume has
// completed the request. The only exception is `stop`: after `stop`, the volume must abandon the requests that it has not completed.

import { AssertionError, counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import {
  FUSE_BACKGROUND_MAX,
  FUSE_BYTES_OUT_MAX,
  FUSE_COPY_MAX_BYTES,
  FUSE_DATA_MAX_BYTES,
  FUSE_INTERRUPT_MS,
  FUSE_REQUESTS_OUT_MAX,
  FUSE_SEEK_BYTES,
} from '../limits.ts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { Extent, FrontendVolume } from '../../volumes/frontend-volume.ts';
import { DATA_OFFSET, type FuseBuffers } from './fuse-buffers.ts';
import {
  FuseHeader,
  agree,
  isInterruptOf,
  readFallocate,
  readHeader,
  readInit,
  readOffset,
  readOpenFlags,
  readSetAttr,
  readSize,
  readWhence,
  readWriteFlags,
  writeAttrReply,
  writeInitReply,
  writeOpenReply,
  writeReplyHeader,
  writeSeekReply,
  writeStatfsReply,
  writeWriteReply,
} from './fuse-codec.ts';
import {
  ATTR_REPLY_BYTES,
  ERRNO,
  FALLOCATE,
  MAJOR,
  MINOR_MIN,
  MODE_PERMISSIONS,
  MODE_REGULAR,
  OPCODE,
  OPEN_FLAG,
  O_ACCMODE,
  O_DSYNC,
  REPLY_HEADER_BYTES,
  SEEK,
  SET,
} from './fuse-constants.ts';
import { FuseRequest } from './fuse-request.ts';

/** Through this interface, the session sends replies and stops or resumes the reading of requests. */
export interface FusePort {
  /** Sends one complete reply; the caller may re-use `bytes` when `reply` returns. */
  reply(bytes: Buffer, start: number, end: number): void;
  pause(): void;
  resume(): void;
}

/**
 * Properties of the raw device's file that this process has reported to the kernel. The next process that serves the file must report the
 * same properties.
 */
export interface FuseFile {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly madeMs: number;
  /** True if the kernel can resend requests that have been read but not answered. */
  readonly canResend: boolean;
}

export interface FuseSessionOptions {
  readonly volume: FrontendVolume;
  readonly port: FusePort;
  readonly buffers: FuseBuffers;
  readonly clock: Clock;
  /** The file's properties as reported by the previous process; null if the device is new. */
  readonly file?: FuseFile | null;
  readonly fileChanged?: () => void;
  /**
   * Called when the kernel's first request, INIT, has been answered. `refusal` is the reason why rsiod cannot serve a device of this
   * kernel; null if it can.
   */
  readonly agreed?: (refusal: string | null) => void;
  /** Called when a request cannot be decoded or has caused an exception. */
  readonly broken: (reason: string) => void;
}

const VOLUME_OPCODES: ReadonlySet<number> = new Set([OPCODE.READ, OPCODE.WRITE, OPCODE.FSYNC, OPCODE.FALLOCATE, OPCODE.LSEEK]);

export class FuseSession {
  private readonly options: FuseSessionOptions;
  private readonly volume: FrontendVolume;
  private readonly active = new Set<FuseRequest>();
  private readonly idle: FuseRequest[] = [];
  private readonly header = new FuseHeader();
  private readonly small = Buffer.alloc(ATTR_REPLY_BYTES);
  private current: FuseFile;
  private handles = 0;
  private bytesOut = 0;
  private isPaused = false;
  private isStopped = false;

  constructor(options: FuseSessionOptions) {
    this.options = options;
    this.volume = options.volume;
    const madeMs = options.clock.wallMs();
    this.current = options.file ?? { mode: MODE_REGULAR | 0o600, uid: 0, gid: 0, madeMs, canResend: false };
  }

  get file(): FuseFile {
    return this.current;
  }

  get underWay(): number {
    return this.active.size;
  }

  /** Takes one request in a large buffer. Returns true if the session keeps the buffer; the caller must then use a new one. */
  receive(bytes: Buffer, lengthBytes: number): boolean {
    const { header } = this;
    const verdict = readHeader(bytes, lengthBytes, header);
    if (verdict === 'good') {
      try {
        return this.take(bytes, header);
      } catch (thrown) {
        this.mistaken(thrown);
        if (needsReply(header.opcode)) this.fail(header, ERRNO.EIO);
        // The volume may still be using the buffer, so the caller must not re-use the buffer.
        return true;
      }
    }
    this.options.broken(`a request of ${lengthBytes} bytes, opcode ${verdict === 'bad' ? '?' : header.opcode}, is none`);
    if (verdict === 'short' && needsReply(header.opcode)) this.fail(header, ERRNO.EIO);
    return false;
  }

  /** Answers all unanswered requests, and each later request that needs the volume, with EIO. */
  stop(): void {
    this.isStopped = true;
    for (const request of this.active) this.abandon(request, ERRNO.EIO);
    if (this.isPaused) this.resume();
  }

  private take(bytes: Buffer, header: FuseHeader): boolean {
    if (this.isStopped && VOLUME_OPCODES.has(header.opcode)) {
      this.fail(header, ERRNO.EIO);
      return false;
    }
    switch (header.opcode) {
      case OPCODE.READ:
        this.read(bytes, header);
        return false;
      case OPCODE.WRITE:
        return this.write(bytes, header);
      case OPCODE.FSYNC:
        this.submit(this.begin(header), 'flush', 0, 0);
        return false;
      case OPCODE.FALLOCATE:
        this.fallocate(bytes, header);
        return false;
      case OPCODE.LSEEK:
        this.lseek(bytes, header);
        return false;
      case OPCODE.INTERRUPT:
        this.interrupt(bytes);
        return false;
      default:
        this.answerAtOnce(bytes, header);
        return false;
    }
  }

  private answerAtOnce(bytes: Buffer, header: FuseHeader): void {
    switch (header.opcode) {
      case OPCODE.INIT:
        this.init(bytes, header);
        break;
      case OPCODE.GETATTR:
        this.answerAttr(header);
        break;
      case OPCODE.SETATTR:
        this.setAttr(bytes, header);
        break;
      case OPCODE.OPEN:
        this.open(bytes, header);
        break;
      case OPCODE.STATFS:
        this.answer(writeStatfsReply(this.small, header, this.volume.sizeBytes, this.volume.blockSizeBytes));
        break;
      // rsiod caches no data of the file, so there is nothing to write when the file is closed.
      case OPCODE.FLUSH:
      case OPCODE.RELEASE:
      case OPCODE.DESTROY:
        this.fail(header, ERRNO.OK);
        break;
      case OPCODE.FORGET:
      case OPCODE.BATCH_FORGET:
        break;
      default:
        this.fail(header, ERRNO.ENOSYS);
    }
  }

  private init(bytes: Buffer, header: FuseHeader): void {
    const offer = readInit(bytes);
    const agreed = agree(offer);
    if (agreed === null) {
      this.fail(header, ERRNO.EIO);
      this.options.agreed?.(
        `the kernel speaks FUSE ${offer.major}.${offer.minor}, and ${MAJOR}.${MINOR_MIN} (Linux 4.20) or newer is needed: use device = nbd-socket`,
      );
      return;
    }
    const end = writeInitReply(this.small, header, {
      ...agreed,
      maxReadaheadBytes: Math.min(offer.maxReadaheadBytes, FUSE_DATA_MAX_BYTES),
      backgroundMax: FUSE_BACKGROUND_MAX,
      writeMaxBytes: FUSE_DATA_MAX_BYTES,
      pagesMax: FUSE_DATA_MAX_BYTES / 4096,
    });
    this.answer(end);
    this.change({ canResend: offer.canResend });
    this.options.agreed?.(null);
  }

  private change(fields: Partial<FuseFile>): void {
    this.current = { ...this.current, ...fields };
    this.options.fileChanged?.();
  }

  private open(bytes: Buffer, header: FuseHeader): void {
    const writes = (readOpenFlags(bytes) & O_ACCMODE) !== 0;
    if (this.isStopped) this.fail(header, ERRNO.EIO);
    else if (writes && this.volume.readonly) this.fail(header, ERRNO.EROFS);
    // Direct I/O keeps the volume's data out of the page cache. Cached data would be stale after another client has written to a shared
    // volume.
    else
      this.answer(
        writeOpenReply(this.small, header, ++this.handles, OPEN_FLAG.DIRECT_IO | OPEN_FLAG.PARALLEL_DIRECT_WRITES | OPEN_FLAG.NOFLUSH),
      );
  }

  /**
   * A program cannot change the size of the file: O_TRUNC has no effect, and any size other than the current one is refused. A change of
   * owner or mode is kept until the device is removed.
   */
  private setAttr(bytes: Buffer, header: FuseHeader): void {
    const { valid, sizeBytes, mode, uid, gid } = readSetAttr(bytes);
    if ((valid & SET.SIZE) !== 0) {
      const isOpening = sizeBytes === 0 && (valid & SET.FH) === 0;
      if (!isOpening && sizeBytes !== this.volume.sizeBytes) {
        this.fail(header, ERRNO.EINVAL);
        return;
      }
    }
    // A change of owner or mode is recorded before the kernel gets the answer, because the program may rely on the change afterwards.
    this.change({
      ...((valid & SET.MODE) === 0 ? {} : { mode: MODE_REGULAR | (mode & MODE_PERMISSIONS) }),
      ...((valid & SET.UID) === 0 ? {} : { uid }),
      ...((valid & SET.GID) === 0 ? {} : { gid }),
    });
    this.answerAttr(header);
  }

  private answerAttr(header: FuseHeader): void {
    const { sizeBytes, blockSizeBytes } = this.volume;
    const { mode, uid, gid, madeMs } = this.current;
    this.answer(writeAttrReply(this.small, header, { sizeBytes, blockSizeBytes, timeMs: madeMs, mode, uid, gid }));
  }

  /** A read that crosses the end of the volume returns less data than requested, as with a regular file. */
  private read(bytes: Buffer, header: FuseHeader): void {
    const position = readOffset(bytes);
    const requestedBytes = readSize(bytes);
    const length = Math.min(requestedBytes, this.volume.sizeBytes - position);
    if (requestedBytes > FUSE_DATA_MAX_BYTES) this.fail(header, ERRNO.EINVAL);
    else if (length <= 0) this.fail(header, ERRNO.OK);
    else {
      const request = this.begin(header);
      request.buffer = this.options.buffers.take(length);
      this.submit(request, 'read', position, length);
    }
  }

  /** As on a block device, a write that crosses the end of the volume is shortened, and a write past the end fails. */
  private write(bytes: Buffer, header: FuseHeader): boolean {
    const { buffers } = this.options;
    const position = readOffset(bytes);
    const requestedBytes = readSize(bytes);
    const length = Math.max(0, Math.min(requestedBytes, this.volume.sizeBytes - position));
    if (requestedBytes > FUSE_DATA_MAX_BYTES) {
      this.fail(header, ERRNO.EINVAL);
      return false;
    }
    if (length === 0 && requestedBytes > 0) {
      this.fail(header, this.volume.readonly ? ERRNO.EROFS : ERRNO.ENOSPC);
      return false;
    }
    const request = this.begin(header);
    const isKept = length > FUSE_COPY_MAX_BYTES;
    request.buffer = isKept ? bytes : buffers.take(length);
    if (!isKept) bytes.copy(request.buffer, DATA_OFFSET, DATA_OFFSET, DATA_OFFSET + length);
    request.fua = (readWriteFlags(bytes) & O_DSYNC) !== 0;
    this.submit(request, 'write', position, length);
    return isKept;
  }

  /** A hole must read as zeros, so the session sends a ZERO that may deallocate the range, not a DISCARD. */
  private fallocate(bytes: Buffer, header: FuseHeader): void {
    const { lengthBytes, mode } = readFallocate(bytes);
    const isHole = mode === (FALLOCATE.PUNCH_HOLE | FALLOCATE.KEEP_SIZE);
    const isZero = (mode & ~FALLOCATE.KEEP_SIZE) === FALLOCATE.ZERO_RANGE;
    if ((!isHole && !isZero) || (isHole && !this.volume.canDiscard)) {
      this.fail(header, ERRNO.EOPNOTSUPP);
      return;
    }
    const request = this.begin(header);
    request.mustKeepAllocated = isZero;
    this.submit(request, 'zero', readOffset(bytes), lengthBytes);
  }

  private lseek(bytes: Buffer, header: FuseHeader): void {
    const whence = readWhence(bytes);
    const position = readOffset(bytes);
    if (whence !== SEEK.DATA && whence !== SEEK.HOLE) this.fail(header, ERRNO.EINVAL);
    else if (position >= this.volume.sizeBytes) this.fail(header, ERRNO.ENXIO);
    else {
      const request = this.begin(header);
      request.seeks = whence === SEEK.DATA ? 'data' : 'hole';
      seek(this.volume, position, request.seeks, (sought) => this.sought(request, sought));
      this.active.add(request);
    }
  }

  private sought(request: FuseRequest, sought: Sought): void {
    if (request.isAnswered || sought.status !== STATUS.OK) this.finish(request, fuseErrno(sought.status));
    else if (sought.positionBytes === null) this.finish(request, ERRNO.ENXIO);
    else {
      this.answer(writeSeekReply(this.small, request.header, sought.positionBytes));
      request.isAnswered = true;
      this.finish(request, ERRNO.OK);
    }
  }

  /**
   * Called when the program that made a request has been interrupted. After FUSE_INTERRUPT_MS, a request that does not modify the volume is
   * answered with EINTR, so that the program can exit. No other request is answered early, because a late write could overwrite newer data.
   */
  private interrupt(bytes: Buffer): void {
    for (const request of this.active) {
      if (!isInterruptOf(bytes, request.header)) continue;
      if (request.isQuery) request.interrupted ??= this.options.clock.after(FUSE_INTERRUPT_MS, () => this.abandon(request, ERRNO.EINTR));
      return;
    }
  }

  private begin({ lengthBytes, opcode, uniqueHigh, uniqueLow }: FuseHeader): FuseRequest {
    const request = this.idle.pop() ?? new FuseRequest((one, status) => this.completed(one, status));
    Object.assign(request.header, { lengthBytes, opcode, uniqueHigh, uniqueLow } satisfies Partial<FuseHeader>);
    return request;
  }

  private submit(request: FuseRequest, op: FuseRequest['op'], positionBytes: number, lengthBytes: number): void {
    request.op = op;
    request.positionBytes = positionBytes;
    request.lengthBytes = lengthBytes;
    // The request is counted only after `submit`, because the volume never completes a request for which `submit` has thrown.
    this.volume.submit(request);
    this.active.add(request);
    this.bytesOut += request.buffer.length;
    const isFull = this.active.size >= FUSE_REQUESTS_OUT_MAX || this.bytesOut >= FUSE_BYTES_OUT_MAX;
    if (isFull && !this.isPaused) {
      this.isPaused = true;
      this.options.port.pause();
    }
  }

  private completed(request: FuseRequest, status: Status): void {
    let errno = fuseErrno(status);
    try {
      if (status === STATUS.OK && !request.isAnswered) this.answerDone(request);
    } catch (thrown) {
      this.mistaken(thrown);
      errno = ERRNO.EIO;
    }
    this.finish(request, errno);
  }

  /** An exception fails only the request that caused it. A failed assertion ends the process, as everywhere in rsiod. */
  private mistaken(thrown: unknown): void {
    if (thrown instanceof AssertionError) throw thrown;
    this.options.broken(
      `an error of rsiod itself, please report it: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
    );
  }

  private answerDone(request: FuseRequest): void {
    const { header, op, lengthBytes, buffer, received, receivedOffset } = request;
    if (op === 'write') this.answer(writeWriteReply(this.small, header, lengthBytes));
    else if (op === 'read') {
      // The header of the reply is written in front of the data, even if the data is in a path's receive buffer, because `reply` does not
      // keep the buffer.
      const bytes = received ?? buffer;
      const dataAt = received === null ? DATA_OFFSET : receivedOffset;
      writeReplyHeader(bytes, dataAt - REPLY_HEADER_BYTES, header, ERRNO.OK, lengthBytes);
      this.options.port.reply(bytes, dataAt - REPLY_HEADER_BYTES, dataAt + lengthBytes);
    } else this.fail(header, ERRNO.OK);
    request.isAnswered = true;
  }

  private finish(request: FuseRequest, errno: number): void {
    if (!request.isAnswered) this.fail(request.header, errno);
    this.active.delete(request);
    this.bytesOut = counted(this.bytesOut - request.buffer.length, 'bytes in the volume');
    const buffer = request.clear();
    if (buffer !== null) this.options.buffers.giveBack(buffer);
    this.idle.push(request);
    if (this.isPaused && (this.active.size < FUSE_REQUESTS_OUT_MAX / 2 || this.isStopped) && this.bytesOut < FUSE_BYTES_OUT_MAX)
      this.resume();
  }

  private abandon(request: FuseRequest, errno: number): void {
    if (request.isAnswered) return;
    request.isAnswered = true;
    this.fail(request.header, errno);
  }

  private resume(): void {
    this.isPaused = false;
    this.options.port.resume();
  }

  private fail(to: FuseHeader, errno: number): void {
    this.answer(writeReplyHeader(this.small, 0, to, errno, 0));
  }

  private answer(end: number): void {
    this.options.port.reply(this.small, 0, end);
  }
}

function needsReply(opcode: number): boolean {
  return opcode !== OPCODE.FORGET && opcode !== OPCODE.BATCH_FORGET && opcode !== OPCODE.INTERRUPT;
}

// Maps the status of a completed I/O request to an error number. Programs get this number from read(2), write(2) or fsync(2) on a raw
// device. An error number carries no message, so the messages are in the events and in the log.
/** Statuses that are not listed here become EIO, as do unknown statuses of newer servers. */
function fuseErrno(status: Status): number {
  switch (status) {
    case STATUS.OK:
      return ERRNO.OK;
    case STATUS.PAST_END:
    case STATUS.NO_SPACE:
      return ERRNO.ENOSPC;
    case STATUS.MISALIGNED:
    case STATUS.BAD_REQUEST:
      return ERRNO.EINVAL;
    case STATUS.READ_ONLY:
      return ERRNO.EROFS;
    case STATUS.NO_RIGHTS:
      return ERRNO.EPERM;
    case STATUS.UNSUPPORTED:
      return ERRNO.EOPNOTSUPP;
    case STATUS.OUT_OF_MEMORY:
      return ERRNO.ENOMEM;
    default:
      return ERRNO.EIO;
  }
}

// Finds the next data or the next hole in a volume for lseek(2), by requesting the volume's extents piece by piece. Invariant: everything
// that is not known to be a hole counts as data, so that a program that skips holes never leaves data out of a copy.
interface Sought {
  readonly status: Status;
  /** The position of the data or the hole; null if the volume has no data at or after the start position. */
  readonly positionBytes: number | null;
}

/** `fromBytes` must be within the volume. A hole is always found, because the end of the volume counts as a hole. */
function seek(volume: FrontendVolume, fromBytes: number, what: 'data' | 'hole', done: (sought: Sought) => void): void {
  const endBytes = volume.sizeBytes;
  const request = (at: number): void => {
    volume.extents(at, Math.min(FUSE_SEEK_BYTES, endBytes - at), (status, extents) => {
      if (status === STATUS.UNSUPPORTED) return done({ status: STATUS.OK, positionBytes: what === 'data' ? fromBytes : endBytes });
      if (status !== STATUS.OK) return done({ status, positionBytes: null });
      const { found, behind } = lookIn(extents, at, what);
      if (found !== null) return done({ status, positionBytes: Math.max(fromBytes, found) });
      // An answer without extents ends the search, because the same extents would otherwise be requested forever.
      if (behind === at || behind >= endBytes) return done({ status, positionBytes: what === 'data' ? null : endBytes });
      request(behind);
    });
  };
  request(fromBytes - (fromBytes % volume.blockSizeBytes));
}

function lookIn(extents: readonly Extent[], fromBytes: number, what: 'data' | 'hole'): { found: number | null; behind: number } {
  let at = fromBytes;
  for (const { lengthBytes, isHole } of extents) {
    if (isHole === (what === 'hole')) return { found: at, behind: at };
    at += lengthBytes;
  }
  return { found: null, behind: at };
}
