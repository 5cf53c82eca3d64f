// An attached volume, as its frontends use it. The volume splits I/O into segments for its target and combines the answers. Only this file
// checks range, alignment and rights; path-stall.ts decides how long I/O waits without a path. Invariants: Every `submit` leads to exactly
// one `done`, which is never called from within `submit`. Abandoned I/O is not sent again, and its buffers are no longer used. Rules: E1.

import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { assert, counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { AttachmentEvents } from '@rsio/protocol/client/attachment';
import { Request, type RequestEvents, segmentBytes } from '@rsio/protocol/client/requests/request';
import { RecordCalls } from '@rsio/protocol/client/record-calls';
import type { VolumeTarget } from '@rsio/protocol/client/volume-target';
import { WIDE_COUNT_MAX } from '@rsio/protocol/link/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { WIDE_UNIT_SECTORS } from '@rsio/protocol/wire/limits';
import { CHANGE, ChangesRequest, EXTENT, ExtentsAnswer, ExtentsRequest, IOCTL, type OpenAnswer } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { BusyPoll } from './busy-poll.ts';
import { PartialBlocks } from './partial-blocks.ts';
import type { Audience, Change, FrontendVolume, Extent, OlderSnapshot, VolumeIo } from './frontend-volume.ts';
import { COUNT_MAX } from './limits.ts';
import { RangeEntry } from './range-lock.ts';
import { StallWatch, type StallEvent } from './path-stall.ts';
import { StorageFailures, type StorageErrorEvent } from './storage-failures.ts';
import { StorageStallWatch, type StorageStallEvent } from './storage-stall.ts';
import { VolumeCounters } from './volume-counters.ts';

export type VolumeEvent = StallEvent | StorageStallEvent | StorageErrorEvent;

class Gathering extends RangeEntry {
  io: VolumeIo | null = null;
  /** True from the call of `enter` to the call of `leave` of `byteRanges` for this I/O. */
  hasEntered = false;
  left = 0;
  status = 0;
  startedMs = 0;
}

/** A part of a range. `state` is a value of EXTENT or of CHANGE. */
interface RangeState {
  readonly lengthBytes: number;
  readonly state: number;
}

class Segment extends Request {
  gathering: Gathering | null = null;
}

const NOTHING = Buffer.alloc(0);

export class Volume implements FrontendVolume, RequestEvents, AttachmentEvents {
  readonly namespace: string;
  readonly namespaceid: number;
  readonly counters: VolumeCounters;
  readonly target: VolumeTarget;
  readonly stall: StallWatch;
  readonly storageStall: StorageStallWatch;
  readonly storageErrors: StorageFailures;
  outstanding = 0;
  /** Notified of each I/O that begins or ends; null if polling is disabled. */
  busyPoll: BusyPoll | null = null;
  /** Called when the incarnation has changed; null if no frontend notes incarnations. */
  renewed: (() => void) | null = null;
  private notedLife = '';
  /** See FrontendVolume. Set before any frontend shows the volume. */
  olderSnapshots: readonly OlderSnapshot[] = [];
  /** See FrontendVolume. */
  shownTo: Audience | undefined = undefined;
  readonly record: Required<FrontendVolume>['record'];
  /** Time (monotonic ms) since which I/O is outstanding and none has completed; null if no I/O is outstanding. */
  waitingSinceMs: number | null = null;
  private readonly clock: Clock;
  private readonly sourceText: (() => string) | null;
  private readonly freeSegments: Segment[] = [];
  private readonly freeGatherings: Gathering[] = [];
  private whenIdle: (() => void)[] = [];
  private readonly byteRanges: PartialBlocks;
  private refusesUsers = false;

  /** `notify` is called when I/O begins to wait or resumes, when the stall policy abandons I/O, and when the storage stalls or fails. */
  constructor(
    namespace: Pick<ClientNamespaceConfig, 'name' | 'namespaceid'>,
    target: VolumeTarget,
    clock: Clock,
    policy: StallPolicy,
    notify: (volume: Volume, event: VolumeEvent) => void,
    sourceText: (() => string) | null,
  ) {
    ({ name: this.namespace, namespaceid: this.namespaceid } = namespace);
    this.target = target;
    [this.clock, this.sourceText] = [clock, sourceText];
    this.counters = new VolumeCounters();
    const records = new RecordCalls(clock, (...all) => this.target.ioctl(...all));
    this.record = { read: () => records.read(this.id), write: (record) => records.write(record) };
    this.stall = new StallWatch(policy, { clock, abandon: () => this.abandon(), report: (event) => notify(this, event) });
    this.storageStall = new StorageStallWatch({
      clock,
      look: () => ({ isReady: this.stall.isReady, waitingSinceMs: this.waitingSinceMs }),
      report: (event) => notify(this, event),
    });
    this.storageErrors = new StorageFailures(clock, (event) => notify(this, event));
    this.byteRanges = new PartialBlocks({
      submit: (piece) => this.gather(piece, STATUS.OK, false),
      go: (entry) => this.go(entry),
      done: (io, status) => this.byteRangeDone(io, status),
      soon: (fire) => clock.soon(fire),
    });
    target.events = this;
    this.standingChanged();
  }

  get name(): string {
    return this.target.name;
  }

  /** Readable description of the volume's server, or of the servers of a mirror. */
  get serverText(): string {
    return this.sourceText?.() ?? 'its server';
  }

  get universe(): number {
    return this.target.universe;
  }

  get sizeBytes(): number {
    return this.opened.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.opened.blockSizeBytes;
  }

  get readonly(): boolean {
    return this.opened.readonly;
  }

  get shared(): boolean {
    return this.opened.shared;
  }

  get isHalted(): boolean {
    return this.target.standing === 'halted';
  }

  /** The mode that the client has requested; the field `readonly` has the mode that the server has granted. */
  get wantsReadonly(): boolean {
    return this.target.readonly;
  }

  /** Bytes that have been acknowledged but not yet flushed successfully. */
  get unflushedBytes(): number {
    const { log } = this.target;
    return log === null ? 0 : log.dataBytes + log.rangeBytes;
  }

  get canDiscard(): boolean {
    return this.opened.canDiscard;
  }

  get id(): string {
    return this.opened.id;
  }

  get incarnation(): string {
    return this.target.recoveredLife ?? '';
  }

  /** Refuses all new I/O of users until `admitUsers` is called. I/O in flight continues. */
  refuseUsers(): void {
    this.refusesUsers = true;
  }

  admitUsers(): void {
    this.refusesUsers = false;
  }

  submit(io: VolumeIo): void {
    const invalid = this.refusesUsers ? STATUS.SHUTTING_DOWN : this.validate(io);
    const isCut = io.anyRange === true && io.lengthBytes > 0 && this.isCut(io.positionBytes, io.lengthBytes);
    if (invalid === STATUS.OK && (isCut || (io.expected ?? null) !== null)) {
      this.begins(this.clock.monotonicMs());
      this.byteRanges.submit(io, this.blockSizeBytes);
    } else this.gather(io, invalid, true);
  }

  /** Flushes the volume, even while the I/O of users is refused. */
  flush(done: (status: Status) => void): void {
    const range = { positionBytes: 0, lengthBytes: 0, buffer: NOTHING, bufferOffset: 0 };
    this.gather({ op: 'flush', ...range, fua: false, mustKeepAllocated: false, done }, STATUS.OK, false);
  }

  /** If `enter` is true, a change waits for overlapping requests with partly covered blocks. */
  private gather(io: VolumeIo, invalid: Status, enter: boolean): void {
    const gathering = this.freeGatherings.pop() ?? new Gathering();
    gathering.io = io;
    gathering.left = 0;
    gathering.status = invalid;
    gathering.startedMs = this.clock.monotonicMs();
    gathering.hasEntered = false;
    this.begins(gathering.startedMs);
    if (invalid === STATUS.OK) {
      if (enter && io.op !== 'read' && io.op !== 'flush' && !this.enters(gathering, io)) return;
      this.cut(gathering, io);
    }
    // Invalid or empty I/O has no segments, and completes after the current event, because `done` must not be called within `submit`.
    if (gathering.left === 0) this.clock.soon(() => this.end(gathering));
  }

  private enters(gathering: Gathering, io: VolumeIo): boolean {
    gathering.hasEntered = true;
    gathering.beginBytes = io.positionBytes;
    gathering.endBytes = io.positionBytes + io.lengthBytes;
    return this.byteRanges.enter(gathering);
  }

  /** Sends a change that no longer has to wait for other changes. */
  private go(entry: RangeEntry): void {
    assert(entry instanceof Gathering && entry.io !== null, 'An entry of a byte range proceeds as a change');
    this.cut(entry, entry.io);
    if (entry.left === 0) this.clock.soon(() => this.end(entry));
  }

  private byteRangeDone(io: VolumeIo, status: Status): void {
    this.ended(this.clock.monotonicMs());
    io.done(status);
    this.notifyIdle();
  }

  extents(positionBytes: number, lengthBytes: number, done: (status: Status, extents: readonly Extent[]) => void): void {
    const toBody = (lba: number, sectors: number): Buffer => ExtentsRequest.encode({ lba, sectors });
    this.askStates(IOCTL.EXTENTS, toBody, positionBytes, lengthBytes, (status, states) =>
      done(
        status,
        states.map((one) => ({ lengthBytes: one.lengthBytes, isHole: one.state === EXTENT.HOLE })),
      ),
    );
  }

  changes(since: string, positionBytes: number, lengthBytes: number, done: (status: Status, changes: readonly Change[]) => void): void {
    const toBody = (lba: number, sectors: number): Buffer => ChangesRequest.encode({ since, lba, sectors });
    this.askStates(IOCTL.CHANGES, toBody, positionBytes, lengthBytes, (status, states) =>
      done(
        status,
        states.map((one) => ({ lengthBytes: one.lengthBytes, isChanged: one.state === CHANGE.CHANGED })),
      ),
    );
  }

  /** Asks the server for the states of the parts of a range. `toBody` encodes the body of the request. */
  private askStates(
    aux: number,
    toBody: (lba: number, sectors: number) => Buffer,
    positionBytes: number,
    lengthBytes: number,
    done: (status: Status, states: readonly RangeState[]) => void,
  ): void {
    this.begins(this.clock.monotonicMs());
    const invalid = this.refusesUsers ? STATUS.SHUTTING_DOWN : this.validateExtents(positionBytes, lengthBytes);
    if (invalid !== STATUS.OK) {
      this.clock.soon(() => this.endStates(invalid, [], done));
      return;
    }
    const body = toBody(positionBytes / SECTOR_BYTES, lengthBytes / SECTOR_BYTES);
    this.target.ioctl(aux, body, ({ status, bodies }) => {
      const [first] = bodies;
      if (status !== STATUS.OK) return this.endStates(status as Status, [], done);
      if (first === undefined) return this.endStates(STATUS.IO_ERROR, [], done);
      let states: RangeState[];
      try {
        states = statesOf(first, lengthBytes);
      } catch (thrown) {
        // The frontend gets its answer before the exception reaches the path, which handles the protocol error.
        this.endStates(STATUS.IO_ERROR, [], done);
        throw thrown;
      }
      this.endStates(STATUS.OK, states, done);
    });
  }

  standingChanged(): void {
    const { standing } = this.target;
    this.stall.standing(standing, this.outstanding > 0);
    const { incarnation } = this;
    if (incarnation !== this.notedLife) {
      this.notedLife = incarnation;
      this.renewed?.();
    }
    if (standing !== 'over') return;
    this.storageStall.stop();
    this.storageErrors.stop();
  }

  serverIsSlow(message: string): void {
    this.stall.serverIsSlow(message);
  }

  /** Answers all outstanding I/O with OUTCOME_UNKNOWN. Later I/O waits until the server can no longer execute the abandoned requests. */
  abandon(): void {
    for (const entry of this.byteRanges.abandon(STATUS.OUTCOME_UNKNOWN)) {
      assert(entry instanceof Gathering, 'An entry of a byte range is abandoned as a change');
      entry.hasEntered = false;
      entry.status = STATUS.OUTCOME_UNKNOWN;
      this.end(entry);
    }
    for (const request of this.target.abandon()) request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
  }

  /** Flushes the data in the replay log if the target can flush now. */
  flushLog(): void {
    this.target.flushLog(this.clock.monotonicMs());
  }

  /** Calls `idle` as soon as no I/O is outstanding, possibly before this method returns. */
  onIdle(idle: () => void): void {
    if (this.outstanding === 0) idle();
    else this.whenIdle.push(idle);
  }

  requestDone(request: Request, status: number): void {
    assert(request instanceof Segment && request.gathering !== null, 'A segment of no I/O was answered');
    const { gathering } = request;
    if (request.received !== null && gathering.io !== null) {
      gathering.io.received = request.received;
      gathering.io.receivedOffset = request.receivedOffset;
    }
    request.received = null;
    request.gathering = null;
    request.buffer = NOTHING;
    this.freeSegments.push(request);
    if (status !== STATUS.OK && gathering.status === STATUS.OK) gathering.status = status;
    gathering.left = counted(gathering.left - 1, 'parts of a request');
    if (gathering.left === 0) this.end(gathering);
  }

  private end(gathering: Gathering): void {
    const { io, status, startedMs } = gathering;
    assert(io !== null, 'An I/O ended twice');
    if (gathering.hasEntered) this.byteRanges.leave(gathering);
    gathering.io = null;
    this.freeGatherings.push(gathering);
    const nowMs = this.clock.monotonicMs();
    this.counters.ended(io, status, nowMs - startedMs, nowMs - (this.waitingSinceMs ?? nowMs));
    if (status !== STATUS.OK) this.failed(io, status);
    else if (this.storageErrors.isFailing) this.storageErrors.worked(io.op);
    this.ended(nowMs);
    io.done(status as Status);
    this.notifyIdle();
  }

  private endStates(status: Status, states: readonly RangeState[], done: (status: Status, states: readonly RangeState[]) => void): void {
    this.ended(this.clock.monotonicMs());
    done(status, states);
    this.notifyIdle();
  }

  /**
   * Reports a failed I/O to `storageErrors`. After the end of the attachment, a failure is not reported, because it says nothing about the
   * storage.
   */
  private failed({ op }: VolumeIo, status: number): void {
    if (this.target.standing !== 'over') this.storageErrors.failed(op, status);
  }

  private begins(nowMs: number): void {
    if (this.outstanding++ === 0) this.waitingSinceMs = nowMs;
    this.busyPoll?.touch(nowMs, this.outstanding);
    if (!this.stall.isReady) this.stall.submitted();
    if (this.storageStall.isAsleep) this.storageStall.wake();
  }

  private ended(nowMs: number): void {
    this.outstanding = counted(this.outstanding - 1, 'outstanding requests');
    this.busyPoll?.touch(nowMs, this.outstanding);
    this.waitingSinceMs = this.outstanding > 0 ? nowMs : null;
    if (this.outstanding === 0 && !this.stall.isReady) this.stall.idle();
  }

  private notifyIdle(): void {
    if (this.outstanding === 0 && this.whenIdle.length > 0) for (const idle of this.whenIdle.splice(0)) idle();
  }

  private validate(io: VolumeIo): Status {
    if (io.op === 'flush') return STATUS.OK;
    if (io.op !== 'read' && this.readonly) return STATUS.READ_ONLY;
    // On a shared volume, another client could write between the comparison and the write.
    if ((io.expected ?? null) !== null && (this.opened.shared || io.lengthBytes !== this.blockSizeBytes)) return STATUS.UNSUPPORTED;
    if (io.anyRange !== true) return this.validateRange(io.positionBytes, io.lengthBytes);
    // On a shared volume, refuse changes that cover a block only partly, because another client's write between this client's read and
    // write would be lost.
    const isWritten = io.op === 'write' || io.op === 'zero';
    if (isWritten && this.opened.shared && this.isCut(io.positionBytes, io.lengthBytes)) return STATUS.MISALIGNED;
    return io.positionBytes + io.lengthBytes > this.sizeBytes ? STATUS.PAST_END : STATUS.OK;
  }

  private validateExtents(positionBytes: number, lengthBytes: number): Status {
    return lengthBytes === 0 ? STATUS.BAD_REQUEST : this.validateRange(positionBytes, lengthBytes);
  }

  private validateRange(positionBytes: number, lengthBytes: number): Status {
    if (this.isCut(positionBytes, lengthBytes)) return STATUS.MISALIGNED;
    return positionBytes + lengthBytes > this.sizeBytes ? STATUS.PAST_END : STATUS.OK;
  }

  private isCut(positionBytes: number, lengthBytes: number): boolean {
    const block = this.blockSizeBytes;
    return positionBytes % block !== 0 || lengthBytes % block !== 0;
  }

  private cut(gathering: Gathering, io: VolumeIo): void {
    switch (io.op) {
      case 'flush':
        this.send(gathering, OP.FLUSH, 0, 0, 0, 0, 0);
        return;
      case 'read':
      case 'write':
        this.cutData(gathering, io);
        return;
      default:
        this.cutRange(gathering, io);
    }
  }

  private cutData(gathering: Gathering, io: VolumeIo): void {
    const op = io.op === 'read' ? OP.READ : OP.WRITE;
    const flags = io.op === 'write' && io.fua ? FLAG.FUA : 0;
    const most = segmentBytes(io.lengthBytes, this.target.pathCount);
    for (let done = 0; done < io.lengthBytes; done += most) {
      const bytes = Math.min(most, io.lengthBytes - done);
      this.send(gathering, op, flags, (io.positionBytes + done) / SECTOR_BYTES, bytes / SECTOR_BYTES, bytes, done);
    }
  }

  /** Splits a DISCARD or ZERO into requests for whole MiB and requests for the remaining sectors. */
  private cutRange(gathering: Gathering, io: VolumeIo): void {
    const op = io.op === 'discard' ? OP.DISCARD : OP.ZERO;
    const flags = (io.fua ? FLAG.FUA : 0) | (io.op === 'zero' && io.mustKeepAllocated ? FLAG.NO_HOLE : 0);
    const blockSectors = this.blockSizeBytes / SECTOR_BYTES;
    const countMax = COUNT_MAX - (COUNT_MAX % blockSectors);
    let lba = io.positionBytes / SECTOR_BYTES;
    let left = io.lengthBytes / SECTOR_BYTES;
    while (left > 0) {
      const wide = Math.min(Math.floor(left / WIDE_UNIT_SECTORS), WIDE_COUNT_MAX);
      const sectors = wide > 0 ? wide * WIDE_UNIT_SECTORS : Math.min(left, countMax);
      this.send(gathering, op, wide > 0 ? flags | FLAG.WIDE : flags, lba, wide > 0 ? wide : sectors, 0, 0);
      lba += sectors;
      left -= sectors;
    }
  }

  private send(gathering: Gathering, op: number, flags: number, lba: number, count: number, bodyBytes: number, at: number): void {
    const segment = this.freeSegments.pop() ?? new Segment();
    const { io } = gathering;
    assert(io !== null, 'A segment of no I/O');
    segment.gathering = gathering;
    segment.op = op;
    segment.flags = flags;
    segment.lba = lba;
    segment.count = count;
    segment.bodyBytes = bodyBytes;
    segment.buffer = bodyBytes > 0 ? io.buffer : NOTHING;
    segment.bufferOffset = io.bufferOffset + at;
    // The receive buffer of a path can be lent only if a single segment has all the data.
    segment.takesReceived = io.takesReceived === true && op === OP.READ && bodyBytes === io.lengthBytes;
    segment.events = this;
    gathering.left++;
    this.target.submit(segment, gathering.startedMs);
  }

  private get opened(): OpenAnswer {
    const { volume } = this.target;
    if (volume === null) assert(false, `Volume ${this.target.name} is shown before it was open`);
    return volume;
  }
}

/** Decodes the extents in an answer, and drops all extents beyond `askedBytes`. Throws E_PROTOCOL. */
function statesOf(body: Buffer, askedBytes: number): RangeState[] {
  const { extents } = ExtentsAnswer.decode(body, 0, body.length);
  const found: RangeState[] = [];
  let left = askedBytes;
  for (let index = 0; index + 1 < extents.length && left > 0; index += 2) {
    const lengthBytes = Math.min(extents[index]! * SECTOR_BYTES, left);
    found.push({ lengthBytes, state: extents[index + 1] ?? 0 });
    left -= lengthBytes;
  }
  return found;
}
