// The server's side of one session: its paths, slot table and open volumes. The module reaches transports, clock, backends and the listener
// only through ports. Invariants (the server's side of S1, S5, S7 and S9 in docs/PROTOCOL.md): a request is executed at most once, unless
// it is a READ, LIST or IOCTL. Every copy is answered on the path that delivered it. Once `end` has been called, no new request is started.
// Once `end` has resolved, no request is running. See docs/PROTOCOL.md, Limits.

// Design. Paths come and go while the session stays. The slot table of the session ensures that a request is executed at most once,
// whichever paths its copies arrive on. A path only decodes frames and holds READs back. The session decides how each request is handled.
//
//   server-path.ts   server-path.ts  ...    frames; READs are held back while answers pile up
//          \           /
//         slot-table.ts: receive
//          |-- executing: the path also gets the answer           |-- stale: dropped
//          |-- done: answered from the slot, or executed again    |-- violation: the path is closed
//          v new
//         I/O: checks handle, range and rights; answers an invalid request at once
//          |-- READ ----------- limit? --> on the loop, into the path's output     would wait, needs a look: startRead, into a buffer
//          |-- WRITE ---------- limit? --> on the loop, from the receive buffer    FUA, snapshot, full pool, would wait: a copy, as below
//          |-- DISCARD, ZERO -- limit? --> may wait for space, then for a snapshot's moment; then the backend
//          |-- FLUSH --------------------> the backend; it waits for no limit, space or snapshot
//          '-- messages -----------------> session-volumes.ts (LIST, OPEN, CLOSE, IOCTL), or the listener (ADMIN, VOTE)
//          |
//         answers: on every path that delivered a copy
//
//   serving --end--> nothing new begins, what waits ends with STALE --idle--> handles flushed and closed --> BYE on every path
//
// Rules of docs/PROTOCOL.md: S1, S5 (`fence` closes the dead path before FENCED is sent), S7, S9 (`end`), S11 (revokes.ts), step 1 of a
// take-over (H2, `revoke`), and the session's part of P1 (snapshots/change-gates.ts).
//
// Never done here:
// - No request is executed a second time, except for a late copy of a READ, LIST or IOCTL that ended with OK.
// - The session does not decide which client may have a volume, or when a hold ends: it asks the listener.
// - The session does not copy the data of a READ or WRITE that is executed on the event loop, and creates no promise for an I/O, except if
//   the answer needs a look (owner-looks.ts).
// - The session sends no answer on a path that delivered no copy, and executes no READ that a closed path still held back.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { assert } from '@rsio/base/lib/assert';
import type { Timer } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { Log } from '@rsio/base/log/log';
import type { ConnectionPools } from '@rsio/protocol/link/connection';
import { PATHS_PER_TRUNK_MAX, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import type { PathTransport } from '@rsio/protocol/link/path-transport';
import { SlotTable } from '@rsio/protocol/link/slot-table';
import { TlsStarts } from '@rsio/protocol/link/tls-starts';
import { ANSWER, frameEntry, frameName, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { SLOTS } from '@rsio/protocol/wire/limits';
import { FailureAnswer, IOCTL, type ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import { WOULD_WAIT } from '../storage/io/backend.ts';
import type { VolumeThrottle } from '../volumes/throttle/volume-throttle.ts';
import {
  answerIo,
  answerMessage,
  answerRead,
  copiedBody,
  execute,
  isFua,
  isSync,
  neededSpace,
  type OpenVolume,
  startRead,
  validate,
} from './request.ts';
import { heldRequest, type HeldRequestPorts } from '../volumes/throttle/held-requests.ts';
import { ReExecutions, type Run } from './re-executions.ts';
import { Revokes } from './revokes.ts';
import type { GrownVolume } from '../storage/io/served-volume.ts';
import { ANSWERS_UNREAD_MAX_BYTES, REREAD_MAX_BYTES } from './limits.ts';
import { type PathReportPorts, PathReports } from './path-reports.ts';
import { type Admission, relieve, ServerPath, type ServerPathEvents } from './server-path.ts';
import { type ListenerPorts, ListenerRequests } from './session-admin.ts';
import type { SessionFigures } from '../volumes/statistics/volume-counters.ts';
import { type Answered, SessionVolumes, type VolumePorts } from './session-volumes.ts';

export interface SessionPorts extends VolumePorts, ListenerPorts, PathReportPorts {
  readonly log: Log;
  readonly pools: ConnectionPools;
  /**
   * Release that WELCOME names, together with the server's time. If `version` is missing, WELCOME contains neither the release nor the
   * time, like the WELCOME of older servers.
   */
  readonly version?: string;
  /** Called when the session should end, because the client has sent BYE or the handle numbers are nearly used up. */
  clientEnds(sentence: string): void;
}

const EMPTY = Buffer.alloc(0);

export class Session implements ServerPathEvents {
  readonly id: Buffer;
  private readonly ports: SessionPorts;
  readonly volumes: SessionVolumes;
  private readonly toListener: ListenerRequests;
  private readonly slots: SlotTable;
  private readonly paths = new Map<number, ServerPath>();
  private readonly tlsStarts: TlsStarts;
  private readonly revokes: Revokes;
  private interfaces: readonly ServerInterface[];
  private listGeneration: number;
  private nextPath = 0;
  /**
   * READs and message requests that are being executed again for late copies. The slot table lists re-executed requests as done, but the
   * session waits for them before it ends.
   */
  private readonly reexecutedReads = new ReExecutions(SLOTS, REREAD_MAX_BYTES);
  private readonly reexecutedMessages = new ReExecutions(SLOTS, 0);
  /** True while READs wait because the client has too many unread answers. */
  private isFull = false;
  private isEnding = false;
  /** Monotonic time at which the current request was received, or at which the current held request is started. */
  private nowMs = 0;
  private ended: Promise<void> | null = null;
  private whenIdle: (() => void) | null = null;
  private ticker: Timer;
  private readonly pathReports: PathReports;
  private readonly holding: HeldRequestPorts;

  /** `slotCount` is the number of slots that WELCOME grants. */
  constructor(id: Buffer, interfaces: readonly ServerInterface[], generation: number, ports: SessionPorts, slotCount = SLOTS) {
    this.slots = new SlotTable(slotCount);
    this.id = id;
    this.interfaces = interfaces;
    this.listGeneration = generation;
    this.ports = ports;
    this.volumes = new SessionVolumes(ports);
    this.toListener = new ListenerRequests(ports);
    this.pathReports = new PathReports(ports, this.paths);
    this.holding = {
      clock: ports.clock,
      slots: this.slots,
      bodies: ports.pools.bodies,
      now: () => this.nowMs,
      begins: (nowMs) => void (this.nowMs = nowMs),
      answered: (header, status) => {
        this.answerAll(header, status);
        this.checkIdle();
      },
    };
    this.tlsStarts = new TlsStarts(ports.clock);
    this.revokes = new Revokes({ slots: this.slots, volumes: this.volumes, log: ports.log, pathOf: (number) => this.paths.get(number) });
    this.ticker = ports.clock.after(HEARTBEAT_INTERVAL_MS, () => this.tick());
  }

  /** Turns a proven connection into a path: closes the paths that the client considers dead, then sends WELCOME. */
  admit(transport: PathTransport, admission: Admission): void {
    for (const number of admission.dead) this.paths.get(number)?.connection.close('The client considers this path dead', true);
    const isFull = this.paths.size + this.tlsStarts.count >= PATHS_PER_TRUNK_MAX;
    const failed = (reason: string): void => {
      this.pathReports.failed(admission.arrivedAt, `no path for rep ${transport.remoteAddress}/${transport.remotePort}: ${reason}`);
    };
    const tls = this.isEnding || isFull ? null : admission.tls;
    this.tlsStarts.begin(transport, tls, () => this.add(transport, admission, isFull), failed);
  }

  /** Sends WELCOME, or BYE if the session accepts no further path. */
  private add(transport: PathTransport, admission: Admission, isFull: boolean): void {
    const path = new ServerPath(this.nextPath++, admission, transport, this.ports.pools, this.ports.clock, this);
    if (this.isEnding) return path.bye('E_SHUTTING_DOWN', 'The session is ending');
    if (isFull) return path.bye('E_LIMIT', `More than ${PATHS_PER_TRUNK_MAX} paths`);
    this.paths.set(path.number, path);
    assert(this.paths.size <= PATHS_PER_TRUNK_MAX, 'A session has more paths than it may have');
    path.listed(this.interfaces);
    const { id: session, interfaces, listGeneration: generation } = this;
    path.welcome(admission, { session, slots: this.slots.size, windowBytes: WINDOW_BYTES, interfaces, generation }, this.ports.version);
    this.pathReports.changed(path, `started path for rep ${transport.remoteAddress}/${transport.remotePort}`);
  }

  /** Ends the paths that are not encrypted. The client may connect again. */
  endPlainPaths(sentence: string): void {
    for (const path of [...this.paths.values()]) if (path.connection.transport.cipher === null) path.bye('E_TLS', sentence);
  }

  /**
   * Notifies the client that the server's interfaces or volumes have changed. The client then requests the list, and closes paths whose
   * interfaces are not in the list. The sizes in `grown` are applied first, so that the client can use a new size as soon as it reads the
   * list.
   */
  listChanged(interfaces: readonly ServerInterface[], generation: number, grown: readonly GrownVolume[] = []): void {
    this.volumes.grow(grown);
    this.interfaces = interfaces;
    this.listGeneration = generation;
    for (const path of this.paths.values()) {
      path.listed(interfaces);
      path.notify(generation);
    }
  }

  /**
   * Called when another client is taking over the volume, or when the volume's storage has started a new incarnation. New requests on
   * handles granted up to the given epoch get STALE, and so do requests that wait for a limit, for space or for a snapshot. Other requests
   * in progress are completed and answered, and then the handles are flushed and closed. Resolves once the handles are closed; the result
   * is false if a flush has failed.
   */
  revoke(volumeId: string, epoch: number): Promise<boolean> {
    return this.volumes.revoke(volumeId, epoch);
  }

  /**
   * Ends the session: starts no new requests, answers waiting requests with STALE, completes and answers running requests, flushes and
   * closes the volumes, and then sends BYE on every path. Resolves when the session has ended. Further calls return the same promise.
   */
  end(code: string, sentence: string): Promise<void> {
    this.ended ??= this.endOnce(code, sentence);
    return this.ended;
  }

  private async endOnce(code: string, sentence: string): Promise<void> {
    this.isEnding = true;
    this.tlsStarts.end('The session is ending');
    this.volumes.endWaits();
    this.toListener.end();
    await new Promise<void>((resolve) => {
      this.whenIdle = resolve;
      this.checkIdle();
    });
    await this.volumes.closeAll();
    assert(this.running === 0, 'A request runs when its session has ended');
    this.volumes.throttles.close();
    this.pathReports.close();
    this.ticker.cancel();
    for (const path of [...this.paths.values()]) path.bye(code, sentence);
  }

  /**
   * Returns figures for the statistics. If `isWhole` is true, idle volumes whose figures have not changed since the last call are included.
   */
  figures(isWhole: boolean): SessionFigures {
    const nowMs = this.ports.clock.monotonicMs();
    return {
      ...this.volumes.figures(nowMs, isWhole, (handle) => this.slots.oldestOfMs(handle, nowMs)),
      paths: [...this.paths.values()].map((path) => path.figures()),
    };
  }

  // --- ServerPathEvents

  oldestMs(): number {
    return this.slots.oldestMs(this.ports.clock.monotonicMs());
  }

  generation(): number {
    return this.listGeneration;
  }

  batchEnded(nowMs: number): void {
    this.volumes.counters.reached(nowMs);
  }

  hasRoom({ unreadBytes: ofAsker }: ServerPath): boolean {
    let unreadBytes = ofAsker;
    if (this.paths.size > 1) {
      unreadBytes = 0;
      for (const path of this.paths.values()) unreadBytes += path.unreadBytes;
    }
    this.isFull = unreadBytes > ANSWERS_UNREAD_MAX_BYTES;
    return !this.isFull;
  }

  drained(path: ServerPath): void {
    if (!this.isFull || !this.hasRoom(path)) return;
    for (const other of [...this.paths.values()]) other.takeWaiting();
  }

  relieve(): void {
    relieve(this.paths.values());
  }

  fence(path: ServerPath, number: number): void {
    if (number >= this.nextPath || number === path.number) {
      path.violation(`FENCE for path ${number}, which cannot be dead`);
      return;
    }
    this.paths.get(number)?.connection.close('The client fenced this path', true);
    path.connection.encoder.message(OP.FENCED, 0, 0, 0, 0, number, EMPTY);
  }

  revokeHandle(path: ServerPath, handle: number, tags: readonly number[]): void {
    this.revokes.received(path, handle, tags);
  }

  clientEnds(sentence: string): void {
    if (!this.isEnding) this.ports.clientEnds(sentence);
  }

  pathClosed(path: ServerPath, reason: string): void {
    if (!this.paths.delete(path.number)) return;
    this.slots.forget(path.number);
    this.revokes.pathClosed(path.number);
    this.reexecutedReads.forget(path.number);
    this.reexecutedMessages.forget(path.number);
    this.pathReports.changed(path, `ended path for rep ${path.connection.transport.remoteAddress}: ${reason}`);
  }

  request(path: ServerPath, header: Header, body: Buffer, offset: number): void {
    if (this.isEnding) return;
    const bodyBytes = header.op === OP.READ || header.op === OP.WRITE ? header.count * SECTOR_BYTES : 0;
    const nowMs = this.ports.clock.monotonicMs();
    this.volumes.counters.reached(nowMs);
    this.nowMs = nowMs;
    switch (this.slots.receive(header, path.number, bodyBytes, nowMs)) {
      case 'new':
        this.reexecutedReads.superseded(header.slot);
        this.reexecutedMessages.superseded(header.slot);
        if (this.slots.executingBytes <= WINDOW_BYTES) {
          this.begin(path, header, body, offset);
        } else {
          this.slots.finishAtOnce(header.slot, STATUS.BAD_REQUEST);
          path.violation(`More than the window of ${WINDOW_BYTES} bytes is unanswered`);
        }
        return;
      case 'done':
        this.answerDone(path, header, body, offset);
        return;
      case 'violation':
        path.violation(`${frameName(header.op)} in slot ${header.slot} seq ${header.seq} is not allowed now`);
        return;
      case 'executing':
      case 'stale':
    }
  }

  private begin(path: ServerPath, header: Header, body: Buffer, offset: number): void {
    switch (header.op) {
      case OP.READ:
        this.read(path, header, true);
        return;
      case OP.WRITE:
      case OP.FLUSH:
      case OP.DISCARD:
      case OP.ZERO:
        this.change(path, header, body, offset);
        return;
      default:
        this.message(header, body, offset, null);
    }
  }

  /**
   * Answers a copy of a finished request. The answer comes from the slot, except that a successful READ, LIST or IOCTL is executed again.
   * A RECORD_WRITE is not executed again, because it would revert a later RECORD_WRITE.
   */
  private answerDone(path: ServerPath, header: Header, body: Buffer, offset: number): void {
    const { status, result, resultAux } = this.slots.outcome(header.slot);
    if (header.op === OP.READ && status === STATUS.OK) {
      this.read(path, header, false);
    } else if (status === STATUS.OK && (header.op === OP.LIST || (header.op === OP.IOCTL && header.aux !== IOCTL.RECORD_WRITE))) {
      const full = (): void => path.violation(`More than ${SLOTS} message requests are executed again at once`);
      const again = this.reexecutedMessages.begin(header, path, 0, full);
      if (again !== null) this.message(header, body, offset, again);
    } else if (result !== null) {
      path.connection.encoder.message(header.op | ANSWER, 0, status, header.slot, header.seq, resultAux, result);
    } else if (frameEntry(header.op)?.shape === 'message') {
      answerMessage(path, header, status, [FailureAnswer.encode({ sentence: statusEntry(status).sentence, holders: [] })], 0);
    } else {
      answerIo(path, header, status);
    }
  }

  /**
   * Executes a READ. If the storage is fast, the data goes directly into the path's output; otherwise, the data goes through a buffer.
   * `first` is true unless the frame is a copy of a finished request.
   */
  private read(path: ServerPath, header: Header, first: boolean): void {
    const open = this.volumes.get(header.handle);
    const invalid = validate(open, header.op, header.flags, header.lba, header.count);
    if (open === undefined || invalid !== STATUS.OK) {
      if (first) this.slots.finishAtOnce(header.slot, invalid);
      answerIo(path, header, invalid);
      return;
    }
    const { encoder } = path.connection;
    const lengthBytes = header.count * SECTOR_BYTES;
    if (first && open.throttle !== null && !open.throttle.admits(lengthBytes, this.nowMs)) {
      const kept = { ...header };
      return this.hold(open, open.throttle, kept, lengthBytes, EMPTY, () => this.readFromPool(open, path, kept, true));
    }
    const at = encoder.beginIo(lengthBytes);
    const status = open.isLooked ? WOULD_WAIT : open.backend.tryRead(encoder.buffer, at, lengthBytes, header.lba * SECTOR_BYTES);
    if (!this.volumes.looks.endsAtOnce(open, status)) return this.readFromPool(open, path, { ...header }, first);
    const outcome = status === STATUS.OK ? status : this.volumes.outcome(open, status);
    if (first) {
      this.slots.finishAtOnce(header.slot, outcome);
      this.volumes.counters.atOnce(open.counters, OP.READ, lengthBytes, outcome, this.nowMs);
    }
    if (status === STATUS.OK) encoder.endIo(OP.READ | ANSWER, 0, status, header.slot, header.seq, header.lba, header.count, lengthBytes);
    else answerIo(path, header, outcome);
  }

  private readFromPool(open: OpenVolume, path: ServerPath, header: Header, first: boolean): void {
    const lengthBytes = header.count * SECTOR_BYTES;
    // If the limit for re-executions is reached, the path defers the copy, which then counts as not yet received.
    const again = first ? null : this.reexecutedReads.begin(header, path, lengthBytes, () => path.defer(header));
    if (!first && again === null) return;
    const buffer = this.ports.pools.bodies.take(lengthBytes);
    const sinceMs = this.nowMs;
    open.inFlight.begin();
    path.owe(lengthBytes);
    const end = (status: Status): void => {
      path.owe(-lengthBytes);
      if (first) open.counters.ended(OP.READ, lengthBytes, status, this.ports.clock.monotonicMs() - sinceMs);
      const owed = again === null ? this.slots.finish(header.slot, status) : this.reexecutedReads.end(header.slot, again);
      for (const number of owed) {
        const to = this.paths.get(number);
        if (to === undefined) continue;
        answerRead(to, header, status, buffer, lengthBytes);
        to.flushSoon();
        this.relieve();
      }
      this.ports.pools.bodies.giveBack(buffer);
      open.inFlight.end();
      if (!first) for (const other of [...this.paths.values()]) other.takeDeferred();
      this.checkIdle();
    };
    startRead(open, header, buffer, lengthBytes, (ended) => this.volumes.looks.conclude(open, ended, end));
  }

  private change(path: ServerPath, header: Header, body: Buffer, offset: number): void {
    const open = this.volumes.get(header.handle);
    const invalid = validate(open, header.op, header.flags, header.lba, header.count);
    if (open === undefined || invalid !== STATUS.OK) {
      this.slots.finishAtOnce(header.slot, invalid);
      answerIo(path, header, invalid);
      return;
    }
    const lengthBytes = header.op === OP.WRITE ? header.count * SECTOR_BYTES : 0;
    const { throttle } = open;
    // FLUSH never waits for a limit, because FLUSH makes answered writes durable, and no limit may delay a flush.
    if (throttle !== null && header.op !== OP.FLUSH && !throttle.admits(lengthBytes, this.nowMs)) {
      const kept = { ...header };
      const held = copiedBody(this.ports.pools.bodies, body, offset, lengthBytes);
      this.hold(open, throttle, kept, lengthBytes, held, () => this.changeInPool(open, kept, held, lengthBytes));
      return;
    }
    const { looks } = this.volumes;
    if (header.op === OP.WRITE && open.gate === null && !open.isShort && looks.mayAnswer(open) && !isFua(open, header.flags)) {
      const status = open.backend.tryWrite(body, offset, lengthBytes, header.lba * SECTOR_BYTES);
      if (looks.endsAtOnce(open, status)) {
        open.hasUnsynced = true;
        const outcome = this.volumes.outcome(open, status);
        this.slots.finishAtOnce(header.slot, outcome);
        this.volumes.counters.atOnce(open.counters, OP.WRITE, lengthBytes, outcome, this.nowMs);
        answerIo(path, header, outcome);
        return;
      }
    }
    this.changeInPool(open, { ...header }, copiedBody(this.ports.pools.bodies, body, offset, lengthBytes), lengthBytes);
  }

  private hold(open: OpenVolume, throttle: VolumeThrottle, header: Header, bytes: number, body: Buffer, begin: () => void): void {
    this.volumes.throttles.hold(throttle, heldRequest(this.holding, open, header, bytes, body, begin));
  }

  /** Answers a change on every path that delivered the request or a copy. */
  private answerAll(header: Header, status: Status): void {
    for (const number of this.slots.finish(header.slot, status)) {
      const to = this.paths.get(number);
      if (to === undefined) continue;
      answerIo(to, header, status);
      to.flushSoon();
    }
  }

  /**
   * Executes a change. The change waits while its pool lacks space, and while a snapshot is being made. `buffer` contains the body of the
   * request, and goes back to the pool of bodies afterwards.
   */
  private changeInPool(open: OpenVolume, header: Header, buffer: Buffer, lengthBytes: number): void {
    const sinceMs = this.nowMs;
    open.inFlight.begin();
    if (header.op === OP.FLUSH) this.volumes.syncs.begins(open);
    const run = (end: (status: Status) => void): void => execute(open, header, buffer, end);
    const { gates } = this.volumes;
    const start = header.op === OP.FLUSH ? run : (end: (status: Status) => void): void => gates.execute(open, header, run, end);
    const concluded = (status: Status): void => {
      open.counters.ended(header.op, lengthBytes, status, this.ports.clock.monotonicMs() - sinceMs);
      if (lengthBytes > 0) this.ports.pools.bodies.giveBack(buffer);
      this.answerAll(header, status);
      open.inFlight.end();
      this.checkIdle();
    };
    const end = (ended: Status): void => this.volumes.concludeChange(open, header.op, isFua(open, header.flags), ended, concluded);
    // A sync that failed for lack of space must not be tried again, because the failed sync has lost writes, and the next sync would
    // nevertheless report success.
    if (isSync(header.op, isFua(open, header.flags))) start(end);
    else this.volumes.space.execute(open, neededSpace(header), start, end);
  }

  /** Executes a message request. `again` is the re-execution for late copies; null for the first execution of the request. */
  private message(header: Header, body: Buffer, offset: number, again: Run | null): void {
    const kept = { ...header };
    const request = Buffer.from(body.subarray(offset, offset + header.length));
    const answered: Answered = (status, bodies, aux) => {
      const last = bodies[bodies.length - 1] ?? EMPTY;
      const owed = again === null ? this.slots.finish(kept.slot, status, last, aux) : this.reexecutedMessages.end(kept.slot, again);
      for (const number of owed) {
        const to = this.paths.get(number);
        if (to === undefined) continue;
        answerMessage(to, kept, status, bodies, aux);
        this.relieve();
      }
      this.checkIdle();
    };
    if (kept.op === OP.ADMIN || kept.op === OP.VOTE) this.toListener.answer(kept, request, answered);
    else this.volumes.answer(kept, request, (handle) => this.slots.isExecuting(handle, kept.slot), answered);
  }

  /** Number of requests that are being executed, for the first time or again. */
  private get running(): number {
    return this.slots.executing + this.reexecutedReads.count + this.reexecutedMessages.count;
  }

  private checkIdle(): void {
    if (this.whenIdle === null || this.running > 0) return;
    const resolve = this.whenIdle;
    this.whenIdle = null;
    resolve();
  }

  private tick(): void {
    const nowMs = this.ports.clock.monotonicMs();
    this.pathReports.look();
    for (const path of [...this.paths.values()]) path.tick(nowMs);
    this.volumes.tick(nowMs);
    const why = this.volumes.whyEnd(this.oldestMs());
    if (why !== null) this.clientEnds(why);
    this.ticker = this.ports.clock.after(HEARTBEAT_INTERVAL_MS, () => this.tick());
  }
}
