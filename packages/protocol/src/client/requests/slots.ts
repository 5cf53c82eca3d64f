// The client's side of the slot rules (docs/PROTOCOL.md, S1-S6). A slot holds one request and knows every path that still owes an answer
// to a copy of it. Invariant: a slot is free only when its result has come and every copy is answered on its own path or fenced (S4).
//
//   free --take--> out --first whole answer--> quarantined --last copy answered or fenced--> free
//                   \------- the same, when no other copy is open ---------------------------/
// Given up, it stays quarantined, whatever is answered, until REVOKED (S11).

import { assert } from '@rsio/common/lib/assert';
import { FixedQueue } from '@rsio/common/structures/fixed-queue';
import { SEQ_MODULUS } from '../../link/limits.ts';
import { SLOTS_RESERVED } from '../../wire/limits.ts';
import type { Request } from './request.ts';

interface Slot {
  seq: number;
  /** The request whose result has not come; null: free or quarantined. */
  request: Request | null;
  /** Paths that owe an answer to a copy: numbers, at most one entry per path (S2). */
  readonly copies: number[];
  isTaken: boolean;
  /** Sent on a second path because it was late on the first. */
  isHedged: boolean;
  /** Its request was given up: the handle that is to be revoked, and what the request counts in the window; NO_HANDLE: it was not. */
  fencedHandle: number;
  fencedBytes: number;
}

const NO_HANDLE = -1;

/** What an answer means: it brings the result; the result came before; nobody on this path was asked (S3: the server's error). */
export type AnswerKind = 'result' | 'extra' | 'violation';

export class Slots {
  readonly size: number;
  private readonly slots: Slot[] = [];
  /** In the order in which they became free, so that sequence numbers wrap as late as possible. */
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

  /** Slots whose result has come and whose copies are not all accounted for. */
  get quarantined(): number {
    return this.quarantinedCount;
  }

  /** Slots marked by `hedge` that are not free yet. */
  get hedged(): number {
    return this.hedgedCount;
  }

  /** Data requests leave the reserved slots to LIST, OPEN, CLOSE and FLUSH. */
  hasRoom(reserved: boolean): boolean {
    return this.free.length > (reserved ? 0 : SLOTS_RESERVED);
  }

  /** Occupies the longest free slot; the caller has checked `hasRoom`. */
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

  /** A copy is about to be sent on a path. */
  addCopy(index: number, path: number): void {
    const slot = this.at(index);
    if (!slot.isTaken || slot.copies.includes(path)) assert(false, `Slot ${index}: a second copy on path ${path}`);
    slot.copies.push(path);
  }

  /** Its request goes out on a second path because it is late on the first. */
  hedge(index: number): void {
    const slot = this.at(index);
    if (slot.isHedged) return;
    slot.isHedged = true;
    this.hedgedCount++;
  }

  /** Whether `path` owes an answer for this tag, without changing anything. */
  owes(index: number, seq: number, path: number): boolean {
    const slot = this.slots[index];
    return slot !== undefined && slot.isTaken && slot.seq === seq && slot.copies.includes(path);
  }

  /** Takes a whole answer that came on `path`. On `result` the caller finishes the request, then calls `settle`. */
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

  /** Frees the slot when its result has come and no copy is open. */
  settle(index: number): void {
    const slot = this.at(index);
    if (!slot.isTaken || slot.request !== null || slot.copies.length > 0 || slot.fencedHandle !== NO_HANDLE) return;
    slot.isTaken = false;
    this.quarantinedCount--;
    if (slot.isHedged) {
      slot.isHedged = false;
      this.hedgedCount--;
    }
    this.free.push(index);
  }

  /**
   * Gives up the requests of a handle for which `isOver` says true: their slots stay quarantined until `revoked`, or until a new session. Of a
   * request whose every copy went down with its path nobody knows whether the server has seen its seq.
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

  /** Pairs of slot and seq of what was given up of a handle. */
  tagsOf(handle: number): number[] {
    return this.slots.flatMap((slot, index) => (slot.fencedHandle === handle ? [index, slot.seq] : []));
  }

  /** Nothing of this handle can be executed any more, and the server has the seq of each of its slots. Gives the bytes they counted for. */
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

  /** The server has said that nothing of this path can be executed any more (S5): its copies count as answered. */
  fenced(path: number): void {
    for (let index = 0; index < this.size; index++) {
      if (removeValue(this.at(index).copies, path)) this.settle(index);
    }
  }

  /** Quarantined slots that wait for this path. */
  quarantinedOn(path: number): number {
    return this.slots.filter((slot) => slot.isTaken && slot.request === null && slot.copies.includes(path)).length;
  }

  /** Slots with an unanswered request of which no copy is open on any path for which `serves` says true. */
  unserved(serves: (path: number) => boolean): number[] {
    const found: number[] = [];
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      if (slot.request !== null && !slot.copies.some(serves)) found.push(index);
    }
    return found;
  }

  /** A new session (S9): every slot starts again; gives back the unanswered requests. */
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
    // Made here only: a sentence for each look would cost more than the look.
    if (slot === undefined) assert(false, `No slot ${index}`);
    return slot;
  }
}

function removeValue(list: number[], value: number): boolean {
  const at = list.indexOf(value);
  if (at < 0) return false;
  // Not by its length: setting that costs more than all the rest.
  const last = list.pop()!;
  if (at < list.length) list[at] = last;
  return true;
}
