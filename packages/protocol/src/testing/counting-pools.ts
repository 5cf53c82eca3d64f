// Buffer pools that count the buffers on loan, so that a test can detect a buffer that was never returned. The pools overwrite returned
// buffers, so that tests detect code that still reads them.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { OutputPool } from '../wire/encoder.ts';

type Output = Parameters<OutputPool['giveBack']>[0];

export class CountingBufferPool extends BufferPool {
  readonly lent = new Set<Buffer>();

  constructor() {
    super(4 * BODY_MAX_BYTES);
  }

  override take(lengthBytes: number): Buffer {
    const buffer = super.take(lengthBytes);
    this.lent.add(buffer);
    return buffer;
  }

  override giveBack(buffer: Buffer): void {
    if (!this.lent.delete(buffer)) throw new Error('A buffer was returned that is not lent');
    buffer.fill(0xb1, 0, Math.min(buffer.length, 8192));
    super.giveBack(buffer);
  }
}

export class CountingOutputPool extends OutputPool {
  readonly lent = new Set<object>();

  override take(): Output {
    const output = super.take();
    this.lent.add(output);
    return output;
  }

  override giveBack(output: Output): void {
    if (!this.lent.delete(output)) throw new Error('An output buffer was returned that is not lent');
    output.bytes.fill(0xb2, 0, 8192);
    super.giveBack(output);
  }
}
