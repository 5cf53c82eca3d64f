// Counters of an attached volume: requests, bytes, latencies, and the longest time without a completion while I/O was outstanding.
// Invariant: counters never decrease, so that the difference between two samples gives a rate.

import type { VolumeStats } from '@rsio/api/rsiod/methods';
import { Histogram } from '@rsio/base/structures/histogram';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { STATUS } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from './frontend-volume.ts';

export class VolumeCounters {
  private readonly counts: Record<VolumeOp, number> = { read: 0, write: 0, flush: 0, discard: 0, zero: 0 };
  private readonly bytes: Record<VolumeOp, number> = { read: 0, write: 0, flush: 0, discard: 0, zero: 0 };
  /** The latencies of each kind of request; null until the first request of that kind completes. */
  private readLatency: Histogram | null = null;
  private writeLatency: Histogram | null = null;
  private flushLatency: Histogram | null = null;
  private errors = 0;
  private longestGapMs = 0;

  /** `gapMs`: the time since the last completion, without the time in which no I/O was outstanding. */
  ended(io: VolumeIo, status: number, durationMs: number, gapMs: number): void {
    this.counts[io.op]++;
    this.bytes[io.op] += io.lengthBytes;
    if (status !== STATUS.OK) this.errors++;
    if (io.op === 'read') (this.readLatency ??= new Histogram()).add(durationMs * 1000);
    else if (io.op === 'write') (this.writeLatency ??= new Histogram()).add(durationMs * 1000);
    else if (io.op === 'flush') (this.flushLatency ??= new Histogram()).add(durationMs * 1000);
    if (gapMs > this.longestGapMs) this.longestGapMs = gapMs;
  }

  view(volume: string, outstanding: number): VolumeStats {
    return {
      volume,
      reads: this.counts.read,
      readBytes: this.bytes.read,
      writes: this.counts.write,
      writtenBytes: this.bytes.write,
      flushes: this.counts.flush,
      discards: this.counts.discard,
      zeroes: this.counts.zero,
      errors: this.errors,
      outstanding,
      readLatency: this.readLatency?.figures() ?? NO_LATENCY,
      writeLatency: this.writeLatency?.figures() ?? NO_LATENCY,
      flushLatency: this.flushLatency?.figures() ?? NO_LATENCY,
      longestGapMs: Math.round(this.longestGapMs),
    };
  }
}
