// The client's side of the slot rules (docs/PROTOCOL.md, S1-S6). A slot holds one request and knows every path that still owes an answer to
// a copy of it. Choosing paths is scheduler.ts' job. Invariant: a slot is free only after its result arrived and every copy was answered on
// its own path or fenced (S4).
//   free --take--> out --first complete answer--> quarantined --last copy answered or fenced--> free
//                   \------- the same, when no other copy is open ---------------------------/
// The slot of an abandoned request stays quarantined, whatever is answered, until REVOKED (S11).

import { assert } from '@rsio/common/lib/assert';
import { FixedQueue } from '@rsio/common/structures/fixed-queue';
import { SEQ_MODULUS } from '../../link/limits.ts';
import { SLOTS_RESERVED } from '../../wire/limits.ts';
import type { Request } from './request.ts';

interface Slot {
  seq: number;
  /** The request whose result has not arrived; null if the slot is free or quarantined. */
  request: Request | null;
  /** Numbers of the paths that owe an answer to a copy, at most one entry for each path (S2). */
  readonly copies: number[];
  isTaken: boolean;
  /** True if the request was copied to a second path because it was late on the first. */
  isHedged: boolean;
  /**
   * For an abandoned request: the handle whose revocation the slot awaits, and the bytes that the request uses in the window. The handle is
   * NO_HANDLE if the request was not abandoned.
   */
  fencedHandle: number;
  fencedBytes: number;
}

const NO_HANDLE = -1;

/**
 * Meaning of an answer. `result`: it brings the result. `extra`: the result had already arrived. `violation`: this path owes no answer (S3,
 * an error of the server).
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

  /** Number of slots whose result has arrived but whose copies are not all accounted for. */
  get quarantined(): number {
    return this.quarantinedCount;
  }

  /** Number of slots marked by `hedge` that are not free yet. */
  get hedged(): number {
    return this.hedgedCount;
  }

  /**
   * True if a slot is free. `reserved`: the request may use the reserved slots, which data requests leave to LIST, OPEN, CLOSE and FLUSH.
   */
  hasRoom(reserved: boolean): boolean {
    return this.free.length > (reserved ? 0 : SLOTS_RESERVED);
  }

  /** Occupies the slot that has been free for longest. The caller has checked `hasRoom`. */
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

  /** The slot's request is being copied to a second path because it is late on the first. */
  hedge(index: number): void {
    const slot = this.at(index);
    if (slot.isHedged) return;
    slot.isHedged = true;
    this.hedgedCount++;
  }

  /** True if `path` owes an answer for this tag. Changes nothing. */
  owes(index: number, seq: number, path: number): boolean {
    const slot = this.slots[index];
    return slot !== undefined && slot.isTaken && slot.seq === seq && slot.copies.includes(path);
  }

  /** Accounts for a complete answer that arrived on `path`. After `result` the caller finishes the request and then calls `settle`. */
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

  /** Frees the slot if its result has arrived and no copy is open. */
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
   * Abandons the requests of a handle for which `isOver` is true, and returns them. Their slots stay quarantined until `revoked` or a new
   * session: if every copy of a request was lost with its path, the client does not know whether the server has seen its seq.
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
   * The server will not execute any more requests of this handle and has recorded the seq of each of its slots. Returns the bytes of the
   * window that these slots used.
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

  /** The server will not execute any more requests from this path (S5): the copies on it count as answered. */
  fenced(path: number): void {
    for (let index = 0; index < this.size; index++) {
      if (removeValue(this.at(index).copies, path)) this.settle(index);
    }
  }

  /** Number of quarantined slots that wait for this path. */
  quarantinedOn(path: number): number {
    return this.slots.filter((slot) => slot.isTaken && slot.request === null && slot.copies.includes(path)).length;
  }

  /** Slots with an unanswered request and no open copy on a path for which `serves` is true. */
  unserved(serves: (path: number) => boolean): number[] {
    const found: number[] = [];
    for (let index = 0; index < this.size; index++) {
      const slot = this.at(index);
      if (slot.request !== null && !slot.copies.some(serves)) found.push(index);
    }
    return found;
  }

  /** A new session has begun (S9): resets every slot and returns the unanswered requests. */
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
  // Use pop(), because assigning the length costs more than all the rest.
  const last = list.pop()!;
  if (at < list.length) list[at] = last;
  return true;
}
