// A pool of buffers that knows how many bytes were asked of it and not given back, and refuses to be asked for more than may be.
// That a buffer comes back once, and is destroyed then, is the counting pool's.

import { CountingBufferPool } from '@rsio/protocol/testing/counting-pools';
import { expectThat } from './fuzz-target.ts';

export class MeasuringPool extends CountingBufferPool {
  /** Bytes asked for and not given back. */
  lentBytes = 0;
  private readonly largestBytes: number;
  private readonly asked = new Map<Buffer, number>();

  /** `largestBytes`: more is never asked for at one time. */
  constructor(largestBytes: number) {
    super();
    this.largestBytes = largestBytes;
  }

  override take(lengthBytes: number): Buffer {
    expectThat(lengthBytes <= this.largestBytes, `${lengthBytes} bytes were asked for, at most ${this.largestBytes} may be`);
    const buffer = super.take(lengthBytes);
    this.asked.set(buffer, lengthBytes);
    this.lentBytes += lengthBytes;
    return buffer;
  }

  override give(buffer: Buffer): void {
    this.lentBytes -= this.asked.get(buffer) ?? 0;
    this.asked.delete(buffer);
    super.give(buffer);
  }
}
