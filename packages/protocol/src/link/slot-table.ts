// Implements the server's side of the slot rules (docs/PROTOCOL.md, S1). For each slot, the table keeps the tag of the last request, the
// state and outcome of that request, and the paths that are owed an answer. Invariant: a request is returned as `new` at most once, and
// every copy is answered exactly once, on the path that brought it. Rules: S11.

import { assert, counted } from '@rsio/base/lib/assert';
import { OP } from '../wire/frames.ts';
import { SEQ_MODULUS } from './limits.ts';
import type { Header } from '../wire/header.ts';
import { STATUS } from '../wire/status.ts';

/**
 * `new`: execute the request. `executing`: the request is a copy, which is answered when the execution ends. `done`: the request is a copy;
 * answer it from the slot now, or execute it again if it is a READ. `stale`: drop the request. `violation`: a correct client does not send
 * this request.
 */
export type Receipt = 'new' | 'executing' | 'done' | 'stale' | 'violation';

/**
 * The states of a slot. A request with the last seq of the slot is a copy. A request with neither the last nor the next seq is stale.
 *
 *     idle or done --next seq--> executing --finish--> done
 *     idle or done --next seq, abandoned before it arrived--> done with status STALE, never executed
 */
interface Entry {
  seq: number;
  state: 'idle' | 'executing' | 'done';
  op: number;
  flags: number;
  handle: number;
  /**
   * lba and count of an I/O request; in a message request, the bytes of the header that hold length and aux. A copy of the request must
   * have the same values.
   */
  lba: number;
  count: number;
  status: number;
  /** Small result of a message request; kept because the request must not be executed twice. */
  result: Buffer | null;
  resultAux: number;
  /** Time at which the execution began; Infinity while the request is held. */
  startedMs: number;
  bodyBytes: number;
  /**
   * The first path that is owed the answer, or NOBODY. Only further paths, which are rare, are kept in an array, because emptying an array
   * for each request would cost an allocation.
   */
  owedFirst: number;
  readonly owedMore: number[];
}

const NOBODY = -1;
/** Op of a request that was abandoned before it arrived; the real op is unknown. */
const ANY_OP = 0;

export class SlotTable {
  readonly size: number;
  private readonly entries: Entry[] = [];
  private executingSlots = 0;
  private executingBytesNow = 0;
  staleDropped = 0;

  constructor(size: number) {
    this.size = size;
    for (let index = 0; index < size; index++) {
      this.entries.push({
        seq: 0,
        state: 'idle',
        op: 0,
        flags: 0,
        handle: 0,
        lba: 0,
        count: 0,
        status: 0,
        result: null,
        resultAux: 0,
        startedMs: 0,
        bodyBytes: 0,
        owedFirst: NOBODY,
        owedMore: [],
      });
    }
  }

  get executing(): number {
    return this.executingSlots;
  }

  get executingBytes(): number {
    return this.executingBytesNow;
  }

  /**
   * Takes a complete request that was received on `path`. `bodyBytes` is the size of the body that the request moves in either direction.
   */
  receive(header: Header, path: number, bodyBytes: number, nowMs: number): Receipt {
    const entry = this.entries[header.slot];
    if (entry === undefined) return 'violation';
    if (header.seq === (entry.seq + 1) % SEQ_MODULUS) return this.begin(entry, header, path, bodyBytes, nowMs);
    if (header.seq !== entry.seq || entry.state === 'idle') {
      this.staleDropped++;
      return 'stale';
    }
    const isSame =
      (entry.op === ANY_OP && entry.handle === header.handle) ||
      (entry.op === header.op &&
        entry.flags === header.flags &&
        entry.handle === header.handle &&
        entry.lba === header.lba &&
        entry.count === header.count);
    if (!isSame) return 'violation';
    if (entry.state === 'done') return 'done';
    // Rule S2 forbids two unanswered copies of one tag on one path.
    if (entry.owedFirst === path || entry.owedMore.includes(path)) return 'violation';
    entry.owedMore.push(path);
    return 'executing';
  }

  /** Holds a request, for example because of a limit: it does not count as executing and has no age until `begins` is called. */
  hold(slot: number): void {
    this.at(slot).startedMs = Number.POSITIVE_INFINITY;
  }

  begins(slot: number, nowMs: number): void {
    this.at(slot).startedMs = nowMs;
  }

  /** Records that a request has been executed, and returns the paths that are owed an answer, in order of arrival. */
  finish(slot: number, status: number, result: Buffer | null = null, resultAux = 0): number[] {
    const entry = this.at(slot);
    assert(entry.state === 'executing', `Slot ${slot} ends while ${entry.state}`);
    entry.state = 'done';
    entry.status = status;
    entry.result = result;
    entry.resultAux = resultAux;
    this.executingSlots = counted(this.executingSlots - 1, 'executing slots');
    this.executingBytesNow = counted(this.executingBytesNow - entry.bodyBytes, 'executing bytes');
    const owed = entry.owedFirst === NOBODY ? [] : [entry.owedFirst];
    owed.push(...entry.owedMore);
    freeOwed(entry);
    return owed;
  }

  /**
   * Records that a request was executed during the same call that received it. Only the path that brought the request is owed an answer.
   */
  finishAtOnce(slot: number, status: number): void {
    const entry = this.at(slot);
    if (entry.state !== 'executing') assert(false, `Slot ${slot} ends while ${entry.state}`);
    entry.state = 'done';
    entry.status = status;
    entry.result = null;
    freeOwed(entry);
    this.executingSlots = counted(this.executingSlots - 1, 'executing slots');
    this.executingBytesNow = counted(this.executingBytesNow - entry.bodyBytes, 'executing bytes');
  }

  /**
   * Records that the client has abandoned the request with this tag. A request that has already arrived is completed normally. A request
   * that has not arrived counts as answered with STALE, so that a late copy gets this answer and is not executed. Returns false if a
   * correct client would never report this tag as abandoned.
   */
  abandon(slot: number, seq: number, handle: number): boolean {
    const entry = this.entries[slot];
    if (entry === undefined) return false;
    if (entry.state !== 'idle' && seq === entry.seq) return entry.handle === handle;
    if (entry.state === 'executing' || seq !== (entry.seq + 1) % SEQ_MODULUS) return false;
    entry.seq = seq;
    entry.state = 'done';
    entry.op = ANY_OP;
    entry.handle = handle;
    entry.status = STATUS.STALE;
    entry.result = null;
    return true;
  }

  /** Removes a closed path; answers are no longer owed on this path. */
  forget(path: number): void {
    for (const entry of this.entries) {
      if (entry.owedFirst === path) entry.owedFirst = NOBODY;
      const at = entry.owedMore.indexOf(path);
      if (at >= 0) entry.owedMore.splice(at, 1);
    }
  }

  outcome(slot: number): { readonly status: number; readonly result: Buffer | null; readonly resultAux: number } {
    const entry = this.at(slot);
    assert(entry.state === 'done', `Slot ${slot} has no outcome: it is ${entry.state}`);
    return entry;
  }

  /**
   * Age of the oldest request that is being executed, in ms; 0 if there is none. ADMIN and VOTE do not count, because they do not wait for
   * the storage of a volume.
   */
  oldestMs(nowMs: number): number {
    if (this.executingSlots === 0) return 0;
    let oldest = 0;
    for (const entry of this.entries)
      if (entry.state === 'executing' && entry.op !== OP.ADMIN && entry.op !== OP.VOTE) oldest = Math.max(oldest, nowMs - entry.startedMs);
    return oldest;
  }

  /** Age of the oldest request of this handle that is being executed, in ms; 0 if there is none. */
  oldestOfMs(handle: number, nowMs: number): number {
    let oldest = 0;
    for (const entry of this.entries)
      if (entry.state === 'executing' && entry.handle === handle) oldest = Math.max(oldest, nowMs - entry.startedMs);
    return oldest;
  }

  /** True if any request of this handle is being executed, apart from the request in `exceptSlot`. */
  isExecuting(handle: number, exceptSlot: number): boolean {
    return this.entries.some((entry, slot) => slot !== exceptSlot && entry.state === 'executing' && entry.handle === handle);
  }

  private begin(entry: Entry, header: Header, path: number, bodyBytes: number, nowMs: number): Receipt {
    if (entry.state === 'executing') return 'violation';
    entry.seq = header.seq;
    entry.state = 'executing';
    entry.op = header.op;
    entry.flags = header.flags;
    entry.handle = header.handle;
    entry.lba = header.lba;
    entry.count = header.count;
    entry.result = null;
    entry.startedMs = nowMs;
    entry.bodyBytes = bodyBytes;
    entry.owedFirst = path;
    this.executingSlots++;
    this.executingBytesNow += bodyBytes;
    return 'new';
  }

  private at(slot: number): Entry {
    const entry = this.entries[slot];
    // The text is made only on failure, because it costs more than the rest of this function.
    if (entry === undefined) assert(false, `No slot ${slot}`);
    return entry;
  }
}

function freeOwed(entry: Entry): void {
  entry.owedFirst = NOBODY;
  if (entry.owedMore.length > 0) entry.owedMore.length = 0;
}
