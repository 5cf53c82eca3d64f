// A volume opened by this client over one trunk: what waits to be sent, what is out, and the order in which a new session takes up
// what the old one left (docs/PROTOCOL.md, R2): first the unanswered WRITE, ZERO and DISCARD; when all of them are answered, the rest.
// Invariant: while the phase is not `ready`, nothing but those leaves; and no two overlapping of them are ever out together (O1).
//
//   opening --OPEN answered--> resending --all resent writes answered--> ready --session lost--> opening
//   any of them --> failed (identity changed, refused for good)   any --> closed

import { assert } from '../lib/assert.ts';
import { checkMove, type StateTable } from '../lib/state-table.ts';
import type { OpenAnswer } from '../wire/messages.ts';
import { changesContent, OverlapTracker } from './overlap.ts';
import type { Request } from './request.ts';

export type AttachmentPhase = 'opening' | 'resending' | 'ready' | 'failed' | 'closed';

const PHASES: StateTable<AttachmentPhase> = {
  opening: ['resending', 'failed', 'closed', 'opening'],
  resending: ['ready', 'opening', 'failed', 'closed'],
  ready: ['opening', 'failed', 'closed'],
  failed: ['closed'],
  closed: [],
};

/** Told when an attachment's standing may have changed; it must not act on the attachment before the call has returned. */
export interface AttachmentWatcher {
  standingChanged(): void;
}

/** `halted`: nothing can be sent; `recovering`: only what a new session takes up; `over`: it has failed or is closed. */
export type Standing = 'ready' | 'recovering' | 'halted' | 'over';

export class Attachment {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  phase: AttachmentPhase = 'opening';
  /** What the server answered to the last OPEN, but never smaller than it has been; null before the first. */
  volume: OpenAnswer | null = null;
  /** Why it waits or failed, for people. */
  reason = 'Not opened yet';
  /** An OPEN is under way or planned. */
  openAsked = false;
  slotsHeld = 0;
  watcher: AttachmentWatcher | null = null;
  private isReachable = false;
  private readonly overlaps = new OverlapTracker();
  /** May be sent now, apart from the phase. */
  private sendable: Request[] = [];
  private sendableHead = 0;
  /** Unanswered changes of the old session, to be sent before all else. */
  private resends: Request[] = [];
  private resendsOut = 0;

  constructor(name: string, universe: number, readonly: boolean) {
    this.name = name;
    this.universe = universe;
    this.readonly = readonly;
  }

  get hasSendable(): boolean {
    if (this.phase === 'ready') return this.sendableHead < this.sendable.length;
    return this.phase === 'resending' && this.resends.length > 0;
  }

  get standing(): Standing {
    if (this.phase === 'failed' || this.phase === 'closed') return 'over';
    if (!this.isReachable || this.phase === 'opening') return 'halted';
    return this.phase === 'resending' ? 'recovering' : 'ready';
  }

  /** The trunk has a path, or none. */
  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable;
    this.watcher?.standingChanged();
  }

  get handle(): number {
    return this.volume?.handle ?? 0;
  }

  moveTo(phase: AttachmentPhase, reason: string): void {
    checkMove(PHASES, this.phase, phase, `Attachment ${this.name}`);
    this.phase = phase;
    this.reason = reason;
    this.watcher?.standingChanged();
  }

  /** A new request; it stays here until `next` gives it out. */
  add(request: Request): void {
    if (this.overlaps.enter(request)) this.sendable.push(request);
  }

  peek(): Request {
    const request = this.phase === 'resending' ? this.resends[this.resends.length - 1] : this.sendable[this.sendableHead];
    assert(request !== undefined, `Attachment ${this.name} has nothing to send`);
    return request;
  }

  /** Takes out what `peek` showed. */
  next(): Request {
    const request = this.peek();
    if (this.phase === 'resending') {
      this.resends.pop();
      this.resendsOut++;
      return request;
    }
    this.sendableHead++;
    if (this.sendableHead === this.sendable.length) {
      this.sendable.length = 0;
      this.sendableHead = 0;
    } else if (this.sendableHead >= 1024) {
      this.sendable.splice(0, this.sendableHead);
      this.sendableHead = 0;
    }
    return request;
  }

  /** A request given out by `next` was answered. */
  answered(request: Request): void {
    if (this.phase === 'resending' && changesContent(request.op)) {
      this.resendsOut--;
      this.leaveResending();
    }
    this.overlaps.leave(request, (released) => this.sendable.push(released));
  }

  /** The session is gone: `unanswered` are those of this attachment that were out. The next session takes them up again. */
  sessionLost(unanswered: readonly Request[], reason: string): void {
    this.slotsHeld = 0;
    this.openAsked = false;
    this.resendsOut = 0;
    const others = unanswered.filter((request) => !changesContent(request.op));
    this.resends.push(...unanswered.filter((request) => changesContent(request.op)));
    this.sendable = [...others, ...this.sendable.slice(this.sendableHead)];
    this.sendableHead = 0;
    if (this.phase !== 'failed' && this.phase !== 'closed') this.moveTo('opening', reason);
  }

  /** OPEN was answered in the new session. */
  opened(volume: OpenAnswer): void {
    this.volume = { ...volume, sizeBytes: Math.max(volume.sizeBytes, this.volume?.sizeBytes ?? 0) };
    this.moveTo('resending', 'Requests of the last session are sent again');
    this.leaveResending();
  }

  /** The server says that the volume has this size, in bytes. False: it is not larger than it was; who uses it never sees it shrink. */
  grow(sizeBytes: number): boolean {
    const { volume } = this;
    if (volume === null || sizeBytes <= volume.sizeBytes) return false;
    this.volume = { ...volume, sizeBytes };
    return true;
  }

  /** Its I/O is given up: what is here is taken out; `sent` are those that were out, which stand in nobody's way any more. */
  giveUp(sent: readonly Request[]): Request[] {
    const waiting = this.takeAll();
    this.resendsOut = 0;
    for (const request of sent) this.overlaps.leave(request, () => {});
    return waiting;
  }

  /** Everything that is here and not out, taken out: the attachment ends. */
  takeAll(): Request[] {
    const all = [...this.resends, ...this.sendable.slice(this.sendableHead), ...this.overlaps.takeWaiting()];
    this.resends = [];
    this.sendable = [];
    this.sendableHead = 0;
    for (const request of all) this.overlaps.leave(request, () => {});
    return all;
  }

  private leaveResending(): void {
    if (this.resends.length === 0 && this.resendsOut === 0) this.moveTo('ready', '');
  }
}
