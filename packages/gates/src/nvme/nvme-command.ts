// One command of an NVMe host while it is executed. The volume sees the object as a VolumeIo. A connection re-uses its command objects, and
// each object creates its callbacks only once. Invariant: the fields of VolumeIo do not change from `submit` until `done`.

import type { Status } from '@rsio/protocol/wire/status';
import type { DataBuffer } from '@rsio/rsiod/frontends/streams/data-buffers';
import type { LargeReply } from '@rsio/rsiod/frontends/streams/reply-output';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import type { Change, Hold } from '../order/block-order.ts';
import type { Reservations } from '../reservations/reservations.ts';
import { ADMIN, type Code, FABRICS, FUSE, IO, SGL, SQE_BYTES } from './wire/constants.ts';

const NO_BUFFER = Buffer.alloc(0);
const NOTHING = (): void => undefined;
const DIRECTIONS = ['none', 'in', 'out', 'both'] as const;

export interface NvmeCommandEvents {
  completed(command: NvmeCommand, status: Status): void;
  /** The reply was sent, or can no longer be sent. */
  largeLeft(command: NvmeCommand): void;
}

/**
 * `receiving`: its data arrives. `waiting`: it waits for memory. `executing`: a controller or a volume is executing it. `answered`: its
 * answer is being sent.
 */
export type CommandPhase = 'idle' | 'receiving' | 'waiting' | 'executing' | 'answered';

export class NvmeCommand implements VolumeIo, LargeReply, Change {
  // The fields of VolumeIo, which the volume sees.
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NO_BUFFER;
  bufferOffset = 0;
  readonly takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  expected: Buffer | null = null;
  differs = false;

  /** The command as the host has sent it. */
  readonly sqe = Buffer.alloc(SQE_BYTES);
  cid = 0;
  opcode = 0;
  nsid = 0;
  phase: CommandPhase = 'idle';
  /** Number of the command object in its connection, which is the tag of its data. */
  readonly tag: number;
  /** Bytes of data according to the command's descriptor, either in the capsule or requested by R2T; 0 if it has no data. */
  dataBytes = 0;
  isInCapsule = false;
  /** Bytes of the data that have arrived. */
  arrivedBytes = 0;
  /** Bytes that it has taken from the budget. */
  budgetBytes = 0;
  /** Time (monotonic ms) at which a volume got the command; null if no volume has it. */
  begunMs: number | null = null;
  /** The reservations that have admitted it to its volume, or that execute it. */
  reservations: Reservations | null = null;
  /** Time (monotonic ms) since which reservations execute it; null if they do not. */
  reservingMs: number | null = null;
  /** Number of commands for which the object has been used. */
  uses = 0;
  /** True if the host already has the answer while a volume is still executing the command. */
  isLate = false;
  /** The other command of a fused pair; null if it has not arrived, or if the pair has been separated. */
  partner: NvmeCommand | null = null;
  /** The code with which the command is answered instead of being executed. */
  failure: Code | null = null;
  /** Step of a command with several requests, such as the deallocation of ranges. */
  step = 0;
  /** The answer to a command whose data is sent as a large reply. */
  reply: Buffer = NO_BUFFER;
  held: DataBuffer | null = null;
  /** Set while it waits for a proof of its path (rule D1). */
  heldBy: Hold | null = null;
  /** Tries a held command again. */
  goesOn: () => void = NOTHING;
  /** The step in which its data was asked for. */
  askedStep = 0;
  readonly sent: () => void;
  private readonly events: NvmeCommandEvents;

  constructor(owner: NvmeCommandEvents, tag: number) {
    this.events = owner;
    this.tag = tag;
    this.sent = () => owner.largeLeft(this);
  }

  goOn(): void {
    this.goesOn();
  }

  done(status: Status): void {
    this.events.completed(this, status);
  }

  /** Copies a submission queue entry from `bytes`, starting at `at`. */
  take(bytes: Buffer, at: number): void {
    const { sqe } = this;
    bytes.copy(sqe, 0, at, at + SQE_BYTES);
    this.opcode = sqe[0]!;
    this.cid = sqe.readUInt16LE(2);
    this.nsid = sqe.readUInt32LE(4);
    this.uses++;
    this.askedStep = 0;
    this.dataBytes = 0;
    this.arrivedBytes = 0;
    this.budgetBytes = 0;
    this.begunMs = null;
    this.reservations = null;
    this.reservingMs = null;
    this.isLate = false;
    this.expected = null;
    this.partner = null;
    this.failure = null;
    this.step = 0;
  }

  /** True until the command is answered and no volume has it. */
  get isUnderWay(): boolean {
    return this.phase !== 'idle' && this.phase !== 'answered';
  }

  /**
   * True if the host needs an answer before the volume completes the command. A fused pair is answered when it has ended: its repetition
   * would miscompare.
   */
  isOverdue(nowMs: number, patienceMs: number): boolean {
    return (
      this.fuse === FUSE.NO && this.begunMs !== null && !this.isLate && this.phase === 'executing' && nowMs - this.begunMs > patienceMs
    );
  }

  /** Returns a 32-bit word of the command: `dword(10)` is CDW10. */
  dword(number: number): number {
    return this.sqe.readUInt32LE(4 * number);
  }

  get sglType(): number {
    return this.sqe[SGL.TYPE_AT]!;
  }

  get sglBytes(): number {
    return this.sqe.readUInt32LE(SGL.LENGTH_AT);
  }

  /** True if the descriptor describes exactly `dataBytes` bytes at the beginning of the capsule's data. */
  isInCapsuleData(dataBytes: number): boolean {
    const { sqe } = this;
    const hasOffset = sqe.readUInt32LE(SGL.OFFSET_AT) !== 0 || sqe.readUInt32LE(SGL.OFFSET_AT + 4) !== 0;
    return this.sglType === SGL.IN_CAPSULE && this.sglBytes === dataBytes && !hasOffset;
  }

  get fuse(): number {
    return this.sqe[1]! & 0x3;
  }

  /** The type of a Fabrics command. */
  get fabricsType(): number {
    return this.sqe[4]!;
  }

  get isConnect(): boolean {
    return this.opcode === ADMIN.FABRICS && this.fabricsType === FABRICS.CONNECT;
  }

  /** True for a command that carries a message of an authentication. */
  get isAuth(): boolean {
    const { opcode, fabricsType } = this;
    return opcode === ADMIN.FABRICS && (fabricsType === FABRICS.AUTH_SEND || fabricsType === FABRICS.AUTH_RECEIVE);
  }

  /** `in`: from the host; `out`: to the host. The lowest two bits of the opcode encode the direction. */
  get direction(): 'none' | 'in' | 'out' | 'both' {
    const bits = (this.opcode === ADMIN.FABRICS ? this.fabricsType : this.opcode) & 3;
    return DIRECTIONS[bits]!;
  }

  /**
   * Returns the bytes of the buffer that the command needs on the queue `qid`. The buffer of Compare has the host's data and then the
   * volume's.
   */
  memoryBytes(qid: number): number {
    if (qid === 0) return this.dataBytes;
    if (this.opcode === IO.VERIFY) return this.lengthBytes;
    return this.opcode === IO.COMPARE ? 2 * this.dataBytes : this.dataBytes;
  }

  /** After the read of a Compare: true if the data in the volume equals the host's data. */
  isEqual(): boolean {
    const { buffer, received, lengthBytes } = this;
    const [read, at] = received === null ? [buffer, this.bufferOffset] : [received, this.receivedOffset];
    return buffer.compare(read, at, at + lengthBytes, 0, lengthBytes) === 0;
  }

  hold(held: DataBuffer): void {
    this.held = held;
    this.buffer = held.data;
  }

  /** Releases the data buffer and returns it, or null if the command has no buffer. */
  releaseBuffer(): DataBuffer | null {
    const { held } = this;
    this.held = null;
    this.buffer = NO_BUFFER;
    this.received = null;
    this.reply = NO_BUFFER;
    return held;
  }
}
