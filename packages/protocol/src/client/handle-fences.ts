// Handles whose I/O was given up while it was out (docs/PROTOCOL.md S11): the server is asked by REVOKE, on a living path, again on another
// when that one dies or falls silent, and says REVOKED when nothing of the handle can run any more. Leaves slots to the dispatcher. Invariant:
// who waits is told once, after REVOKED or after another session has begun; each REVOKE of a handle names the same tags.

import type { Clock } from '@rsio/common/lib/clock';
import { REVOKE_TAGS_MAX } from '../wire/limits.ts';
import { REVOKES_MAX } from './limits.ts';
import type { Attachment } from './attachment.ts';
import { type FencedKind, Fences } from './fences.ts';
import type { Path } from './paths/path.ts';

interface Fenced {
  readonly attachment: Attachment;
  /** Pairs of slot and seq. */
  readonly tags: readonly number[];
  readonly waiting: (() => void)[];
}

export class HandleFences {
  private readonly clock: Clock;
  private readonly asks = new Fences();
  private readonly byHandle = new Map<number, Fenced>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The handle of an attachment, of which this was out, is to be revoked. False: that would be past the bounds. */
  begin(attachment: Attachment, tags: readonly number[]): boolean {
    if (this.byHandle.size >= REVOKES_MAX || tags.length > 2 * REVOKE_TAGS_MAX) return false;
    this.byHandle.set(attachment.handle, { attachment, tags, waiting: [] });
    this.asks.add(attachment.handle);
    attachment.fence();
    return true;
  }

  /** Calls `over` when nothing that was given up of an attachment can run any more: now, or later. */
  whenOver(attachment: Attachment, over: () => void): void {
    for (const fenced of this.byHandle.values()) {
      if (fenced.attachment !== attachment) continue;
      fenced.waiting.push(over);
      return;
    }
    over();
  }

  /** Handles that are being revoked. */
  get count(): number {
    return this.asks.count;
  }

  ask(on: Path): void {
    for (const handle of this.asks.unasked()) {
      if (this.asks.ask(handle, on.number)) on.revoke(handle, this.byHandle.get(handle)?.tags ?? []);
    }
  }

  pathDied(path: number): void {
    this.asks.pathGone(path);
  }

  distrust(path: number): void {
    this.asks.distrust(path);
  }

  /** REVOKED for `handle` came on `on`; the slots are the caller's, and come before `over`. */
  answered(handle: number, on: number): FencedKind {
    return this.asks.answered(handle, on);
  }

  over(handle: number): void {
    const fenced = this.byHandle.get(handle);
    this.byHandle.delete(handle);
    if (fenced === undefined) return;
    fenced.attachment.unfence();
    for (const over of fenced.waiting) this.clock.soon(over);
  }

  /** A new session has begun, and the one of these handles has ended (S9). */
  restart(): void {
    const all = [...this.byHandle.values()];
    this.asks.restart();
    this.byHandle.clear();
    for (const { waiting } of all) for (const over of waiting) this.clock.soon(over);
  }
}
