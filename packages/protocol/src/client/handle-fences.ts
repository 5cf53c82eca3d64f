// Revokes handles whose I/O in flight was abandoned (docs/PROTOCOL.md S11), and handles that an attachment left at this server when its
// volume moved to another server (F9). If the path that carries REVOKE dies or falls silent, the client sends REVOKE again on another path.
// The server answers REVOKED when it can no longer execute any request of the handle. Invariants: each waiting caller is notified once,
// after REVOKED or when a new session has begun. Every REVOKE of a handle names the same requests.

import type { Clock } from '@rsio/base/lib/clock';
import { REVOKE_TAGS_MAX } from '../wire/limits.ts';
import { REVOKES_MAX } from './limits.ts';
import type { Attachment } from './attachment.ts';
import { type FencedKind, Fences } from './fences.ts';
import type { Path } from './paths/path.ts';

interface Fenced {
  readonly attachment: Attachment;
  /** False if the attachment has left this server; it must then no longer be notified about the handle. */
  isHere: boolean;
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

  /**
   * Starts to revoke a handle of an attachment. `tags`: the abandoned requests, as pairs of slot and seq. `isHere`: false if the attachment
   * has left this server. Returns false if too many other handles are being revoked, or if there are too many tags.
   */
  begin(attachment: Attachment, handle: number, tags: readonly number[], isHere: boolean): boolean {
    if (this.byHandle.size >= REVOKES_MAX || tags.length > 2 * REVOKE_TAGS_MAX) return false;
    this.byHandle.set(handle, { attachment, isHere, tags, waiting: [] });
    this.asks.add(handle);
    if (isHere) attachment.fence();
    return true;
  }

  /** Called when the attachment leaves this server. A REVOKED that arrives later must not end a fence at the attachment's next server. */
  leave(attachment: Attachment): void {
    for (const fenced of this.byHandle.values()) if (fenced.attachment === attachment) fenced.isHere = false;
  }

  whenOver(attachment: Attachment, over: () => void): void {
    for (const fenced of this.byHandle.values()) {
      if (fenced.attachment !== attachment) continue;
      fenced.waiting.push(over);
      return;
    }
    over();
  }

  get count(): number {
    return this.asks.count;
  }

  ask(on: Path): void {
    for (const handle of this.asks.unrequested()) {
      if (this.asks.request(handle, on.number)) on.revoke(handle, this.byHandle.get(handle)?.tags ?? []);
    }
  }

  pathDied(path: number): void {
    this.asks.pathGone(path);
  }

  distrust(path: number): void {
    this.asks.distrust(path);
  }

  /** If the result is `fenced`, the caller must free the slots and then call `over`. */
  answered(handle: number, on: number): FencedKind {
    return this.asks.answered(handle, on);
  }

  over(handle: number): void {
    const fenced = this.byHandle.get(handle);
    this.byHandle.delete(handle);
    if (fenced === undefined) return;
    if (fenced.isHere) fenced.attachment.unfence();
    for (const over of fenced.waiting) this.clock.soon(over);
  }

  /** Called when a new session has begun: the old session and all its handles have ended (S9). */
  restart(): void {
    const all = [...this.byHandle.values()];
    this.asks.restart();
    this.byHandle.clear();
    for (const { waiting } of all) for (const over of waiting) this.clock.soon(over);
  }
}
