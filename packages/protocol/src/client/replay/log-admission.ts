// Which changes of an attachment may be sent, as its replay log has room (docs/PROTOCOL.md, L1 and L3). What finds none waits here, first
// come first served, while a FLUSH of our own makes room, which goes out when the log is half full already, so that mostly nothing waits;
// what fits in no log, and everything where there is none, goes with FUA; so does what finds no room in what all logs have together, when its
// own log has nothing whose end could make some: a volume never waits for another. Invariants: a change leaves only with its room reserved; one
// FLUSH of our own is out at a time.

import { FLAG, OP } from '../../wire/frames.ts';
import { STATUS } from '../../wire/status.ts';
import { changesContent } from '../requests/overlap.ts';
import type { ReplayLog } from './replay-log.ts';
import { Request, type RequestEvents } from '../requests/request.ts';

export interface LogAdmissionEvents {
  /** This change has its room now. */
  admitted(request: Request): void;
  /** To be sent before what waits. */
  flush(request: Request): void;
  /** There will be no room for this one: it ends with this status. */
  refused(request: Request, status: number): void;
}

export class LogAdmission implements RequestEvents {
  /** Null: there is no log. */
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

  /** A request is about to be sent. False: it waits here, until `admitted`. */
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

  /** A request of the attachment was answered, and is not sent again. */
  answered(request: Request, status: number): void {
    const { log } = this;
    if (log === null) return;
    if (request.op === OP.FLUSH && status === STATUS.OK) log.flushed(request.logMark, request.submittedMs);
    else if (request.hasLogRoom && status === STATUS.OK) log.answered(request);
    else log.dropped(request);
    if (this.waiting.length > 0) this.retry(log);
    else if (log.isHalfFull && changesContent(request.op)) this.makeRoom(log, request.submittedMs);
  }

  /** Our own FLUSH has ended; `answered` has seen it before, unless it was given up. */
  requestDone(_request: Request, status: number): void {
    this.isFlushing = false;
    const { log } = this;
    if (log === null || this.waiting.length === 0) return;
    if (status !== STATUS.OK) this.admitWithFua(log, status);
    this.retry(log);
  }

  /** A FLUSH of our own now would make room. */
  get canFlush(): boolean {
    return this.log !== null && !this.log.isEmpty && !this.isFlushing;
  }

  /** What is in the log is made durable, though nobody waits for room. */
  flushNow(nowMs: number): void {
    if (this.log !== null) this.makeRoom(this.log, nowMs);
  }

  /** What waits, taken out. */
  takeWaiting(): Request[] {
    return this.waiting.splice(0);
  }

  /** Nothing is kept, or sent again, any more: what waits for room in the log goes without one. */
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

  /** An empty log is full of what is out: the answers make room. */
  private makeRoom(log: ReplayLog, submittedMs: number): void {
    if (this.isFlushing || log.isEmpty) return;
    this.isFlushing = true;
    this.flush.slot = -1;
    this.flush.submittedMs = submittedMs;
    this.events.flush(this.flush);
  }

  /** No FLUSH makes room: what waits is made durable one by one, as far as that goes. */
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
