// Limits the memory that all replay logs of a client may use together (`log-total`). Each log reports the bytes that it uses and has
// reserved. If a change would exceed the limit, it waits while its own log can still free memory, and is otherwise sent with FUA
// (log-admission.ts). The owner of the LogTotal decides which log to flush. Invariant: only requests with FUA reserve memory beyond the
// limit. Lowering the limit removes nothing from the logs. Rules: L1.

import { LOG_TOTAL_STEPS } from '../limits.ts';

export class LogTotal {
  bytes = 0;
  /**
   * Called when more than half of the limit is used, and again after each further step (LOG_TOTAL_STEPS). The trunk may be sending or
   * answering a request during this call.
   */
  whenHigh: (() => void) | null = null;
  /** Called whenever the memory that the logs use rises from zero. */
  whenUsed: (() => void) | null = null;
  /** Called when a log has ended and no log uses any memory. */
  whenOver: (() => void) | null = null;
  private limit: number;
  private reportedAtBytes = 0;

  constructor(limitBytes: number) {
    this.limit = limitBytes;
  }

  get limitBytes(): number {
    return this.limit;
  }

  set limitBytes(bytes: number) {
    this.limit = bytes;
    this.reportedAtBytes = 0;
  }

  hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= this.limit;
  }

  leave(bytes: number): void {
    this.change(-bytes);
    if (this.bytes === 0) this.whenOver?.();
  }

  /** `bytes`: change of the memory that the logs use; negative if a log shrinks. */
  change(bytes: number): void {
    const before = this.bytes;
    this.bytes += bytes;
    if (before === 0 && bytes > 0) this.whenUsed?.();
    const step = this.limit / LOG_TOTAL_STEPS;
    if (this.bytes * 2 <= this.limit) this.reportedAtBytes = 0;
    else if (bytes < 0) this.reportedAtBytes = Math.min(this.reportedAtBytes, this.bytes + step);
    else if (this.bytes >= this.reportedAtBytes) {
      this.reportedAtBytes = this.bytes + step;
      this.whenHigh?.();
    }
  }
}
