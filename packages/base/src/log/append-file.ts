// Appends whole lines to a file. The caller never waits and never gets an error. Only one asynchronous write is in progress at a time, and
// lines that arrive during a write form the next batch. pino's own file destination throws if it cannot open its file, and loses lines if
// the process exits soon after its start; its worker transport costs a thread for each process. Invariants: each write consists of whole
// lines and uses O_APPEND, so that several processes can share the file. Waiting lines never use more memory than LOG_BUFFER_MAX_BYTES. A
// failure may lose lines, but never terminates the process.

import { closeSync, fsyncSync, mkdirSync, openSync, write as writeAsync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { LOG_BUFFER_MAX_BYTES } from './limits.ts';

const LOG_MODE = 0o640;

export interface AppendFileEvents {
  /** Called after each failed attempt to open or write the file. */
  failed(error: Error): void;
  /** Called when a write succeeds after lines have been dropped; `lines` is the number of dropped lines. */
  recovered(lines: number): void;
}

/** Opens or creates a file for appending whole lines. Throws errors from node:fs. */
export function openForAppending(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  return openSync(file, 'a', LOG_MODE);
}

export class AppendFile {
  private readonly events: AppendFileEvents;
  private readonly openAnew: () => number;
  private descriptor: number | null = null;
  private pending: string[] = [];
  private pendingBytes = 0;
  private isScheduled = false;
  private isWriting = false;
  private needsReopen = false;
  private linesLost = 0;

  /** `open` opens the file for appending, or returns a descriptor that another process has opened. */
  constructor(listener: AppendFileEvents, open: () => number) {
    this.events = listener;
    this.openAnew = open;
    this.descriptor = this.open();
  }

  /** Appends `line`, which must end with a newline. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.descriptor === null || this.pendingBytes + bytes > LOG_BUFFER_MAX_BYTES) {
      this.linesLost++;
      return;
    }
    this.pending.push(line);
    this.pendingBytes += bytes;
    if (this.isScheduled || this.isWriting) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.pump();
    });
  }

  /** Reopens the file. Used after log rotation. */
  reopen(): void {
    if (this.isWriting) {
      this.needsReopen = true;
      return;
    }
    this.needsReopen = false;
    const fresh = this.open();
    if (fresh === null) return;
    this.closeDescriptor();
    this.descriptor = fresh;
  }

  /** Writes all waiting lines before returning, so that no line is lost when the process exits. */
  flushSync(): void {
    if (this.descriptor === null) return;
    const bytes = this.takePending();
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptor, bytes, at);
      fsyncSync(this.descriptor);
    } catch (error) {
      // If no lines wait, ignore the error: no line is lost, and fsync always fails on pipes and terminals.
      if (bytes.length > 0) this.events.failed(error as Error);
    }
  }

  close(): void {
    this.flushSync();
    if (!this.isWriting) this.closeDescriptor();
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

  private takePending(): Buffer {
    const bytes = Buffer.from(this.pending.join(''));
    this.pending = [];
    this.pendingBytes = 0;
    return bytes;
  }

  private pump(): void {
    if (this.isWriting || this.descriptor === null || this.pending.length === 0) return;
    this.isWriting = true;
    const lines = this.pending.length;
    this.writeOut(this.descriptor, this.takePending(), 0, lines);
  }

  private writeOut(descriptor: number, bytes: Buffer, from: number, lines: number): void {
    writeAsync(descriptor, bytes, from, bytes.length - from, null, (error, count) => {
      if (error === null && from + count < bytes.length) {
        this.writeOut(descriptor, bytes, from + count, lines);
        return;
      }
      this.isWriting = false;
      if (error !== null) {
        this.linesLost += lines;
        this.events.failed(error);
      } else {
        this.reportRecovered();
      }
      this.goOn(descriptor);
    });
  }

  private goOn(descriptor: number): void {
    if (this.descriptor === null) closeSync(descriptor);
    else if (this.needsReopen) this.reopen();
    this.pump();
  }

  private reportRecovered(): void {
    const lines = this.linesLost;
    this.linesLost = 0;
    if (lines > 0) this.events.recovered(lines);
  }

  private closeDescriptor(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }
}
