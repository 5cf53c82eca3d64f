// Buffer pools of one simulated process. The pools count lent buffers, because a process that ends with a lent buffer has a leak. The pools
// overwrite a returned buffer, so that a later use of the buffer is detected. All worlds of this program share the memory of the pools,
// because simulated processes start and end often.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { OutputPool } from '@rsio/protocol/wire/encoder';

type Output = Parameters<OutputPool['giveBack']>[0];

const MIB = 1024 * 1024;
const SPOILED_MAX_BYTES = 2048;
const bodies = new BufferPool(32 * MIB);
const outputs = new OutputPool();

export class SimBufferPool extends BufferPool {
  readonly lent = new Set<Buffer>();

  constructor() {
    super(0);
  }

  override take(lengthBytes: number): Buffer {
    const buffer = bodies.take(lengthBytes);
    this.lent.add(buffer);
    return buffer;
  }

  override giveBack(buffer: Buffer): void {
    if (!this.lent.delete(buffer)) throw new Error('A buffer was given back that is not lent');
    buffer.fill(0xb1, 0, Math.min(buffer.length, SPOILED_MAX_BYTES));
    bodies.giveBack(buffer);
  }
}

export class SimOutputPool extends OutputPool {
  readonly lent = new Set<{ readonly bytes: Buffer }>();

  override take(): Output {
    const output = outputs.take();
    this.lent.add(output);
    return output;
  }

  override giveBack(output: Output): void {
    if (!this.lent.delete(output)) throw new Error('An output buffer was given back that is not lent');
    output.bytes.fill(0xb2, 0, SPOILED_MAX_BYTES);
    outputs.giveBack(output);
  }

  /** Frees the memory of a dead process. Called when no operation of the process runs. */
  reclaim(): void {
    for (const { bytes } of this.lent) outputs.giveBack({ bytes, sendsUnderWay: 0 });
    this.lent.clear();
  }
}

export interface SimPools {
  readonly bodies: SimBufferPool;
  readonly outputs: SimOutputPool;
}

export function simPools(): SimPools {
  return { bodies: new SimBufferPool(), outputs: new SimOutputPool() };
}
