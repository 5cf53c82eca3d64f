// Decides when and over which path each request of a session is sent, and handles the answers. Sends requests again when a path becomes
// silent or dies. The trunk, not the dispatcher, decides which paths are alive. Invariants (the client's part of S1 to S4 and O1 in
// docs/PROTOCOL.md): each request gets one result. No slot is reused before every copy of its request is answered or fenced. The buffer of
// a request is not touched after the request has its result. Rules: R4. docs/PROTOCOL.md, Backpressure.

import { assert, counted } from '@rsio/base/lib/assert';
import { OUTPUT_QUEUED_MAX_BYTES } from '../link/limits.ts';
import { HEADER_BYTES, SLOTS, SLOTS_RESERVED } from '../wire/limits.ts';
import {
  HEDGE_LOOK_MS,
  HEDGE_MIN_MS,
  HEDGES_MAX,
  LATE_LOOK_MS,
  LATE_MS,
  RATE_PROBE_LONGEST_MS,
  RATE_PROBE_MAX_MS,
  RATE_PROBE_SHARE,
  SLOTS_QUARANTINE_MAX,
  VOLUME_SLOT_SHARE,
} from './limits.ts';
import { ANSWER, frameEntry, frameName, OP } from '../wire/frames.ts';
import type { Header } from '../wire/header.ts';
import { STATUS } from '../wire/status.ts';
import type { Attachment } from './attachment.ts';
import type { Path } from './paths/path.ts';
import type { Request } from './requests/request.ts';
import { choosePath, completionMs, leastBusy, pathToProbe, prepare } from './paths/scheduler.ts';
import { Slots } from './requests/slots.ts';

const NONE: readonly number[] = [];
/**
 * Number of slots that a volume may hold for each slot that is free. The same ratio applies to the bytes of the window. A volume therefore
 * holds at most the share VOLUME_SLOT_SHARE of the slots and bytes that the other volumes do not hold.
 */
const HELD_PER_FREE = VOLUME_SLOT_SHARE / (1 - VOLUME_SLOT_SHARE);

export class Dispatcher {
  readonly attachments: Attachment[] = [];
  private slots = new Slots(1);
  private windowBytes = 0;
  private windowUsedBytes = 0;
  /** LIST, OPEN, CLOSE and ADMIN requests, which are sent before data requests and may use the reserved slots. */
  private control: Request[] = [];
  /** Slots whose requests must be sent again, because every path that owed an answer is suspect or dead. */
  private resends: number[] = [];
  private turn = 0;
  private nowMs = 0;
  private hedgeLookMs = 0;
  private lateLookMs = 0;
  private sinceProbe = 0;

  /** True if too many slots are quarantined (S6). The fewer slots the server grants, the fewer may be quarantined. */
  get isQuarantineLarge(): boolean {
    return this.slots.quarantined > (this.slots.size * SLOTS_QUARANTINE_MAX) / SLOTS;
  }

  quarantinedOn(path: number): number {
    return this.slots.quarantinedOn(path);
  }

  /**
   * Begins a new session: gives the requests in flight back to their attachments and sends LIST again. Ends every OPEN and CLOSE of the old
   * session, sent or not, with STALE, because the new session reuses the handle numbers. Also ends every ADMIN with STALE, because the
   * caller of the ADMIN may no longer be waiting. `again`: true if this client had an earlier session.
   */
  restart(slotCount: number, windowBytes: number, reason: string, again: boolean): void {
    const unanswered = this.slots.restart();
    this.slots = new Slots(slotCount);
    this.windowBytes = windowBytes;
    this.windowUsedBytes = 0;
    this.resends = [];
    const own = [...unanswered.filter((request) => request.attachment === null), ...this.control];
    const isOver = (request: Request): boolean => again && (request.op === OP.OPEN || request.op === OP.CLOSE || request.op === OP.ADMIN);
    this.control = own.filter((request) => !isOver(request));
    for (const attachment of this.attachments) {
      const mine = unanswered.filter((request) => request.attachment === attachment);
      attachment.sessionLost(mine, reason);
    }
    // Requests whose attachments were closed while the requests were in flight.
    const orphans = unanswered.filter(({ attachment }) => attachment !== null && !this.attachments.some((one) => one === attachment));
    for (const request of orphans) {
      request.events?.requestDone(request, STATUS.OUTCOME_UNKNOWN);
      request.attachment?.forgetInFlight();
    }
    for (const request of own) if (isOver(request)) request.events?.requestDone(request, STATUS.STALE);
  }

  /** Removes and returns all requests, whether or not they were sent, because the trunk is ending. */
  takeAll(): Request[] {
    const all = [...this.slots.restart(), ...this.control, ...this.attachments.flatMap((attachment) => attachment.takeAll())];
    this.control = [];
    this.resends = [];
    return all;
  }

  /** If the returned list `sent` is not empty, the caller must revoke the handle or leave the session. */
  abandon(attachment: Attachment, paths: readonly Path[]): { readonly sent: Request[]; readonly waiting: Request[] } {
    const sent = this.takeSent(attachment, paths);
    return { sent, waiting: attachment.abandon(sent) };
  }

  /**
   * Removes the attachment and takes its requests in flight out of their slots, so that no later answer of this server counts (F9). If the
   * returned list is not empty, the caller must revoke the handle or leave the session.
   */
  giveUp(attachment: Attachment, paths: readonly Path[]): Request[] {
    const at = this.attachments.indexOf(attachment);
    if (at >= 0) this.attachments.splice(at, 1);
    return this.takeSent(attachment, paths);
  }

  private takeSent(attachment: Attachment, paths: readonly Path[]): Request[] {
    const sent = this.slots.abandon(attachment.handle, (request) => request.attachment === attachment);
    const tags = this.fencedTags(attachment.handle);
    for (let at = 0; at < tags.length; at += 2) forgetReceivers(tags[at]!, paths);
    return sent;
  }

  fencedTags(handle: number): number[] {
    return this.slots.tagsOf(handle);
  }

  revoked(handle: number): void {
    this.windowUsedBytes = counted(this.windowUsedBytes - this.slots.revoked(handle), 'window bytes');
  }

  setReachable(isReachable: boolean): void {
    for (const attachment of this.attachments) attachment.setReachable(isReachable);
  }

  add(request: Request): void {
    request.slot = -1;
    if (request.answers.length > 0) request.answers = [];
    if (request.attachment === null) this.control.push(request);
    else request.attachment.add(request);
  }

  /** Removes a request that is not sent yet. Returns false if the request was sent. */
  withdraw(request: Request): boolean {
    const at = this.control.indexOf(request);
    if (at >= 0) this.control.splice(at, 1);
    return at >= 0;
  }

  /** Puts every request that may be sent now into the output of a path. The caller then flushes the paths. */
  send(paths: readonly Path[], nowMs: number): void {
    this.nowMs = nowMs;
    prepare(paths, nowMs);
    const areResent = this.sendResends(paths);
    this.sendControl(paths);
    this.sendHedges(paths);
    this.sendLate(paths);
    if (areResent) this.sendData(paths);
  }

  /** Called when a path comes up, becomes suspect, recovers or dies. */
  findResends(paths: readonly Path[]): void {
    const good = new Set(paths.filter((path) => !path.isSuspect).map((path) => path.number));
    this.resends = this.slots.unserved((path) => good.has(path));
  }

  fenced(path: number): void {
    this.slots.fenced(path);
  }

  /**
   * Returns false if a request in `resends` must wait for room on a reliable path. New requests must also wait, so that they do not take
   * the room.
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

  /** Takes one request after another, from each attachment in rotation, while a slot is free and the window and the paths have room. */
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
    // If the request must wait for room in the replay log, later requests may still be sent.
    if (attachment.next() === null) return true;
    attachment.slotsHeld++;
    attachment.bytesHeld += request.bodyBytes;
    this.sendNew(request, path);
    this.probe(request, paths);
    return true;
  }

  /** Measures the rate of an idle path by sending a copy of a request over the path. */
  private probe(request: Request, paths: readonly Path[]): void {
    if (paths.length < 2 || request.bodyBytes === 0 || ++this.sinceProbe < RATE_PROBE_SHARE) return;
    this.sinceProbe = 0;
    // Allow a slow probe only while more than half of the slots are free, because a slot stays occupied until its copy is answered.
    const longestMs = this.slots.freeCount * 2 > this.slots.size ? RATE_PROBE_LONGEST_MS : RATE_PROBE_MAX_MS;
    const path = pathToProbe(paths, receivingBytes(request), sendingBytes(request), this.nowMs, longestMs);
    if (path === null) return;
    path.probed++;
    this.sendCopy(request, request.slot, path);
  }

  /**
   * Copies each late READ to a path that is expected to answer soon. The second path must have delivered an answer or a PONG since the READ
   * was sent.
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
    // A PONG to a later PING proves that the request has reached the server; a copy would not be answered sooner.
    if (from.load.pingedMs >= sentMs) return;
    const ageMs = this.nowMs - sentMs;
    const isOverdue = from.load.overdueMs > HEDGE_MIN_MS;
    if (!isOverdue && ageMs < (request.attachment?.readTimes.lateMs ?? 0)) return;
    const to = choose(paths, copies, request);
    if (to === null || to.isSuspect || to.lastProofMs <= sentMs) return;
    if (completionMs(to.load, request.bodyBytes, 0) > (isOverdue ? from.load.delayMs : ageMs / 2)) return;
    to.hedged++;
    this.slots.hedge(slot);
    this.sendCopy(request, slot, to);
  }

  /**
   * Copies a request that is late on all its paths to a path that delivers answers. Without this copy, a request could wait for hours in
   * the queue of a path that answers just often enough not to become suspect.
   */
  private sendLate(paths: readonly Path[]): void {
    const sinceMs = this.nowMs - this.lateLookMs;
    if (paths.length < 2 || sinceMs < LATE_LOOK_MS) return;
    this.lateLookMs = this.nowMs;
    // After a stall of this process's event loop, wait until the answers that have arrived in the meantime are read.
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
    // If no reliable path owes an answer to this request, `sendResends` sends it again.
    if (sentMs === Number.NEGATIVE_INFINITY) return;
    const to = choose(paths, copies, request);
    if (to === null || to.isSuspect || to.lastProofMs <= sentMs) return;
    if (completionMs(to.load, receivingBytes(request), sendingBytes(request)) > (this.nowMs - sentMs) / 2) return;
    to.hedged++;
    this.sendCopy(request, slot, to);
  }

  /**
   * True if the request fits into the free slots and the window, and the volume holds less than its share of the free slots and bytes. The
   * share also applies while no other volume is active: if the volume hangs, other volumes must still find room. Several volumes also have
   * quotas, because a share of what is free does not help the last one when each of many others has taken its share.
   */
  private mayHold(attachment: Attachment, request: Request): boolean {
    const isFlush = request.op === OP.FLUSH;
    if (!this.slots.hasRoom(isFlush)) return false;
    const freeSlots = this.slots.freeCount - (isFlush ? 0 : SLOTS_RESERVED);
    if (attachment.slotsHeld >= freeSlots * HELD_PER_FREE) return false;
    if (this.attachments.length > 1 && !isFlush && this.isOverQuota(attachment)) return false;
    if (request.bodyBytes === 0) return true;
    const freeBytes = this.windowBytes - this.windowUsedBytes;
    return request.bodyBytes <= freeBytes && attachment.bytesHeld < freeBytes * HELD_PER_FREE;
  }

  private isOverQuota({ slotsHeld, bytesHeld, quota }: Attachment): boolean {
    return slotsHeld >= quota || bytesHeld >= (quota * this.windowBytes) / SLOTS;
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
   * Called when the body of an answer begins to arrive in parts. Receives READ data directly into the request's buffer, unless data from
   * another path is already being written there.
   */
  answerBegins(path: Path, header: Header, paths: readonly Path[]): void {
    const request = this.expected(path, header);
    if (request === null || request.op !== OP.READ) return;
    if (paths.some((other) => other.receivingSlot === header.slot)) return;
    path.receivingSlot = header.slot;
    path.connection.decoder.receiveInto(request.buffer, request.bufferOffset);
  }

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
    if (request.op === OP.READ && header.handle === STATUS.OK && !received) deliver(request, body, offset);
    if (request.op === OP.READ) request.attachment?.readTimes.add(tookMs);
    forgetReceivers(slot, paths);
    if (isMessage) {
      request.answers = path.takeParts(slot);
      request.answerAux = header.aux;
    }
    this.finish(request, slot, header.handle);
    request.received = null;
  }

  /**
   * Returns the request that this answer belongs to, or null if that request already has its result. If the path does not owe this answer,
   * closes the path and returns null (S3).
   */
  private expected(path: Path, header: Header): Request | null {
    if (!this.slots.owes(header.slot, header.seq, path.number)) {
      path.violation(`${frameName(header.op)} for slot ${header.slot} seq ${header.seq}, of which this path owes none`);
      return null;
    }
    const request = this.slots.requestOf(header.slot);
    if (request === null) return null;
    // Compare `count` only in I/O frames, because message frames use these bytes of the header for something else.
    const sameSize = frameEntry(request.op)?.shape === 'message' || header.count === request.count;
    if ((header.op & ~ANSWER) === request.op && sameSize) return request;
    path.violation(
      `${frameName(header.op)} of ${header.count} sectors in slot ${header.slot}, which holds ${frameName(request.op)} of ${request.count}`,
    );
    return null;
  }

  private finish(request: Request, slot: number, status: number): void {
    this.windowUsedBytes = counted(this.windowUsedBytes - request.bodyBytes, 'window bytes');
    request.slot = -1;
    this.slots.settle(slot);
    const attachment = request.attachment;
    if (attachment !== null) {
      attachment.slotsHeld = counted(attachment.slotsHeld - 1, 'slots of a volume');
      attachment.bytesHeld = counted(attachment.bytesHeld - request.bodyBytes, 'window bytes of a volume');
      attachment.growQuota();
      if (status === STATUS.STALE && attachment.keepStale(request)) return;
      attachment.answered(request, status);
    }
    const owner = request.events;
    assert(owner !== null, 'A request has no owner');
    owner.requestDone(request, status);
  }
}

/** Passes the receive buffer of a READ to its owner, or copies the data if the buffer has no room for a header in front of the data. */
function deliver(request: Request, body: Buffer, offset: number): void {
  if (request.takesReceived && offset >= HEADER_BYTES) {
    request.received = body;
    request.receivedOffset = offset;
  } else body.copy(request.buffer, request.bufferOffset, offset, offset + request.bodyBytes);
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
 * Discards the rest of every answer that is still arriving for the slot, so that it does not overwrite the request's buffer. Called when
 * the request has its result or was abandoned.
 */
function forgetReceivers(slot: number, paths: readonly Path[]): void {
  for (let index = 0; index < paths.length; index++) {
    const path = paths[index]!;
    if (path.receivingSlot !== slot) continue;
    path.receivingSlot = -1;
    path.connection.decoder.discardBody();
  }
}
