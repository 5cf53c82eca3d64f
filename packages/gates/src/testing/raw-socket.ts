// The socket of a raw host, for tests: keeps the answers of the gate, and waits for one of them.
// Invariant: every wait has a bound, and ends when the gate closes the connection.

import type { Socket } from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';

const ANSWER_MS = 20_000;

export abstract class RawSocket<Answer> {
  isClosed = false;
  protected readonly found: Answer[] = [];
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  private wake: (() => void) | null = null;

  protected constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.rest = this.take(Buffer.concat([this.rest, bytes]));
      this.wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
      this.wake?.();
    });
  }

  /** Adds the whole answers in `bytes` to `found`, and returns the rest. */
  protected abstract take(bytes: Buffer): Buffer;

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** From now on, nothing that the gate sends is read. */
  stopReading(): void {
    this.socket.pause();
  }

  close(): void {
    this.socket.destroy();
  }

  /** Resolves with the next answer for which `isIt` returns true, and drops earlier answers. Rejects if the gate closes the connection. */
  async next(isIt: (answer: Answer) => boolean): Promise<Answer> {
    const endMs = systemClock.monotonicMs() + ANSWER_MS;
    for (;;) {
      for (let one = this.found.shift(); one !== undefined; one = this.found.shift()) if (isIt(one)) return one;
      if (this.isClosed) throw new Error('The gate has closed the connection');
      if (systemClock.monotonicMs() > endMs) throw new Error('No answer of the gate');
      await new Promise<void>((resolve) => {
        const timer = systemClock.after(ANSWER_MS, resolve);
        this.wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }
}
