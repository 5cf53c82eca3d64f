// Rule O1: a client never has two overlapping changes (WRITE, ZERO or DISCARD) to one volume in flight. The later change waits until the
// earlier one is answered. Waiting changes are released in order of arrival, so that small changes do not starve a large one. READs are not
// tracked. Invariant: no two ranges of the first `count` requests in `inFlight` share a sector.

import { FLAG, OP } from '../../wire/frames.ts';
import { sectorsOf } from '../../wire/header.ts';
import type { Request } from './request.ts';

export function changesContent(op: number): boolean {
  return op === OP.WRITE || op === OP.ZERO || op === OP.DISCARD;
}

export class OverlapTracker {
  /** This array never shrinks, because repeated shrinking and growing would reallocate the array each time. */
  private readonly inFlight: Request[] = [];
  private count = 0;
  private readonly waiting: Request[] = [];

  /**
   * Returns true if the request may be sent; the request then counts as in flight until `leave` is called for it. Returns false if the
   * request must wait until `leave` releases it.
   */
  enter(request: Request): boolean {
    if (!changesContent(request.op)) return true;
    request.rangeEnd = request.lba + sectorsOf(request.op, request.flags & FLAG.WIDE, request.count);
    if (this.overlapsInFlight(request) || overlapsAny(this.waiting, this.waiting.length, request)) {
      this.waiting.push(request);
      return false;
    }
    this.inFlight[this.count++] = request;
    return true;
  }

  /** Called when a request was answered. Calls `release` for each waiting request that may now be sent. */
  leave(request: Request, release: (released: Request) => void): void {
    if (request.rangeEnd === 0) return;
    request.rangeEnd = 0;
    for (let at = 0; at < this.count; at++) {
      if (this.inFlight[at] !== request) continue;
      this.inFlight[at] = this.inFlight[--this.count]!;
      break;
    }
    if (this.waiting.length > 0) this.releaseWaiting(release);
  }

  takeWaiting(): Request[] {
    for (const request of this.waiting) request.rangeEnd = 0;
    return this.waiting.splice(0);
  }

  private releaseWaiting(release: (released: Request) => void): void {
    const before: Request[] = [];
    for (const request of this.waiting.splice(0)) {
      if (this.overlapsInFlight(request) || overlapsAny(before, before.length, request)) {
        before.push(request);
      } else {
        this.inFlight[this.count++] = request;
        release(request);
      }
    }
    this.waiting.push(...before);
  }

  private overlapsInFlight(request: Request): boolean {
    return overlapsAny(this.inFlight, this.count, request);
  }
}

function overlapsAny(list: readonly Request[], count: number, request: Request): boolean {
  for (let index = 0; index < count; index++) {
    const other = list[index]!;
    if (other.lba < request.rangeEnd && request.lba < other.rangeEnd) return true;
  }
  return false;
}
