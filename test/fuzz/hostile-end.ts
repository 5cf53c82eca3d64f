// The far end of a connection in memory as a fuzz target plays it: sends any bytes, and reads what comes as strictly as a peer would.
// Oracle: what the product says is made of frames, and none of it comes that nobody asked for.

import { BufferPool } from '@rsio/common/structures/buffer-pool';
import type { MemoryEnd } from '@rsio/protocol/testing/memory-transport';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { OP } from '@rsio/protocol/wire/frames';
import { expectThat } from './fuzz-target.ts';

export class HostileEnd {
  readonly end: MemoryEnd;
  receivedBytes = 0;
  /** Frames by op, answers with their bit. */
  readonly heard = new Map<number, number>();
  sentBytes = 0;

  /** `digest`: all behind the first frame, WELCOME, has CRC-32s. */
  constructor(end: MemoryEnd, digest: boolean) {
    this.end = end;
    const decoder = new Decoder(
      {
        bodyBegins: () => undefined,
        frame: ({ op }) => {
          this.heard.set(op, this.count(op) + 1);
          if (op === OP.WELCOME) decoder.digest = digest;
        },
        malformed: (reason) => expectThat(false, `what the product says is no frame: ${reason}`),
      },
      new BufferPool(0),
    );
    end.handler = {
      onBytes: (buffer, offset, lengthBytes) => {
        this.receivedBytes += lengthBytes;
        decoder.push(buffer, offset, lengthBytes);
      },
      onClosed: () => undefined,
    };
  }

  count(op: number): number {
    return this.heard.get(op) ?? 0;
  }

  send(bytes: Buffer): void {
    if (this.end.isClosed || bytes.length === 0) return;
    this.sentBytes += bytes.length;
    this.end.send(Buffer.from(bytes), 0, bytes.length, () => undefined);
  }
}
