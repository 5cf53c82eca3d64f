// Prints a daemon's log for people: its last lines and, on request, new lines as they arrive. The reader keeps following the log after the
// file has been truncated or rotated. Invariants: the reader uses a limited amount of memory, however long a line is. Each complete line is
// printed once, in order.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { LOG_LINE_MAX_BYTES, LOG_POLL_MS, LOG_READ_BYTES } from './limits.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoName, RsError } from '../lib/errors.ts';
import { formatLocalTime, formatLogLine } from './log-line.ts';

const LINE_END = 0x0a;

export interface LogReaderOptions {
  readonly file: string;
  /** Name of the daemon, for error messages. */
  readonly daemon: string;
  /** Number of lines to print from the end of the existing log; null to print all lines. */
  readonly lines: number | null;
  readonly follow: boolean;
  /** True to print times in the local time zone; by default, times are printed in the zone of the record. */
  readonly isLocal?: boolean;
  readonly clock: Clock;
  /** Called with formatted lines, including their line ends. */
  readonly out: (text: string) => void;
}

export class LogReader {
  private readonly options: LogReaderOptions;
  private readonly buffer = Buffer.allocUnsafe(LOG_READ_BYTES);
  private readonly cutter = new LineCutter();
  private positionBytes = 0;
  private wasRotated = false;
  private isStopped = false;
  private timer: Timer | null = null;
  private wake: (() => void) | null = null;

  constructor(options: LogReaderOptions) {
    this.options = options;
  }

  /**
   * Prints the log. Returns at the end of the file or, if the reader follows the log, after a call of stop(). Throws E_NO_LOG, E_RIGHTS,
   * E_SYSTEM.
   */
  async run(): Promise<void> {
    let handle = await this.open();
    try {
      const { lines } = this.options;
      if (lines !== null) this.positionBytes = await startOfLastLines(handle, lines, this.buffer);
      await this.readToEnd(handle);
      while (this.options.follow && !this.isStopped) {
        await this.pause();
        handle = await this.poll(handle);
      }
      this.printRest();
    } finally {
      await handle.close();
    }
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.wake?.();
  }

  private async open(): Promise<FileHandle> {
    const { file, daemon } = this.options;
    try {
      return await open(file, 'r');
    } catch (error) {
      const errno = errnoName(error);
      if (errno === 'ENOENT') throw new RsError('E_NO_LOG', `No log ${file}: start ${daemon}, or name its root with --root DIR`, { file });
      if (errno === 'EACCES') throw new RsError('E_RIGHTS', `No permission to read log ${file}: run as the user of ${daemon}`, { file });
      throw error;
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      this.timer = this.options.clock.after(LOG_POLL_MS, resolve);
    });
  }

  private async poll(handle: FileHandle): Promise<FileHandle> {
    const own = await handle.stat();
    if (own.size < this.positionBytes) {
      this.printRest();
      this.positionBytes = 0;
    }
    await this.readToEnd(handle);
    const named = await stat(this.options.file).catch(() => null);
    const moved = named !== null && (named.ino !== own.ino || named.dev !== own.dev);
    // After a rotation, read the old file for one more interval, because the daemon writes to the old file until SIGHUP.
    if (!moved || !this.wasRotated) {
      this.wasRotated = moved;
      return handle;
    }
    const fresh = await this.open().catch(() => null);
    if (fresh === null) return handle;
    this.wasRotated = false;
    this.printRest();
    await handle.close();
    this.positionBytes = 0;
    await this.readToEnd(fresh);
    return fresh;
  }

  private async readToEnd(handle: FileHandle): Promise<void> {
    while (!this.isStopped) {
      const { bytesRead } = await handle.read(this.buffer, 0, this.buffer.length, this.positionBytes);
      if (bytesRead === 0) return;
      this.positionBytes += bytesRead;
      let text = '';
      this.cutter.push(this.buffer.subarray(0, bytesRead), (line) => {
        text += this.shown(line);
      });
      if (text !== '') this.options.out(text);
    }
  }

  private printRest(): void {
    const rest = this.cutter.takeRest();
    if (rest !== '') this.options.out(this.shown(rest));
  }

  private shown(line: string): string {
    return `${formatLogLine(line, this.options.isLocal === true ? formatLocalTime : undefined)}\n`;
  }
}

/** Splits bytes into lines. Keeps only the beginning of a line that is longer than LOG_LINE_MAX_BYTES. */
class LineCutter {
  private held: Buffer[] = [];
  private heldBytes = 0;
  private isCut = false;

  push(chunk: Buffer, emit: (line: string) => void): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_END, from);
      if (end === -1) break;
      this.hold(chunk.subarray(from, end));
      emit(this.takeRest());
      from = end + 1;
    }
    this.hold(chunk.subarray(from));
  }

  /** Removes and returns the text that has arrived since the last line end. */
  takeRest(): string {
    const line = Buffer.concat(this.held).toString('utf8') + (this.isCut ? ' [cut]' : '');
    this.held = [];
    this.heldBytes = 0;
    this.isCut = false;
    return line;
  }

  private hold(bytes: Buffer): void {
    const room = LOG_LINE_MAX_BYTES - this.heldBytes;
    const kept = bytes.subarray(0, room);
    if (kept.length < bytes.length) this.isCut = true;
    if (kept.length === 0) return;
    // Copy the bytes, because the reader's next read overwrites the chunk's buffer.
    this.held.push(Buffer.from(kept));
    this.heldBytes += kept.length;
  }
}

/** Returns the position in the file where the last `lines` lines begin. A final line without a line end counts as a line. */
async function startOfLastLines(handle: FileHandle, lines: number, buffer: Buffer): Promise<number> {
  const { size } = await handle.stat();
  if (lines === 0) return size;
  let seen = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - buffer.length);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      // A line end at the very end of the file begins no further line.
      if (buffer[at] !== LINE_END || start + at === size - 1) continue;
      seen++;
      if (seen === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
