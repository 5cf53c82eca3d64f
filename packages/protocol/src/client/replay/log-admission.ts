// Decides which changes of an attachment may be sent, given the room in its replay log (docs/PROTOCOL.md, L1 and L3). If the log has no
// room, changes wait in this class, in order of arrival, until a FLUSH sent by the client itself has made room. The client already flushes
// the log when the log is half full, so that changes rarely have to wait. A change is sent with FUA if there is no log or if the change is
// too large for the log. If all logs together have used up the configured limit `log-total`, a change is sent with FUA only if its own log
// cannot free any memory. A volume therefore never waits for another volume. Invariants: if there is a log, room is reserved before a
// change is sent. At most one FLUSH sent by the client itself is in flight. Rules: L2.

import { FLAG, OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { changesContent } from '../requests/overlap.ts';
import type { ReplayLog } from './replay-log.ts';
import { Request, type RequestEvents } from '../requests/request.ts';

export interface LogAdmissionEvents {
  admitted(request: Request): void;
  /** Called to send the client's own FLUSH before the waiting requests. */
  flush(request: Request): void;
  /** Called when no room can be made in the log for this change, which then fails with `status`. */
  refused(request: Request, status: number): void;
}

export class LogAdmission implements RequestEvents {
  log: ReplayLog | null;
  private readonly events: LogAdmissionEvents;
  private waiting: Request[] = [];
  private readonly flush = new Request();
  private isFlushing = false;

  constructor(log: ReplayLog | null, ports: LogAdmissionEvents) {
    this.log = log;
    this.events = ports;
    this.flush.op = OP.FLUSH;
    this.flush.events = this;
  }

  /** Returns false if the request must wait until `admitted` is called for it. */
  admits(request: Request): boolean {
    const { log } = this;
    if (request.op === OP.FLUSH && log !== null) request.logMark = log.flushSent();
    if (!changesContent(request.op) || request.hasLogRoom) return true;
    if (log === null) {
      request.flags |= FLAG.FUA;
      return true;
    }
    if (this.waiting.length === 0 && reserve(log, request)) return true;
    this.waiting.push(request);
    this.makeRoom(log, request.submittedMs);
    return false;
  }

  /** Called when a request of the attachment was answered and will not be sent again. */
  answered(request: Request, status: number): void {
    const { log } = this;
    if (log === null) {
      this.dropped(request);
      return;
    }
    if (request.op === OP.FLUSH && status === STATUS.OK) log.flushed(request.logMark, request.submittedMs);
    else if (request.hasLogRoom && status === STATUS.OK) log.answered(request);
    else log.dropped(request);
    if (this.waiting.length > 0) this.retry(log);
    else if (log.isHalfFull && changesContent(request.op)) this.makeRoom(log, request.submittedMs);
  }

  /**
   * Called when a request will not be answered OK, or when its answer no longer matters to the log. The owner may use the request again for
   * another attachment, so it must not keep the room in a log that has ended.
   */
  dropped(request: Request): void {
    this.log?.dropped(request);
    request.hasLogRoom = false;
  }

  /** Called when the FLUSH sent by the client itself was answered or abandoned. If the FLUSH was answered, `answered` was called before. */
  requestDone(_request: Request, status: number): void {
    this.isFlushing = false;
    const { log } = this;
    if (log === null || this.waiting.length === 0) return;
    if (status !== STATUS.OK) this.admitWithFua(log, status);
    this.retry(log);
  }

  get canFlush(): boolean {
    return this.log !== null && !this.log.isEmpty && !this.isFlushing;
  }

  /** Makes the log's content durable, even if no change waits for room. */
  flushNow(nowMs: number): void {
    if (this.log !== null) this.makeRoom(this.log, nowMs);
  }

  takeWaiting(): Request[] {
    return this.waiting.splice(0);
  }

  /** Ends logging: changes are no longer kept or replayed. Waiting changes are sent with FUA and need no room in the log. */
  end(): void {
    this.log?.clear();
    this.log = null;
    for (const request of this.waiting.splice(0)) {
      request.flags |= FLAG.FUA;
      this.events.admitted(request);
    }
  }

  private retry(log: ReplayLog): void {
    let admitted = 0;
    while (admitted < this.waiting.length && reserve(log, this.waiting[admitted]!)) admitted++;
    for (const request of this.waiting.splice(0, admitted)) this.events.admitted(request);
    const [first] = this.waiting;
    if (first !== undefined) this.makeRoom(log, first.submittedMs);
  }

  /**
   * Sends a FLUSH, unless the log is empty. If the log is empty, requests in flight hold the reserved room, and their answers lead to the
   * next attempt.
   */
  private makeRoom(log: ReplayLog, submittedMs: number): void {
    if (this.isFlushing || log.isEmpty) return;
    this.isFlushing = true;
    this.flush.slot = -1;
    this.flush.submittedMs = submittedMs;
    this.events.flush(this.flush);
  }

  /** Called when the FLUSH has failed: sends each waiting change with FUA, or refuses the change if it does not fit into the log. */
  private admitWithFua(log: ReplayLog, status: number): void {
    for (const request of this.waiting.splice(0)) {
      request.flags |= FLAG.FUA;
      if (reserve(log, request)) this.events.admitted(request);
      else this.events.refused(request, status);
    }
  }
}

function reserve(log: ReplayLog, request: Request): boolean {
  const room = log.reserve(request);
  if (room === 'taken' || room === 'flush') return room === 'taken';
  if (room === 'total' && !log.isIdle) return false;
  request.flags |= FLAG.FUA;
  return log.reserve(request) === 'taken';
}
