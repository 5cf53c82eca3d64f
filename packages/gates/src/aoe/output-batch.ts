// Gathers the frames of one event, and gives them to the helper in one write. Invariant: the memory is fixed; if there is no room for a
// frame, because the helper takes none, the frame is dropped.

import type { Clock } from '@rsio/base/lib/clock';
import { AOE_OUTPUT_BYTES } from '../limits.ts';
import type { FrameOutput } from './aoe-engine.ts';

const LENGTH_BYTES = 4;

export type WriteFrames = (bytes: Buffer, lengthBytes: number, sent: () => void) => void;

export class OutputBatch implements FrameOutput {
  bytes = Buffer.allocUnsafeSlow(AOE_OUTPUT_BYTES);
  sentBytes = 0;
  private other = Buffer.allocUnsafeSlow(AOE_OUTPUT_BYTES);
  private fill = 0;
  private isScheduled = false;
  /** The write that is under way. */
  private sending: object | null = null;
  private readonly clock: Pick<Clock, 'soon'>;
  private write: WriteFrames | null = null;

  constructor(clock: Pick<Clock, 'soon'>) {
    this.clock = clock;
  }

  /** Null: there is no helper. Frames that wait for the earlier helper are dropped. */
  connect(write: WriteFrames | null): void {
    this.write = write;
    this.fill = 0;
    // The write to the earlier helper may still use this memory.
    if (this.sending !== null) this.other = Buffer.allocUnsafeSlow(AOE_OUTPUT_BYTES);
    this.sending = null;
  }

  place(lengthBytes: number): number {
    const at = this.fill + LENGTH_BYTES;
    if (this.write === null || at + lengthBytes > this.bytes.length) return -1;
    this.bytes.writeUInt32BE(lengthBytes, this.fill);
    this.fill = at + lengthBytes;
    if (!this.isScheduled) {
      this.isScheduled = true;
      this.clock.soon(() => {
        this.isScheduled = false;
        this.send();
      });
    }
    return at;
  }

  private send(): void {
    if (this.sending !== null || this.fill === 0 || this.write === null) return;
    const { bytes, fill, other } = this;
    const mine = {};
    this.sending = mine;
    this.sentBytes += fill;
    this.bytes = other;
    this.other = bytes;
    this.fill = 0;
    this.write(bytes, fill, () => {
      if (this.sending !== mine) return;
      this.sending = null;
      this.send();
    });
  }
}
