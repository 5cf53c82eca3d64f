// A FrontendVolume in memory for the tests of frontends. The volume checks requests as a real volume must, and completes each of them in a
// callback that the test schedules. Assertions detect errors of a frontend: changing a request that the volume is executing, submitting a
// request twice, and writing to a receive buffer outside of its part. A frontend that uses a receive buffer too long sends wrong data.

import { assert } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import {
  type Change,
  type Extent,
  type FrontendVolume,
  type OlderSnapshot,
  RECEIVED_ROOM_BYTES,
  type VolumeIo,
} from '../../../volumes/frontend-volume.ts';

/** The byte that fills all memory that contains no valid data. */
const SCRIBBLE = 0xdb;

export interface MemoryVolumeOptions {
  readonly namespace?: string;
  readonly name?: string;
  readonly universe?: number;
  readonly sizeBytes?: number;
  readonly blockSizeBytes?: number;
  readonly readonly?: boolean;
  readonly canDiscard?: boolean;
  readonly olderSnapshots?: readonly OlderSnapshot[];
  /** Calls `fire` later; setImmediate by default. */
  readonly schedule?: (fire: () => void) => void;
}

export class MemoryVolume implements FrontendVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared = false;
  readonly canDiscard: boolean;
  isHalted = false;
  readonly olderSnapshots: readonly OlderSnapshot[];
  readonly id = 'id';
  readonly incarnation = 'boot.0';
  readonly content: Buffer;
  /** Operations in order of arrival, with their flags. */
  readonly seen: string[] = [];
  underWay = 0;
  /** If `fail` is not OK, all further requests complete with the status `fail` instead of being executed. */
  fail: Status = STATUS.OK;
  private readonly schedule: (fire: () => void) => void;
  private readonly allocated: Uint8Array;
  private readonly mine = new Set<VolumeIo>();
  /** Number of reads. Every second read is completed as if its data were in the receive buffer of a path. */
  private reads = 0;

  constructor(options: MemoryVolumeOptions = {}) {
    this.namespace = options.namespace ?? 'osl';
    this.name = options.name ?? 'oracle';
    this.universe = options.universe ?? 0;
    this.sizeBytes = options.sizeBytes ?? 1024 * 1024;
    this.blockSizeBytes = options.blockSizeBytes ?? 512;
    this.readonly = options.readonly ?? false;
    this.canDiscard = options.canDiscard ?? true;
    this.olderSnapshots = options.olderSnapshots ?? [];
    this.schedule = options.schedule ?? setImmediate;
    this.content = Buffer.alloc(this.sizeBytes);
    this.allocated = new Uint8Array(this.sizeBytes / this.blockSizeBytes);
  }

  submit(io: VolumeIo): void {
    assert(!this.mine.has(io), 'A request was submitted while it was under way');
    this.mine.add(io);
    this.underWay++;
    this.seen.push(`${io.op} ${io.positionBytes}+${io.lengthBytes}${io.fua ? ' fua' : ''}${io.mustKeepAllocated ? ' keep' : ''}`);
    const { op, positionBytes, lengthBytes, buffer } = io;
    this.schedule(() => {
      const touched = op !== io.op || positionBytes !== io.positionBytes || lengthBytes !== io.lengthBytes || buffer !== io.buffer;
      assert(!touched, 'A request was touched while it was under way');
      const status = this.fail === STATUS.OK ? this.execute(io) : this.fail;
      this.mine.delete(io);
      this.underWay--;
      if (op === 'read' && status === STATUS.OK && io.takesReceived === true && this.reads++ % 2 === 0) this.handOver(io);
      else io.done(status);
    });
  }

  /** Completes a read as if all its data were in the receive buffer of a path. The memory is overwritten after `done`. */
  private handOver(io: VolumeIo): void {
    const { buffer, bufferOffset, lengthBytes } = io;
    const memory = Buffer.alloc(1 + RECEIVED_ROOM_BYTES + lengthBytes + 1, SCRIBBLE);
    io.received = memory;
    io.receivedOffset = 1 + RECEIVED_ROOM_BYTES;
    buffer.copy(memory, io.receivedOffset, bufferOffset, bufferOffset + lengthBytes);
    buffer.fill(SCRIBBLE, bufferOffset, bufferOffset + lengthBytes);
    io.done(STATUS.OK);
    assert(memory[0] === SCRIBBLE && memory.at(-1) === SCRIBBLE, 'A frontend has written outside of its part of a receive buffer');
    memory.fill(SCRIBBLE);
  }

  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void {
    this.seen.push(`extents ${positionBytes}+${lengthBytes}`);
    const isWhole = positionBytes % this.blockSizeBytes === 0 && lengthBytes % this.blockSizeBytes === 0 && lengthBytes > 0;
    assert(isWhole, `Extents of ${positionBytes}+${lengthBytes}: a frontend asks for whole blocks`);
    this.schedule(() => {
      if (this.fail !== STATUS.OK) return done(this.fail, []);
      if (positionBytes + lengthBytes > this.sizeBytes) return done(STATUS.PAST_END, []);
      const extents: Extent[] = [];
      for (let at = positionBytes; at < positionBytes + lengthBytes; at += this.blockSizeBytes) {
        extents.push({ lengthBytes: this.blockSizeBytes, isHole: this.allocated[at / this.blockSizeBytes] === 0 });
      }
      done(STATUS.OK, extents);
    });
  }

  /** Reports for every snapshot `since` that the blocks with odd numbers have changed. */
  changes(since: string, positionBytes: number, lengthBytes: number, done: (status: Status, changes: readonly Change[]) => void): void {
    this.seen.push(`changes since ${since} ${positionBytes}+${lengthBytes}`);
    this.schedule(() => {
      if (this.fail !== STATUS.OK) return done(this.fail, []);
      const changes: Change[] = [];
      for (let at = positionBytes; at < positionBytes + lengthBytes; at += this.blockSizeBytes)
        changes.push({ lengthBytes: this.blockSizeBytes, isChanged: (at / this.blockSizeBytes) % 2 === 1 });
      done(STATUS.OK, changes);
    });
  }

  private execute(io: VolumeIo): Status {
    const { op, positionBytes, lengthBytes, buffer, bufferOffset } = io;
    if (op === 'flush') return STATUS.OK;
    if (op !== 'read' && this.readonly) return STATUS.READ_ONLY;
    const end = positionBytes + lengthBytes;
    if (end > this.sizeBytes) return STATUS.PAST_END;
    const isCut = positionBytes % this.blockSizeBytes !== 0 || lengthBytes % this.blockSizeBytes !== 0;
    if (isCut && io.anyRange !== true) return STATUS.MISALIGNED;
    switch (op) {
      case 'read':
        this.content.copy(buffer, bufferOffset, positionBytes, end);
        break;
      case 'write':
        if (io.expected) {
          assert(lengthBytes === this.blockSizeBytes, 'A compared write has one block');
          io.differs = io.expected.compare(this.content, positionBytes, end, 0, lengthBytes) !== 0;
          if (io.differs) return STATUS.OK;
        }
        buffer.copy(this.content, positionBytes, bufferOffset, bufferOffset + lengthBytes);
        break;
      case 'discard':
      case 'zero':
        this.content.fill(0, positionBytes, end);
        break;
    }
    if (op !== 'read') {
      const isAllocated = op === 'write' || io.mustKeepAllocated ? 1 : 0;
      this.allocated.fill(isAllocated, Math.floor(positionBytes / this.blockSizeBytes), Math.ceil(end / this.blockSizeBytes));
    }
    return STATUS.OK;
  }
}
