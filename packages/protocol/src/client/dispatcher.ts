// The requests of one session: when each is sent and over which path, which are sent again when a path is silent or dies, and what each
// answer means. A path only carries requests; whether it is alive is the trunk's job. Invariants: docs/PROTOCOL.md S1-S4 and O1, client's
// side: one result per request, no slot reused before every copy is accounted for, no buffer touched after the result.

import { assert } from '@rsio/common/lib/assert';
import { OUTPUT_QUEUED_MAX_BYTES } from '../link/limits.ts';
import { SLOTS, SLOTS_RESERVED } from '../wire/limits.ts';
import { HEDGES_MAX, HEDGE_LOOK_MS, LATE_LOOK_MS, RATE_PROBE_SHARE, SLOTS_QUARANTINE_MAX, VOLUME_SLOT_SHARE } from './limits.ts';
import { HEDGE_MIN_MS, LATE_MS, RATE_PROBE_LONGEST_MS, RATE_PROBE_MAX_MS } from './paths/limits.ts';
import { ANSWER, frameEntry, frameName, OP } from '../wire/frames.ts';
import type { Header } from '../wire/header.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import type { Path } from './paths/path.ts';
import { ReadTimes } from './paths/read-times.ts';
import type { Request } from './requests/request.ts';
import { choosePath, completionMs, leastBusy, pathToProbe, prepare } from './paths/scheduler.ts';
import { Slots } from './requests/slots.ts';

const NONE: readonly number[] = [];
/**
 * Number of slots (or bytes) that a volume may hold for each free one. This keeps the volume within VOLUME_SLOT_SHARE of what other volumes
 * leave.
 */
const HELD_PER_FREE = VOLUME_SLOT_SHARE / (1 - VOLUME_SLOT_SHARE);

export class Dispatcher {
  readonly attachments: Attachment[] = [];
  private slots = new Slots(1);
  private windowBytes = 0;
  private windowUsedBytes = 0;
  /** LIST, OPEN and CLOSE, which are sent before data and may use the reserved slots. */
  private control: Request[] = [];
  /** Slots whose requests must be sent again, because no reliable path owes an answer for them. */
  private resends: number[] = [];
  private turn = 0;
  private nowMs = 0;
  private readonly readTimes = new ReadTimes();
  private hedgeLookMs = 0;
  private lateLookMs = 0;
  /** Number of data requests since the last attempt to probe a path. */
  private sinceProbe = 0;

  /** True if too many slots wait for unanswered copies (S6). The limit is lower for a server that grants fewer slots. */
  get isQuarantineLarge(): boolean {
    return this.slots.quarantined > (this.slots.size * SLOTS_QUARANTINE_MAX) / SLOTS;
  }

  quarantinedOn(path: number): number {
    return this.slots.quarantinedOn(path);
  }

  /**
   * A new session begins: requests in flight return to their attachments, and LIST is sent again. OPEN and CLOSE are answered STALE,
   * whether they were sent or not, because they refer to handles of the old session, whose numbers are reused. `again`: true if there was
   * an old session.
   */
  restart(slotCount: number, windowBytes: number, reason: string, again: boolean): void {
    const unanswered = this.slots.restart();
    this.slots = new Slots(slotCount);
    this.windowBytes = windowBytes;
    this.windowUsedBytes = 0;
    this.resends = [];
    const own = [...unanswered.filter((request) => request.attachment === null), ...this.control];
    const isOver = (request: Request): boolean => again && (request.op === OP.OPEN || request.op === OP.CLOSE);
    this.control = own.filter((request) => !isOver(request));
    for (const attachment of this.attachments) {
      const mine = unanswered.filter((request) => request.attachment === attachment);
      attachment.sessionLost(mine, reason);
    }
    // These requests were in flight when their attachments were closed.
    const orphans = unanswered.filter(({ attachment }) => attachment !== null && !this.attachments.some((one) => one === attachment));
    for (const request of orphans) {
      request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
      request.attachment?.forgetInFlight();
    }
    for (const request of own) if (isOver(request)) request.events?.requestDone(request, STATUS.STALE);
  }

  /** Removes and returns every request, sent or not, because the trunk is ending. */
  takeAll(): Request[] {
    const all = [...this.slots.restart(), ...this.control, ...this.attachments.flatMap((attachment) => attachment.takeAll())];
    this.control = [];
    this.resends = [];
    return all;
  }

  /** Removes every request of an attachment. If any of them was sent, the caller revokes the handle or leaves the session. */
  abandon(attachment: Attachment, paths: readonly Path[]): { readonly sent: Request[]; readonly waiting: Request[] } {
    const sent = this.slots.abandon(attachment.handle, (request) => request.attachment === attachment);
    const tags = this.fencedTags(attachment.handle);
    for (let at = 0; at < tags.length; at += 2) forgetReceivers(tags[at]!, paths);
    return { sent, waiting: attachment.abandon(sent) };
  }

  /** Returns the abandoned requests of a handle as pairs of slot and seq. */
  fencedTags(handle: number): number[] {
    return this.slots.tagsOf(handle);
  }

  /** No abandoned request of this handle can be executed any more (S11). */
  revoked(handle: number): void {
    this.windowUsedBytes -= this.slots.revoked(handle);
  }

  /** The first path has come up, or the last one is gone. */
  setReachable(isReachable: boolean): void {
    for (const attachment of this.attachments) attachment.setReachable(isReachable);
  }

  add(request: Request): void {
    request.slot = -1;
    if (request.answers.length > 0) request.answers = [];
    if (request.attachment === null) this.control.push(request);
    else request.attachment.add(request);
  }

  /** Sends everything that may be sent. The caller flushes the paths. */
  send(paths: readonly Path[], nowMs: number): void {
    this.nowMs = nowMs;
    prepare(paths, nowMs);
    const areResent = this.sendResends(paths);
    this.sendControl(paths);
    this.sendHedges(paths);
    this.sendLate(paths);
    if (areResent) this.sendData(paths);
  }

  /** A path became silent, died or came up: finds the requests for which no reliable path owes an answer. */
  findResends(paths: readonly Path[]): void {
    const good = new Set(paths.filter((path) => !path.isSuspect).map((path) => path.number));
    this.resends = this.slots.unserved((path) => good.has(path));
  }

  /** No request from this path can be executed any more (S5). */
  fenced(path: number): void {
    this.slots.fenced(path);
  }

  /**
   * Returns false if a request is held back until a reliable path has room for it. New requests then wait, so that they do not take that
   * room.
   */
  private sendResends(paths: readonly Path[]): boolean {
    if (this.resends.length === 0) return true;
    let areGone = true;
    const later: number[] = [];
    for (const slot of this.resends) {
      const request = this.slots.requestOf(slot);
      if (request === null) continue;
      const path = choose(paths, this.slots.copiesOf(slot), request);
      if (path === null || path.isSuspect) {
        if (path === null) areGone = false;
        later.push(slot);
        continue;
      }
      path.resent++;
      this.sendCopy(request, slot, path);
    }
    this.resends = later;
    return areGone;
  }

  private sendControl(paths: readonly Path[]): void {
    while (this.control.length > 0 && this.slots.hasRoom(true)) {
      const path = leastBusy(paths, NONE, 0, 0);
      if (path === null || path.queuedBytes > OUTPUT_QUEUED_MAX_BYTES) return;
      this.sendNew(this.control.shift()!, path);
    }
  }

  /** Sends one request of each attachment in turn, until no slot, window or path is left. */
  private sendData(paths: readonly Path[]): void {
    const count = this.attachments.length;
    let idle = 0;
    while (idle < count) {
      const attachment = this.attachments[this.turn++ % count]!;
      if (attachment.hasSendable && this.sendNext(attachment, paths)) idle = 0;
      else idle++;
    }
  }

  private sendNext(attachment: Attachment, paths: readonly Path[]): boolean {
    const request = attachment.peek();
    if (!this.mayHold(attachment, request)) return false;
    const path = choose(paths, NONE, request);
    if (path === null) return false;
    // The request waits for room in the log; later requests may be sent.
    if (attachment.next() === null) return true;
    attachment.slotsHeld++;
    attachment.bytesHeld += request.bodyBytes;
    this.sendNew(request, path);
    this.probe(request, paths);
    return true;
  }

  /** Measures the rate of an idle path by sending it a copy of a request. Nothing waits for the answer to the copy. */
  private probe(request: Request, paths: readonly Path[]): void {
    if (paths.length < 2 || request.bodyBytes === 0 || ++this.sinceProbe < RATE_PROBE_SHARE) return;
    this.sinceProbe = 0;
    // A copy keeps its slot until it is answered.
    const longestMs = this.slots.freeCount * 2 > this.slots.size ? RATE_PROBE_LONGEST_MS : RATE_PROBE_MAX_MS;
    const path = pathToProbe(paths, receivingBytes(request), sendingBytes(request), this.nowMs, longestMs);
    if (path === null) return;
    path.probed++;
    this.sendCopy(request, request.slot, path);
  }

  /**
   * Copies each READ that is late on its path to another path. That path must have delivered answers since, and must be expected to answer
   * soon.
   */
  private sendHedges(paths: readonly Path[]): void {
    if (paths.length < 2 || this.nowMs - this.hedgeLookMs < HEDGE_LOOK_MS) return;
    this.hedgeLookMs = this.nowMs;
    const max = Math.min(HEDGES_MAX, (this.slots.size * HEDGES_MAX) / SLOTS);
    for (let slot = 0; slot < this.slots.size && this.slots.hedged < max; slot++) {
      const request = this.slots.requestOf(slot);
      if (request !== null && request.op === OP.READ) this.hedge(request, slot, paths);
    }
  }

  private hedge(request: Request, slot: number, paths: readonly Path[]): void {
    const copies = this.slots.copiesOf(slot);
    const from = copies.length === 1 ? pathOf(paths, copies[0]!) : null;
    if (from === null || from.isSuspect) return;
    const sentMs = from.load.sentAtMs(slot);
    // The request has reached the server but has not been completed there, so another path would not be faster.
    if (from.load.pingedMs >= sentMs) return;
    const ageMs = this.nowMs - sentMs;
    const isOverdue = from.load.overdueMs > HEDGE_MIN_MS;
    if (!isOverdue && ageMs < this.readTimes.lateMs) return;
    const to = choose(paths, copies, request);
    if (to === null || to.isSuspect || to.lastProofMs <= sentMs) return;
    if (completionMs(to.load, request.bodyBytes, 0) > (isOverdue ? from.load.delayMs : ageMs / 2)) return;
    to.hedged++;
    this.slots.hedge(slot);
    this.sendCopy(request, slot, to);
  }

  /**
   * If a request is late on every path that carries it, copies it to a path that delivers answers. This is necessary because a path that
   * answers occasionally never becomes suspect, but could take hours to work through its queue. As always, a path carries at most one copy
   * of a request.
   */
  private sendLate(paths: readonly Path[]): void {
    const sinceMs = this.nowMs - this.lateLookMs;
    if (paths.length < 2 || sinceMs < LATE_LOOK_MS) return;
    this.lateLookMs = this.nowMs;
    // Our own event loop was stalled: first read what has arrived since then.
    if (sinceMs > LATE_MS / 2) return;
    for (let slot = 0; slot < this.slots.size; slot++) {
      const request = this.slots.requestOf(slot);
      if (request !== null) this.sendIfLate(request, slot, paths);
    }
  }

  private sendIfLate(request: Request, slot: number, paths: readonly Path[]): void {
    const copies = this.slots.copiesOf(slot);
    let sentMs = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < copies.length; index++) {
      const from = pathOf(paths, copies[index]!);
      if (from === null || from.isSuspect) continue;
      if (!from.load.isLate(slot, from.heartbeatMs, this.nowMs)) return;
      sentMs = Math.max(sentMs, from.load.sentAtMs(slot));
    }
    // No reliable path owes an answer, so sendResends sends the request again.
    if (sentMs === Number.NEGATIVE_INFINITY) return;
    const to = choose(paths, copies, request);
    if (to === null || to.isSuspect || to.lastProofMs <= sentMs) return;
    if (completionMs(to.load, receivingBytes(request), sendingBytes(request)) > (this.nowMs - sentMs) / 2) return;
    to.hedged++;
    this.sendCopy(request, slot, to);
  }

  /**
   * True if there is room and the volume does not exceed its share of what other volumes leave. The share applies even if no other volume
   * is active, so that a volume that becomes active later still finds room if this one hangs.
   */
  private mayHold(attachment: Attachment, request: Request): boolean {
    const isFlush = request.op === OP.FLUSH;
    if (!this.slots.hasRoom(isFlush)) return false;
    const freeSlots = this.slots.freeCount - (isFlush ? 0 : SLOTS_RESERVED);
    if (attachment.slotsHeld >= freeSlots * HELD_PER_FREE) return false;
    if (request.bodyBytes === 0) return true;
    const freeBytes = this.windowBytes - this.windowUsedBytes;
    return request.bodyBytes <= freeBytes && attachment.bytesHeld < freeBytes * HELD_PER_FREE;
  }

  private sendNew(request: Request, path: Path): void {
    const slot = this.slots.take(request);
    this.windowUsedBytes += request.bodyBytes;
    this.sendCopy(request, slot, path);
  }

  private sendCopy(request: Request, slot: number, path: Path): void {
    this.slots.addCopy(slot, path.number);
    const handle = request.attachment === null ? request.handle : request.attachment.handle;
    path.send(request, slot, this.slots.seqOf(slot), handle, this.nowMs);
  }

  /**
   * The body of an answer arrives in parts. Receives READ data directly into the request's buffer, unless another path is already doing so.
   */
  answerBegins(path: Path, header: Header, paths: readonly Path[]): void {
    const request = this.expected(path, header);
    if (request === null || request.op !== OP.READ) return;
    if (paths.some((other) => other.receivingSlot === header.slot)) return;
    path.receivingSlot = header.slot;
    path.connection.decoder.receiveInto(request.buffer, request.bufferOffset);
  }

  /** A whole answer frame was received on `path`. */
  answer(path: Path, header: Header, body: Buffer, offset: number, paths: readonly Path[]): void {
    const slot = header.slot;
    const received = path.receivingSlot === slot;
    path.receivingSlot = -1;
    const request = this.expected(path, header);
    if (path.connection.isClosed) return;
    const isMessage = frameEntry(header.op)?.shape === 'message';
    if (isMessage && !path.keepPart(header, body, offset)) return;
    const tookMs = path.answered(slot);
    const kind = this.slots.answer(slot, header.seq, path.number);
    if (kind === 'extra' || request === null) {
      path.dropped++;
      path.takeParts(slot);
      return;
    }
    if (request.op === OP.READ && header.handle === STATUS.OK && !received) {
      body.copy(request.buffer, request.bufferOffset, offset, offset + request.bodyBytes);
    }
    if (request.op === OP.READ) this.readTimes.add(tookMs);
    forgetReceivers(slot, paths);
    if (isMessage) {
      request.answers = path.takeParts(slot);
      request.answerAux = header.aux;
    }
    this.finish(request, slot, header.handle);
  }

  /**
   * Returns the request that this answer belongs to, or null if its result has already arrived. Closes the path if it does not owe this
   * answer (S3).
   */
  private expected(path: Path, header: Header): Request | null {
    if (!this.slots.owes(header.slot, header.seq, path.number)) {
      path.violation(`${frameName(header.op)} for slot ${header.slot} seq ${header.seq}, of which this path owes none`);
      return null;
    }
    const request = this.slots.requestOf(header.slot);
    if (request === null) return null;
    // In a message frame, the bytes of `count` have another meaning, so they are not compared.
    const sameSize = frameEntry(request.op)?.shape === 'message' || header.count === request.count;
    if ((header.op & ~ANSWER) === request.op && sameSize) return request;
    path.violation(
      `${frameName(header.op)} of ${header.count} sectors in slot ${header.slot}, which holds ${frameName(request.op)} of ${request.count}`,
    );
    return null;
  }

  private finish(request: Request, slot: number, status: number): void {
    this.windowUsedBytes -= request.bodyBytes;
    request.slot = -1;
    this.slots.settle(slot);
    const attachment = request.attachment;
    if (attachment !== null) {
      attachment.slotsHeld--;
      attachment.bytesHeld -= request.bodyBytes;
      if (status === STATUS.STALE && attachment.keepStale(request)) return;
      attachment.answered(request, status);
    }
    const owner = request.events;
    assert(owner !== null, 'A request has no owner');
    owner.requestDone(request, status);
  }
}

function choose(paths: readonly Path[], carried: readonly number[], request: Request): Path | null {
  return choosePath(paths, carried, receivingBytes(request), sendingBytes(request), OUTPUT_QUEUED_MAX_BYTES);
}

function receivingBytes(request: Request): number {
  return request.op === OP.READ ? request.bodyBytes : 0;
}

function sendingBytes(request: Request): number {
  return request.op === OP.WRITE ? request.bodyBytes : 0;
}

function pathOf(paths: readonly Path[], number: number): Path | null {
  for (let index = 0; index < paths.length; index++) if (paths[index]!.number === number) return paths[index]!;
  return null;
}

/**
 * Called when a request has its result or nothing waits for it any more. An answer that is still arriving on another path must then not be
 * written to the request's buffer.
 */
function forgetReceivers(slot: number, paths: readonly Path[]): void {
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    if (path.receivingSlot !== slot) continue;
    path.receivingSlot = -1;
    path.connection.decoder.discardBody();
  }
}
