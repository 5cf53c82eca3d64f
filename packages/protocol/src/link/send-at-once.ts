// Writes to a socket without Node's stream. Such a write costs little more than a system call, whereas Node's stream allocates about a
// kilobyte for each write and runs its queue of ticks afterwards. Node does not document the descriptor of a socket, so every step is
// checked; without a descriptor, the socket's own `write` does the work. Invariants: bytes leave in the order of the calls. A callback is
// called once, and never before `sendAtOnce` has returned.

import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';
import { GrowingQueue } from '@rsio/base/lib/growing-queue';
import { AT_ONCE_MAX_BYTES } from './limits.ts';

type Sent = (failed?: Error | null) => void;

/** The callbacks of writes that the kernel has accepted. They are called after the current code returns and before the next event. */
const taken = new GrowingQueue<Sent>();
let isScheduled = false;

/**
 * Calls the callbacks of this event, including those of the writes that these callbacks make. An exception in a callback ends the process.
 */
function callTaken(): void {
  isScheduled = false;
  for (let sent = taken.shift(); sent !== undefined; sent = taken.shift()) sent();
}

/** Returns how many bytes the kernel has accepted; 0 if the socket must do the write, for example because it still queues earlier bytes. */
function written(socket: Socket, buffer: Buffer, start: number, lengthBytes: number): number {
  if (lengthBytes > AT_ONCE_MAX_BYTES || socket.writableLength > 0 || socket.writableCorked > 0 || !socket.writable) return 0;
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd?: number } | null };
  const fd = handle?.fd ?? -1;
  if (fd < 0) return 0;
  try {
    return writeSync(fd, buffer, start, lengthBytes);
  } catch {
    // The kernel has no room, or the connection is broken. The socket waits for room, or reports the error.
    return 0;
  }
}

/**
 * Writes `lengthBytes` bytes of `buffer` from `start` on. Calls `sent` when the bytes have been written, or with the error when they can no
 * longer be written. The caller may re-use the bytes only after `sent` has been called. The socket must carry plain bytes, without TLS.
 */
export function sendAtOnce(socket: Socket, buffer: Buffer, start: number, lengthBytes: number, sent: Sent): void {
  const done = written(socket, buffer, start, lengthBytes);
  if (done < lengthBytes) {
    socket.write(buffer.subarray(start + done, start + lengthBytes), sent);
    return;
  }
  taken.push(sent);
  if (isScheduled) return;
  isScheduled = true;
  systemClock.soon(callTaken);
}
