// An StreamTransport in memory. Written bytes are not copied until the test calls `deliver`, so that tests detect buffers that are re-used too
// early. Tests pass input directly to the connection.

import type { StreamTransport } from '../../streams/transport.ts';

interface Pending {
  readonly bytes: Buffer;
  readonly sent: (failed?: Error | null) => void;
}

export class MemoryTransport implements StreamTransport {
  readonly left: Buffer[] = [];
  /** The number of system calls that a socket would have made. */
  calls = 0;
  paused = false;
  ended = false;
  destroyed = false;
  /** True if the client has closed its socket and the connection has not been notified yet. */
  gone = false;
  private readonly waiting: Pending[] = [];
  private corked = false;
  private written = false;

  get waitingBytes(): number {
    return this.waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  write(buffer: Buffer, start: number, lengthBytes: number, sent: (failed?: Error | null) => void): void {
    const bytes = buffer.subarray(start, start + lengthBytes);
    this.waiting.push({ bytes, sent });
    this.written = true;
    if (!this.corked) this.count();
  }

  cork(): void {
    this.corked = true;
  }

  uncork(): void {
    this.corked = false;
    this.count();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  isPeerGone(): boolean {
    return this.gone;
  }

  /** Sends up to `most` writes with the current content of their buffers, as a socket would. */
  deliver(most = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < most; i++) {
      const pending = this.waiting.shift();
      if (pending === undefined) return;
      this.left.push(Buffer.from(pending.bytes));
      pending.sent(null);
    }
  }

  /** Drops unsent writes, as a closed socket would. */
  failWrites(): void {
    for (const { sent } of this.waiting.splice(0)) sent(new Error('EPIPE'));
  }

  /** Returns the bytes in `left`, which have been sent, and empties `left`. */
  takeLeft(): Buffer {
    return Buffer.concat(this.left.splice(0));
  }

  private count(): void {
    if (this.written) this.calls++;
    this.written = false;
  }
}
