// Limits the memory of all replay logs of a client together: `log-total`. Each log reports the bytes that it uses and has reserved. A
// change without room here waits only for its own log or is sent with FUA (log-admission.ts), so that no volume waits for another. Which
// log to flush is the owner's decision. Invariant: nothing is reserved beyond the limit except with FUA; lowering the limit removes nothing
// from the logs.

import { LOG_TOTAL_STEPS } from './limits.ts';

export class LogTotal {
  /** Bytes that the logs use and have reserved. */
  bytes = 0;
  /** Called when more than half of the limit is used, once for each further step (LOG_TOTAL_STEPS), while a request is being answered. */
  whenHigh: (() => void) | null = null;
  /** Called when the first byte is used. If all bytes have been released, called again when the next byte is used. */
  whenUsed: (() => void) | null = null;
  /** Called when the last log that uses memory has ended. */
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

  /** A log that used this many bytes has ended. */
  leave(bytes: number): void {
    this.change(-bytes);
    if (this.bytes === 0) this.whenOver?.();
  }

  /** Adds `bytes` to the memory that the logs use. `bytes` is negative if a log shrinks. */
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
