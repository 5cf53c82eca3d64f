// The target of an ordinary volume: one attachment on one trunk. If the volume moves to another server (F9), the trunk is replaced.
// Invariant: passing a request through this class costs one function call and no memory.

import type { HeldBy, StorageReport } from '../link/heartbeat.ts';
import { OP } from '../wire/frames.ts';
import type { OpenAnswer } from '../wire/messages.ts';
import type { Attachment, AttachmentEvents, Standing } from './attachment.ts';
import type { Request } from './requests/request.ts';
import { callSession, type SessionAnswer } from './session-call.ts';
import type { Trunk } from './trunk.ts';
import type { LogFacts, VolumeTarget } from './volume-target.ts';

export class SingleTarget implements VolumeTarget {
  readonly attachments: readonly [Attachment];
  trunks: readonly [Trunk];
  private readonly attachment: Attachment;
  private trunk: Trunk;

  constructor(attachment: Attachment, trunk: Trunk) {
    this.attachment = attachment;
    this.trunk = trunk;
    this.attachments = [attachment];
    this.trunks = [trunk];
  }

  /** Sends requests over another trunk from now on. The caller moves the attachment in the same event-loop turn. */
  moveTo(trunk: Trunk): void {
    this.trunk = trunk;
    this.trunks = [trunk];
  }

  get name(): string {
    return this.attachment.name;
  }

  get universe(): number {
    return this.attachment.universe;
  }

  get readonly(): boolean {
    return this.attachment.readonly;
  }

  get volume(): OpenAnswer | null {
    return this.attachment.volume;
  }

  get recoveredLife(): string | null {
    return this.attachment.recoveredLife;
  }

  get standing(): Standing {
    return this.attachment.standing;
  }

  get reason(): string {
    return this.attachment.phase === 'ready' ? '' : this.attachment.reason;
  }

  get pathCount(): number {
    return this.trunk.paths.length;
  }

  get waitsForSpace(): boolean {
    return this.attachment.waitsForSpace;
  }

  get heldBy(): HeldBy | null {
    return this.attachment.heldBy;
  }

  get storageReport(): StorageReport | null {
    return this.trunk.storageReport;
  }

  get log(): LogFacts | null {
    return this.attachment.log;
  }

  get canFlushLog(): boolean {
    return this.attachment.canFlushLog;
  }

  get events(): AttachmentEvents | null {
    return this.attachment.events;
  }

  set events(events: AttachmentEvents | null) {
    this.attachment.events = events;
  }

  flushLog(nowMs: number): void {
    this.attachment.flushLog(nowMs);
    this.trunk.wantPump();
  }

  submit(request: Request, nowMs: number): void {
    request.attachment = this.attachment;
    this.trunk.submit(request, nowMs);
  }

  ioctl(aux: number, body: Buffer, answered: (answer: SessionAnswer) => void): void {
    callSession(this.trunk, { op: OP.IOCTL, attachment: this.attachment, aux, body }, answered);
  }

  abandon(): readonly Request[] {
    return this.trunk.abandon(this.attachment);
  }
}
