// Starts the sender and keeps it running. The sender is the helper that passes lines of a named pipe to the journal or to syslog. All
// processes of a daemon write to the pipe (pipe-sink.ts). Prefixes on stderr and systemd-cat have no fields. Lines over the channel of
// server processes would make the listener copy the lines of all clients. Invariants: a process waits for the journal only while it exits,
// and for a bounded time. While the sender restarts, lines wait in the pipe.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../lib/clock.ts';
import {
  LOG_LINE_MAX_BYTES,
  LOG_FLUSH_MAX_MS,
  LOG_FLUSH_POLL_MS,
  SENDER_PAUSE_MAX_MS,
  SENDER_PAUSE_MIN_MS,
  SENDER_PREPARE_MS,
  SENDER_RETRY_MS,
  SENDER_TRIES_MAX,
} from './limits.ts';
import { openPipe, pause } from './pipe-sink.ts';
import { SENDER_PROGRAM } from './sender-program.ts';

/** Maximum number of bytes in a line for the sender; a character has up to four bytes. */
const LINE_MAX_BYTES = 4 * LOG_LINE_MAX_BYTES;

export class Sender {
  readonly pipe: string;
  private readonly clock: Clock;
  private readonly socket: string;
  /** This process keeps the pipe open, so that lines stay in the pipe while no sender runs. */
  private readonly descriptor: number;
  private child: ChildProcess | null = null;
  private timer: Timer | null = null;
  private pauseMs = SENDER_PAUSE_MIN_MS;
  private marks = 0;
  private isClosed = false;

  /** Makes the pipe at path `pipe`, and starts the sender. Throws an Error with the reason if this machine has no Perl or no mkfifo. */
  constructor(clock: Clock, pipe: string, socket: string) {
    this.clock = clock;
    this.pipe = pipe;
    this.socket = socket;
    mkdirSync(dirname(pipe), { recursive: true, mode: 0o755 });
    // Make a new pipe, because an earlier sender may still read from the old pipe.
    for (const file of [pipe, this.marksFile]) rmSync(file, { force: true });
    prepare('perl', ['-MSocket', '-MFcntl', '-MErrno', '-c', '/dev/null']);
    prepare('mkfifo', ['-m', '600', pipe]);
    this.descriptor = openPipe(pipe);
    this.start();
  }

  /** Waits for at most LOG_FLUSH_MAX_MS until the sender has sent all lines of the pipe. */
  flushSync(): void {
    if (this.isClosed || this.child === null) return;
    const mark = String(++this.marks);
    try {
      writeSync(this.descriptor, `\x02${mark}\n`);
    } catch {
      // Do not wait: the pipe is full because the journal does not accept lines.
      return;
    }
    for (let waitedMs = 0; waitedMs < LOG_FLUSH_MAX_MS && this.marked() !== mark; waitedMs += LOG_FLUSH_POLL_MS) pause(LOG_FLUSH_POLL_MS);
  }

  /** Lets the sender exit after it has sent all lines and every other process has closed the pipe. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.timer?.cancel();
    closeSync(this.descriptor);
    for (const file of [this.pipe, this.marksFile]) rmSync(file, { force: true });
  }

  private get marksFile(): string {
    return `${this.pipe}-sent`;
  }

  private marked(): string {
    try {
      return readFileSync(this.marksFile, 'utf8');
    } catch {
      return '';
    }
  }

  private start(): void {
    const input = openSync(this.pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const bounds = [SENDER_RETRY_MS / 1_000, SENDER_TRIES_MAX, LINE_MAX_BYTES].map(String);
    const child = spawn('perl', ['-', this.socket, this.marksFile, ...bounds], {
      stdio: ['pipe', 'ignore', 'ignore', input],
      // Ctrl-C in the terminal of a foreground daemon must not end the sender before it has sent the last lines.
      detached: true,
    });
    closeSync(input);
    child.unref();
    // Ignore EPIPE from a sender that exits without reading the program; the handlers below notice its exit.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(SENDER_PROGRAM);
    this.child = child;
    child.on('error', () => this.again(child));
    child.on('exit', () => this.again(child));
  }

  private again(child: ChildProcess): void {
    if (this.isClosed || this.child !== child) return;
    this.child = null;
    this.timer = this.clock.after(this.pauseMs, () => {
      this.pauseMs = Math.min(2 * this.pauseMs, SENDER_PAUSE_MAX_MS);
      this.start();
    });
  }
}

function prepare(program: string, words: readonly string[]): void {
  const { error, status, stderr } = spawnSync(program, words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: SENDER_PREPARE_MS,
    encoding: 'utf8',
  });
  if (error !== undefined) throw new Error(`${program} cannot be run (${error.message}): install it`);
  if (status !== 0) throw new Error(`${program} failed: ${stderr.trim()}`);
}
