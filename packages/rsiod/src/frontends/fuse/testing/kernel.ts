// Simulates the kernel's side of a raw device in tests. Builds requests byte by byte from the kernel's definitions, without fuse-codec.ts,
// and keeps the replies. Detects requests that are answered twice.

import { assert } from '@rsio/base/lib/assert';
import { FuseBuffers } from '../fuse-buffers.ts';
import type { FusePort, FuseSession } from '../fuse-session.ts';

export interface Reply {
  readonly errno: number;
  readonly body: Buffer;
}

export class Kernel implements FusePort {
  readonly buffers = new FuseBuffers();
  readonly replies = new Map<number, Reply>();
  isPaused = false;
  private unique = 2;

  reply(bytes: Buffer, start: number, end: number): void {
    assert(bytes.readUInt32LE(start) === end - start, 'A reply of another length than it says');
    const unique = Number(bytes.readBigUInt64LE(start + 8));
    assert(!this.replies.has(unique), `Request ${unique} was answered twice`);
    this.replies.set(unique, { errno: 0 - bytes.readInt32LE(start + 4), body: Buffer.from(bytes.subarray(start + 16, end)) });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  send(session: FuseSession, opcode: number, body: Buffer = Buffer.alloc(0)): number {
    const unique = this.unique;
    this.unique += 2;
    const header = Buffer.alloc(40);
    header.writeUInt32LE(40 + body.length, 0);
    header.writeUInt32LE(opcode, 4);
    header.writeBigUInt64LE(BigInt(unique), 8);
    header.writeBigUInt64LE(1n, 16);
    this.feed(session, Buffer.concat([header, body]));
    return unique;
  }

  /** Passes the bytes to the session as the result of one read from the descriptor. */
  feed(session: FuseSession, bytes: Buffer): void {
    const buffer = this.buffers.takeLarge();
    bytes.copy(buffer);
    if (!session.receive(buffer, bytes.length)) this.buffers.giveBack(buffer);
  }
}

/** Builds a body from fields, each given as `[value, bytes]`. */
export function body(...fields: readonly (readonly [value: number, bytes: 4 | 8])[]): Buffer {
  return Buffer.concat(
    fields.map(([value, bytes]) => {
      const field = Buffer.alloc(bytes);
      if (bytes === 8) field.writeBigUInt64LE(BigInt(value));
      else field.writeUInt32LE(value);
      return field;
    }),
  );
}
