// Writes whole lines to a named pipe that several processes share and from which the sender reads (sender.ts). If the pipe is full, lines
// wait in memory, and the caller does not wait. Invariants: waiting lines use at most LOG_BUFFER_MAX_BYTES, and further lines are dropped
// and counted. Each write is so small that the kernel does not mix it with the writes of other processes.
//
// A line that is longer than one write is split into pieces. Each piece begins with 0x03 (more pieces follow) or 0x04 (the last piece), the
// pid of the process, and a space.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoName } from '../lib/errors.ts';
import type { AppendFileEvents } from './append-file.ts';
import { LOG_BUFFER_MAX_BYTES, LOG_FLUSH_MAX_MS, LOG_FLUSH_POLL_MS, PIPE_RETRY_MS, PIPE_WRITE_MAX_BYTES } from './limits.ts';

const MORE = '\x03';
const LAST = '\x04';

/**
 * Opens a named pipe without blocking. Opens the pipe read-write, so that the pipe keeps lines while no sender reads. Throws errors from
 * node:fs.
 */
export function openPipe(file: string): number {
  return openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
}

export class PipeSink {
  private readonly clock: Clock;
  private readonly events: AppendFileEvents;
  private readonly openAnew: () => number;
  private descriptor: number | null;
  private pieces: Buffer[] = [];
  private waitingBytes = 0;
  private linesLost = 0;
  private retry: Timer | null = null;

  constructor(clock: Clock, events: AppendFileEvents, open: () => number) {
    this.clock = clock;
    this.events = events;
    this.openAnew = open;
    this.descriptor = this.open();
  }

  /** Writes `line`, which must end with a newline. */
  write(line: string): void {
    const pieces = piecesOf(Buffer.from(line));
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.descriptor === null || this.waitingBytes + bytes > LOG_BUFFER_MAX_BYTES) {
      this.linesLost++;
      return;
    }
    this.pieces.push(...pieces);
    this.waitingBytes += bytes;
    if (this.retry === null) this.drain();
  }

  /**
   * Opens the pipe again. If the pipe cannot be opened, the old descriptor stays in use. A confined process cannot open the pipe, so it
   * receives a new descriptor, but only if the log has moved.
   */
  reopen(): void {
    const fresh = this.open();
    if (fresh === null) return;
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = fresh;
  }

  /** Waits for at most LOG_FLUSH_MAX_MS until the lines are in the pipe. */
  flushSync(): void {
    for (let waitedMs = 0; !this.drain() && waitedMs < LOG_FLUSH_MAX_MS; waitedMs += LOG_FLUSH_POLL_MS) pause(LOG_FLUSH_POLL_MS);
  }

  /** Writes as many lines as the pipe accepts at once, and drops all other lines. */
  close(): void {
    this.drain();
    this.retry?.cancel();
    this.retry = null;
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }

  private open(): number | null {
    try {
      return this.openAnew();
    } catch (error) {
      this.events.failed(error as Error);
      return null;
    }
  }

  /** Returns false if lines wait because the pipe is full. */
  private drain(): boolean {
    this.retry?.cancel();
    this.retry = null;
    let done = 0;
    try {
      for (const piece of this.descriptor === null ? [] : this.pieces) {
        writeSync(this.descriptor!, piece);
        this.waitingBytes -= piece.length;
        done++;
      }
    } catch (error) {
      if (errnoName(error) !== 'EAGAIN') return this.lose(error as Error);
      this.retry = this.clock.after(PIPE_RETRY_MS, () => this.drain());
    }
    this.pieces.splice(0, done);
    if (this.retry === null) this.reportRecovered();
    return this.retry === null;
  }

  private lose(error: Error): true {
    this.linesLost += this.pieces.length;
    this.pieces = [];
    this.waitingBytes = 0;
    this.events.failed(error);
    return true;
  }

  private reportRecovered(): void {
    const lines = this.linesLost;
    this.linesLost = 0;
    if (lines > 0) this.events.recovered(lines);
  }
}

function piecesOf(line: Buffer): Buffer[] {
  if (line.length <= PIPE_WRITE_MAX_BYTES) return [line];
  const head = `${process.pid} `;
  const pieceBytes = PIPE_WRITE_MAX_BYTES - head.length - 2;
  const text = line.subarray(0, -1);
  return Array.from({ length: Math.ceil(text.length / pieceBytes) }, (_unused, index) => {
    const piece = text.subarray(index * pieceBytes, (index + 1) * pieceBytes);
    return Buffer.concat([Buffer.from(`${(index + 1) * pieceBytes < text.length ? MORE : LAST}${head}`), piece, Buffer.from('\n')]);
  });
}

/** Blocks this process for `forMs`. Must be used only while the process exits. */
export function pause(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}
