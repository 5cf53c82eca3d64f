// Answers the frames of one AoE gate: discovery, ATA commands, config strings, mask lists, reservations. It has no sockets. Rule D1. A gate
// is for reading unless it permits writes: AoE has no connections, and a host repeats a frame under another tag, so that a late first frame
// could revert an acknowledged block. Invariants: a frame that is not for this gate, or that is not allowed, gets no answer and costs no
// memory; only a command that names one volume changes anything; a write is executed only if the gate permits writes, and at most
// AOE_WRITE_AGE_MS after the kernel received it; an answer is given only for what a volume has completed.

import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Status } from '@rsio/protocol/wire/status';
import {
  AOE_CHANGE_MS,
  AOE_COMMANDS_MAX,
  AOE_FRAME_MAX_BYTES,
  AOE_QUERIES_MAX,
  AOE_QUERIES_MS,
  AOE_VOLUME_COMMANDS_MAX,
  AOE_WRITE_AGE_MS,
} from '../limits.ts';
import { configWish, maskWish, reserveWish, type AoeTarget, type Wish } from './aoe-target.ts';
import { ataErrorOf, planAta } from './ata.ts';
import { writeIdentity } from './identify.ts';
import {
  ATA_BYTES,
  ATA_ERROR,
  ATA_STATUS,
  BROADCAST_MAC,
  COMMAND,
  CONFIG,
  CONFIG_BYTES,
  DIRECTIVE_BYTES,
  ETHER_TYPE,
  EVERY_SHELF,
  EVERY_SLOT,
  FAULT,
  FLAG,
  HEADER_BYTES,
  MAC_BYTES,
  MASK_BYTES,
  MASK_FAULT,
  RESERVE_BYTES,
  SECTOR_BYTES,
  VERSION,
  isGroup,
  macAt,
  sectorsIn,
  type AtaError,
  type Fault,
  writeAnswer,
} from './wire.ts';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';

// One ATA command that a volume is executing. A gate pools the objects. Invariant: the memory of a command belongs to its volume from
// `submit` until `done`, and the header of the request stays until the answer has been written.
class AoeCommand implements VolumeIo {
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  readonly buffer = Buffer.allocUnsafeSlow(AOE_FRAME_MAX_BYTES - ATA_BYTES);
  readonly bufferOffset = 0;
  readonly takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  readonly anyRange = true;
  readonly mustKeepAllocated = false;
  readonly header = Buffer.allocUnsafeSlow(ATA_BYTES);
  target: AoeTarget | null = null;
  private readonly ended: (command: AoeCommand, status: Status) => void;

  constructor(ended: (command: AoeCommand, status: Status) => void) {
    this.ended = ended;
  }

  done(status: Status): void {
    this.ended(this, status);
  }
}

/** Where answers are written. */
export interface FrameOutput {
  /** Returns the place in `bytes` for a frame of this length; -1 if there is no room, and the frame is dropped. */
  place(lengthBytes: number): number;
  readonly bytes: Buffer;
}

/** The network card of the gate. */
export interface Card {
  readonly mac: number;
  readonly mtu: number;
}

export interface EngineOptions {
  readonly shelf: number;
  readonly version: string;
  readonly clock: Clock;
  readonly output: FrameOutput;
  /** Returns true if this process has stood still (rule D1); everything that was unread has then been thrown away. */
  readonly stoodStill: () => boolean;
  readonly warn: (sentence: string) => void;
}

export class AoeEngine {
  readonly targets = new Map<number, AoeTarget>();
  readonly counts = { commands: 0, answers: 0, late: 0, dropped: 0 };
  /** Null: all hosts get answers. */
  hosts: ReadonlySet<number> | null = new Set();
  hasUnsafeWrites = false;
  card: Card | null = null;
  /** Called when no volume is executing a command any more. */
  whenIdle: (() => void) | null = null;
  private readonly options: EngineOptions;
  private readonly idle: AoeCommand[] = [];
  private running = 0;
  private isChanging = false;
  private changedMs = Number.NEGATIVE_INFINITY;
  private queries = 0;
  private queriesMs = Number.NEGATIVE_INFINITY;

  constructor(options: EngineOptions) {
    this.options = options;
  }

  /** Commands that volumes are executing. */
  get inVolumes(): number {
    return this.running;
  }

  /** Executes a frame that begins with its Ethernet header. `receivedUs`: when the kernel received it (microseconds since 1970). */
  receive(bytes: Buffer, start: number, end: number, receivedUs: number): void {
    const { card, hosts } = this;
    if (card === null || end - start < HEADER_BYTES || bytes.readUInt16BE(start + 12) !== ETHER_TYPE) return;
    const flags = bytes.readUInt8(start + 14);
    const [to, from] = [macAt(bytes, start), macAt(bytes, start + MAC_BYTES)];
    const isForAll = isGroup(to);
    if ((flags & FLAG.RESPONSE) !== 0 || (to !== card.mac && !isForAll) || isGroup(from) || from === card.mac) return;
    if (hosts !== null && !hosts.has(from)) return;
    const shelf = bytes.readUInt16BE(start + 16);
    const slot = bytes.readUInt8(start + 18);
    if (shelf !== this.options.shelf && shelf !== EVERY_SHELF) return;
    if (shelf === EVERY_SHELF || slot === EVERY_SLOT) return this.query(bytes, start, end, slot, from);
    const target = this.targets.get(slot);
    if (target === undefined || target.isMasked(from)) return;
    const command = bytes.readUInt8(start + 19);
    if (isForAll && command !== COMMAND.CONFIG) return;
    this.counts.commands++;
    if (flags >> 4 !== VERSION) return this.refuse(target, bytes, start, FAULT.VERSION);
    if (command === COMMAND.ATA) return this.ata(target, bytes, start, end, from, receivedUs);
    this.note(target, bytes, start, end, { command, from, isAlone: !isForAll });
  }

  /** Tells all hosts that a volume is here, or has another size. */
  announce(target: AoeTarget): void {
    const request = Buffer.alloc(CONFIG_BYTES);
    request.writeUIntBE(BROADCAST_MAC, MAC_BYTES, MAC_BYTES);
    request[19] = COMMAND.CONFIG;
    if (this.card !== null && target.notes.masks.length === 0 && this.hosts === null) this.answerConfig(target, request);
  }

  /** Answers a query to several volumes. The query changes nothing, and its answers are bounded, because the sender may be forged. */
  private query(bytes: Buffer, start: number, end: number, slot: number, from: number): void {
    const command = bytes.readUInt8(start + 19);
    if (command !== COMMAND.CONFIG || bytes.readUInt8(start + 14) >> 4 !== VERSION) return;
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs - this.queriesMs >= AOE_QUERIES_MS) {
      this.queriesMs = nowMs;
      this.queries = 0;
    }
    if (this.queries >= AOE_QUERIES_MAX) return void this.counts.dropped++;
    this.queries++;
    this.counts.commands++;
    for (const target of this.targets.values())
      if ((slot === EVERY_SLOT || slot === target.slot) && !target.isMasked(from))
        this.note(target, bytes, start, end, { command, from, isAlone: false });
  }

  private ata(target: AoeTarget, bytes: Buffer, start: number, end: number, from: number, receivedUs: number): void {
    if (end - start < ATA_BYTES) return this.refuse(target, bytes, start, FAULT.ARGUMENT);
    if (target.isReservedByOthers(from)) return this.refuse(target, bytes, start, FAULT.RESERVED);
    if (this.running >= AOE_COMMANDS_MAX || target.inVolume >= AOE_VOLUME_COMMANDS_MAX) return void this.counts.dropped++;
    const command = this.idle.pop() ?? new AoeCommand((done, status) => this.ended(done, status));
    bytes.copy(command.header, 0, start, start + ATA_BYTES);
    const plan = planAta(command, bytes, start, end, this.sectorsMax);
    const isWrite = plan === 'submit' && command.op === 'write';
    if (plan === 'argument') this.refuse(target, bytes, start, FAULT.ARGUMENT);
    else if (plan === 'identify') this.identify(target, command);
    else if (plan === 'abort' || (isWrite && !this.mayWrite(target))) this.answerAta(target, command, ATA_ERROR.ABORTED);
    else if (plan === 'range') this.answerAta(target, command, ATA_ERROR.NOT_FOUND);
    // If hosts of this gate may not write to the volume, there is nothing to flush.
    else if (command.op === 'flush' && !this.mayWrite(target)) this.answerAta(target, command, ATA_ERROR.NONE);
    else if (isWrite && !this.isYoung(receivedUs)) this.counts.late++;
    else {
      if (isWrite) bytes.copy(command.buffer, 0, start + ATA_BYTES, start + ATA_BYTES + command.lengthBytes);
      return this.submit(target, command, from);
    }
    this.idle.push(command);
  }

  private submit(target: AoeTarget, command: AoeCommand, from: number): void {
    target.used(from, this.options.clock.monotonicMs());
    // Hosts of AoE send no flushes, so that each answered write must be on the disk.
    command.fua = command.op === 'write';
    command.received = null;
    command.target = target;
    target.inVolume++;
    this.running++;
    target.volume.submit(command);
  }

  private ended(command: AoeCommand, status: Status): void {
    const { target, op } = command;
    const error = ataErrorOf(status, op);
    command.target = null;
    this.running--;
    if (target !== null) {
      target.inVolume--;
      if (error !== null && !target.isGone) this.answerAta(target, command, error);
    }
    this.idle.push(command);
    if (this.running === 0) this.whenIdle?.();
  }

  private mayWrite({ volume }: AoeTarget): boolean {
    return this.hasUnsafeWrites && !volume.readonly;
  }

  /** A frame from the future is not young, either: the clock has been set. */
  private isYoung(receivedUs: number): boolean {
    return !this.options.stoodStill() && Math.abs(this.options.clock.wallMs() - receivedUs / 1000) <= AOE_WRITE_AGE_MS;
  }

  private get sectorsMax(): number {
    return this.card === null ? 0 : sectorsIn(this.card.mtu);
  }

  private identify(target: AoeTarget, command: AoeCommand): void {
    command.lengthBytes = SECTOR_BYTES;
    command.received = null;
    writeIdentity(command.buffer, 0, target.volume, this.options.version);
    this.answerAta(target, command, ATA_ERROR.NONE);
  }

  private answerAta(target: AoeTarget, command: AoeCommand, error: AtaError): void {
    const { output } = this.options;
    const dataBytes = command.op === 'read' && error === ATA_ERROR.NONE ? command.lengthBytes : 0;
    const at = this.begin(target, command.header, ATA_BYTES + dataBytes, 0);
    if (at < 0) return;
    command.header.copy(output.bytes, at + HEADER_BYTES, HEADER_BYTES, ATA_BYTES);
    output.bytes[at + 25] = error;
    output.bytes[at + 26] = 0;
    output.bytes[at + 27] = error === ATA_ERROR.NONE ? ATA_STATUS.READY : ATA_STATUS.FAILED;
    const { received, receivedOffset, buffer } = command;
    if (dataBytes > 0)
      (received ?? buffer).copy(
        output.bytes,
        at + ATA_BYTES,
        received === null ? 0 : receivedOffset,
        (received === null ? 0 : receivedOffset) + dataBytes,
      );
  }

  /** Executes a command that reads or changes the notes that hosts store with a volume. */
  private note(
    target: AoeTarget,
    bytes: Buffer,
    start: number,
    end: number,
    { command, from, isAlone }: { readonly command: number; readonly from: number; readonly isAlone: boolean },
  ): void {
    const { notes } = target;
    let wish: Wish = { fault: FAULT.COMMAND };
    if (command === COMMAND.CONFIG) wish = configWish(notes, bytes, start, end, isAlone);
    else if (command === COMMAND.MASK) wish = maskWish(notes, bytes, start, end);
    else if (command === COMMAND.RESERVE) wish = reserveWish(notes, from, bytes, start, end);
    if (wish === null) return;
    if ('fault' in wish) return this.refuse(target, bytes, start, wish.fault);
    if (wish.notes === notes) return this.answerNote(target, bytes.subarray(start, end), wish.maskFault);
    if (command !== COMMAND.RESERVE && target.isReservedByOthers(from)) return this.refuse(target, bytes, start, FAULT.RESERVED);
    this.change(target, Buffer.from(bytes.subarray(start, Math.min(end, start + CONFIG_BYTES))), wish);
  }

  /** Makes one change at a time. A host that gets no answer sends its command again. */
  private change(
    target: AoeTarget,
    request: Buffer,
    { notes, maskFault }: { readonly notes: AoeTarget['notes']; readonly maskFault: number },
  ): void {
    const nowMs = this.options.clock.monotonicMs();
    if (this.isChanging || nowMs - this.changedMs < AOE_CHANGE_MS || this.options.stoodStill()) return void this.counts.dropped++;
    this.isChanging = true;
    target
      .change(notes)
      .then(
        () => (target.isGone ? undefined : this.answerNote(target, request, maskFault)),
        (thrown: unknown) => {
          this.options.warn(`a change by a host was not stored: ${toRsError(thrown).message}`);
          if (!target.isGone) this.refuse(target, request, 0, FAULT.UNAVAILABLE);
        },
      )
      .finally(() => {
        this.isChanging = false;
        this.changedMs = this.options.clock.monotonicMs();
      });
  }

  private answerNote(target: AoeTarget, request: Buffer, maskFault: number): void {
    const command = request.readUInt8(19);
    if (command === COMMAND.CONFIG) this.answerConfig(target, request);
    else if (command === COMMAND.MASK) this.answerMask(target, request, maskFault);
    else this.answerReserve(target, request);
  }

  private answerConfig(target: AoeTarget, request: Buffer): void {
    const { config } = target.notes;
    const at = this.begin(target, request, CONFIG_BYTES + config.length, 0);
    if (at < 0) return;
    const { bytes } = this.options.output;
    bytes.writeUInt16BE(AOE_VOLUME_COMMANDS_MAX, at + 24);
    bytes.writeUInt16BE(0, at + 26);
    bytes[at + 28] = this.sectorsMax;
    bytes[at + 29] = (VERSION << 4) | (request.readUInt8(29) & 0x0f || CONFIG.READ);
    bytes.writeUInt16BE(config.length, at + 30);
    config.copy(bytes, at + CONFIG_BYTES);
  }

  private answerMask(target: AoeTarget, request: Buffer, fault: number): void {
    const { masks } = target.notes;
    const at = this.begin(target, request, MASK_BYTES + masks.length * DIRECTIVE_BYTES, 0);
    if (at < 0) return;
    const { bytes } = this.options.output;
    bytes[at + 24] = 0;
    bytes[at + 25] = request.readUInt8(25);
    bytes[at + 26] = fault === MASK_FAULT.NONE ? MASK_FAULT.NONE : fault;
    bytes[at + 27] = masks.length;
    for (const [index, mac] of masks.entries()) {
      bytes.writeUInt16BE(0, at + MASK_BYTES + index * DIRECTIVE_BYTES);
      bytes.writeUIntBE(mac, at + MASK_BYTES + index * DIRECTIVE_BYTES + 2, MAC_BYTES);
    }
  }

  private answerReserve(target: AoeTarget, request: Buffer): void {
    const { reserved } = target.notes;
    const at = this.begin(target, request, RESERVE_BYTES + reserved.length * MAC_BYTES, 0);
    if (at < 0) return;
    const { bytes } = this.options.output;
    bytes[at + 24] = request.readUInt8(24);
    bytes[at + 25] = reserved.length;
    for (const [index, mac] of reserved.entries()) bytes.writeUIntBE(mac, at + RESERVE_BYTES + index * MAC_BYTES, MAC_BYTES);
  }

  private refuse(target: AoeTarget, bytes: Buffer, start: number, fault: Fault): void {
    this.begin(target, bytes.subarray(start, start + HEADER_BYTES), HEADER_BYTES, fault);
  }

  /** Writes the header of an answer, and returns where it is in the output; -1 if there is no room. */
  private begin({ slot }: AoeTarget, request: Buffer, lengthBytes: number, fault: Fault | 0): number {
    const { output, shelf } = this.options;
    const at = this.card === null || lengthBytes - 14 > this.card.mtu ? -1 : output.place(lengthBytes);
    if (at < 0 || this.card === null) {
      this.counts.dropped++;
      return -1;
    }
    writeAnswer(output.bytes, at, request, { from: this.card.mac, shelf, slot, fault });
    this.counts.answers++;
    return at;
  }
}
