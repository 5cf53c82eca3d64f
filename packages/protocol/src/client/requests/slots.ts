// Implements the client's side of the slot rules (docs/PROTOCOL.md, S1 to S6). A slot holds one request and records every path that still
// owes an answer to a copy of the request. Invariant: a slot becomes free only after its result has arrived and every copy was answered on
// its own path or fenced (S4).

import { assert, counted } from '@rsio/base/lib/assert';
import { FixedQueue } from '@rsio/base/structures/fixed-queue';
import { SEQ_MODULUS } from '../../link/limits.ts';
import { SLOTS_RESERVED } from '../../wire/limits.ts';
import type { Request } from './request.ts';

/**
 * The first complete answer frees the slot, or puts the slot into quarantine if another copy is unanswered. A quarantined slot becomes free
 * when the last copy of its request is answered or fenced. The slot of an abandoned request stays quarantined until REVOKED arrives, even
 * if all copies are answered earlier (S11).
 */
interface Slot {
  seq: number;
  /** The request whose result has not arrived; null if the slot is free or quarantined. */
  request: Request | null;
  /** Numbers of the paths that owe an answer to a copy, at most one entry for each path (S2). */
  readonly copies: number[];
  isTaken: boolean;
  /** True if the request was copied to a second path because it was late on the first path. */
  isHedged: boolean;
  /**
   * `fencedHandle`: for an abandoned request, the handle that must be revoked before the slot becomes free; otherwise NO_HANDLE.
   * `fencedBytes`: number of window bytes that the abandoned request uses.
   */
  fencedHandle: number;
  fencedBytes: number;
}

const NO_HANDLE = -1;

/**
 * Meaning of an answer. `result`: this is the first answer to the request. `extra`: the result had already arrived, or the request was
 * abandoned. `violation`: this path owes no such answer, which is a protocol error of the server (S3).
 */
export type AnswerKind = 'result' | 'extra' | 'violation';

export class Slots {
  readonly size: number;
  private readonly slots: Slot[] = [];
  /** Free slots, in the order in which they became free, so that sequence numbers wrap as late as possible. */
  private readonly free: FixedQueue<number>;
  private quarantinedCount = 0;
  private hedgedCount = 0;

  constructor(size: number) {
    this.size = size;
    this.free = new FixedQueue<number>(size);
    for (let index = 0; index < size; index++) {
      this.slots.push({ seq: 0, request: null, copies: [], isTaken: false, isHedged: false, fencedHandle: NO_HANDLE, fencedBytes: 0 });
      this.free.push(index);
    }
  }

  get freeCount(): number {
    return this.free.length;
  }

  /** Number of occupied slots whose request has its result or was abandoned. */
  get quarantined(): number {
    return this.quarantinedCount;
  }

  get hedged(): number {
    return this.hedgedCount;
  }

  /**
   * True if a slot is free. `reserved`: true if the request may use the reserved slots, which are kept free for LIST, OPEN, CLOSE and
   * FLUSH.
   */
  hasRoom(reserved: boolean): boolean {
    return this.free.length > (reserved ? 0 : SLOTS_RESERVED);
  }

  /** Assigns to the request the slot that has been free for the longest time. The caller must have checked `hasRoom`. */
  take(request: Request): number {
    const index = this.free.shift();
    assert(index !== undefined, 'No free slot');
    const slot = this.at(index);
    slot.seq = (slot.seq + 1) % SEQ_MODULUS;
    slot.request = request;
    slot.isTaken = true;
    request.slot = index;
    return index;
  }

  seqOf(index: number): number {
    return this.at(index).seq;
  }

  requestOf(index: number): Request | null {
    return this.at(index).request;
  }

  copiesOf(index: number): readonly number[] {
    return this.at(index).copies;
  }

  addCopy(index: number, path: number): void {
    const slot = this.at(index);
    if (!slot.isTaken || slot.copies.includes(path)) assert(false, `Slot ${index}: a second copy on path ${path}`);
    slot.copies.push(path);
  }

  hedge(index: number): void {
    const slot = this.at(index);
    if (slot.isHedged) return;
    slot.isHedged = true;
    this.hedgedCount++;
  }

  /** True if `path` owes an answer for this tag (slot and seq). Changes nothing. */
  owes(index: number, seq: number, path: number): boolean {
    const slot = this.slots[index];
    return slot !== undefined && slot.isTaken && slot.seq === seq && slot.copies.includes(path);
  }

  /**
   * Accounts for a complete answer that arrived on `path`. If this method returns `result`, the caller must finish the request and then
   * call `settle`.
   */
  answer(index: number, seq: number, path: number): AnswerKind {
    if (!this.owes(index, seq, path)) return 'violation';
    const slot = this.at(index);
    removeValue(slot.copies, path);
    if (slot.request === null) {
      this.settle(index);
      return 'extra';
    }
    slot.request = null;
    this.quarantinedCount++;
    return 'result';
  }

  /** Frees the slot if its result has arrived, no copy is unanswered, and the slot does not wait for a handle to be revoked. */
  settle(index: number): void {
    const slot = this.at(index);
    if (!slot.isTaken || slot.request !== null || slot.copies.length > 0 || slot.fencedHandle !== NO_HANDLE) return;
    slot.isTaken = false;
    this.quarantinedCount = counted(this.quarantinedCount - 1, 'quarantined slots');
    if (slot.isHedged) {
      slot.isHedged = false;
      this.hedgedCount = counted(this.hedgedCount - 1, 'hedged slots');
    }
    this.free.push(index);
  }

  /**
   * Abandons and returns the requests for which `isOver` is true; all of them must use `handle`. The client cannot know whether the server
   * has seen the seq of a request whose copies were all lost with their paths.
   */
  abandon(handle: number, isOver: (request: Request) => boolean): Request[] {
    const given: Request[] = [];
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      const { request } = slot;
      if (request === null || !isOver(request)) continue;
      slot.request = null;
      slot.fencedHandle = handle;
      slot.fencedBytes = request.bodyBytes;
      request.slot = -1;
      this.quarantinedCount++;
      given.push(request);
    }
    return given;
  }

  /** Pairs of slot and seq of the abandoned requests of a handle. */
  tagsOf(handle: number): number[] {
    return this.slots.flatMap((slot, index) => (slot.fencedHandle === handle ? [index, slot.seq] : []));
  }

  /**
   * Called when the server can no longer execute any request of this handle and has recorded the seqs of the abandoned requests. Returns
   * the number of window bytes that become free.
   */
  revoked(handle: number): number {
    let freedBytes = 0;
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      if (slot.fencedHandle !== handle) continue;
      freedBytes += slot.fencedBytes;
      slot.fencedHandle = NO_HANDLE;
      slot.fencedBytes = 0;
      this.settle(index);
    }
    return freedBytes;
  }

  /** Called when the server can no longer execute any request from this path (S5); the copies on the path then count as answered. */
  fenced(path: number): void {
    for (let index = 0; index < this.size; index++) {
      if (removeValue(this.at(index).copies, path)) this.settle(index);
    }
  }

  quarantinedOn(path: number): number {
    return this.slots.filter((slot) => slot.isTaken && slot.request === null && slot.copies.includes(path)).length;
  }

  /** Returns the slots with unanswered requests that are not in flight on any path accepted by `serves`. */
  unserved(serves: (path: number) => boolean): number[] {
    const found: number[] = [];
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      if (slot.request !== null && !slot.copies.some(serves)) found.push(index);
    }
    return found;
  }

  /** Called when a new session has begun (S9): resets every slot and returns the unanswered requests. */
  restart(): Request[] {
    const unanswered: Request[] = [];
    this.free.clear();
    this.quarantinedCount = 0;
    this.hedgedCount = 0;
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      if (slot.request !== null) unanswered.push(slot.request);
      slot.seq = 0;
      slot.request = null;
      slot.copies.length = 0;
      slot.isTaken = false;
      slot.isHedged = false;
      slot.fencedHandle = NO_HANDLE;
      slot.fencedBytes = 0;
      this.free.push(index);
    }
    for (const request of unanswered) request.slot = -1;
    return unanswered;
  }

  private at(index: number): Slot {
    const slot = this.slots[index];
    // Build the message only on failure, because formatting it costs more than the lookup.
    if (slot === undefined) assert(false, `No slot ${index}`);
    return slot;
  }
}

function removeValue(list: number[], value: number): boolean {
  const at = list.indexOf(value);
  if (at < 0) return false;
  // Shorten the list with pop(), because assigning its length would cost more than the rest of this function.
  const last = list.pop()!;
  if (at < list.length) list[at] = last;
  return true;
}
