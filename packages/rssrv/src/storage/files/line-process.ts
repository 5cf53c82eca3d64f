// A child process that reads lines one at a time and answers each with one line. A child that does not answer in time is killed. Invariant:
// the child never executes a line after this line has been answered with `null`. If the child fails, the line that was sent last is
// therefore answered only after the child has exited.

import { type ChildProcess, spawn } from 'node:child_process';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';

/** Called with the child's answer, or with null if the child will not answer. */
export type LineAnswer = (line: string | null) => void;

interface Question {
  readonly line: string;
  /** Called just before the line is sent. */
  readonly before: () => void;
  readonly answer: LineAnswer;
}

export interface LineProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Written to the child before the first line. */
  readonly preamble?: string;
  /** Descriptors that the child inherits as descriptors 3, 4 and so on. */
  readonly inherited?: readonly number[];
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Called once if the child fails or exits unexpectedly. */
  readonly onLost: (reason: string) => void;
}

export class LineProcess {
  private readonly options: LineProcessOptions;
  private readonly child: ChildProcess | null;
  private readonly queue: Question[] = [];
  private asked: Question | null = null;
  private timer: Timer | null = null;
  private received = '';
  private isEnding = false;
  private lostReason: string | null = null;
  private hasExited = false;

  constructor(options: LineProcessOptions) {
    this.options = options;
    this.child = this.start();
  }

  /** False once the child has failed or has been told to exit. When `isAlive` is false, every new line is answered with null. */
  get isAlive(): boolean {
    return this.lostReason === null && !this.isEnding;
  }

  get isGone(): boolean {
    return this.hasExited;
  }

  /**
   * Sends `line`, which has no newline at its end, to the child. `before` is called just before the line is sent. `answer` is never
   * called before `ask` returns.
   */
  ask(line: string, answer: LineAnswer, before: () => void = () => undefined): void {
    if (!this.isAlive) {
      setImmediate(answer, null);
      return;
    }
    this.queue.push({ line, before, answer });
    this.next();
  }

  /** Tells the child to exit once it has answered all lines passed to `ask` so far. */
  end(): void {
    this.isEnding = true;
    if (this.asked === null) this.child?.stdin?.end();
  }

  private start(): ChildProcess | null {
    try {
      // The child inherits stderr, so a reader of the worker's stderr gets end-of-file only after both processes have exited.
      const child = spawn(this.options.command, this.options.args, {
        stdio: ['pipe', 'pipe', 'inherit', ...(this.options.inherited ?? [])],
        env: { ...(process.env['PATH'] === undefined ? {} : { PATH: process.env['PATH'] }), LC_ALL: 'C' },
      });
      child.on('error', (error) => this.lose(error.message));
      child.on('close', (code, signal) => this.closed(`it ended with ${signal ?? `status ${code ?? 'unknown'}`}`));
      // The child has no pipes if the process had no free descriptors. Ignore a broken pipe, because a `close` event with the reason
      // follows.
      child.stdin?.on('error', () => undefined);
      if (this.options.preamble !== undefined) child.stdin?.write(this.options.preamble);
      child.stdout?.setEncoding('latin1');
      child.stdout?.on('data', (text: string) => this.receive(text));
      return child;
    } catch (thrown) {
      this.lose(toRsError(thrown).message);
      return null;
    }
  }

  private next(): void {
    if (this.asked !== null) return;
    const question = this.queue.shift();
    if (question === undefined) {
      if (this.isEnding) this.child?.stdin?.end();
      return;
    }
    this.asked = question;
    this.timer = this.options.clock.after(this.options.timeoutMs, () => {
      this.lose(`it did not answer within ${this.options.timeoutMs} ms`);
      if (this.child !== null) killChild(this.child);
    });
    question.before();
    this.child?.stdin?.write(`${question.line}\n`);
  }

  private receive(text: string): void {
    this.received += text;
    const end = this.received.indexOf('\n');
    if (end < 0) return;
    const line = this.received.slice(0, end);
    this.received = this.received.slice(end + 1);
    const question = this.asked;
    this.settle();
    question?.answer(line);
    if (this.lostReason === null) this.next();
  }

  private settle(): void {
    this.timer?.cancel();
    this.timer = null;
    this.asked = null;
  }

  /**
   * Accepts no more lines. Lines that have not been sent to the child are answered with null at once. The line that has been sent is
   * answered after the child has exited.
   */
  private lose(reason: string): void {
    if (this.lostReason !== null) return;
    this.lostReason = reason;
    this.options.onLost(reason);
    for (const question of this.queue.splice(0)) question.answer(null);
    if (this.child?.pid === undefined) this.closed(reason);
  }

  private closed(reason: string): void {
    this.hasExited = true;
    if (!this.isEnding || this.asked !== null) this.lose(reason);
    const question = this.asked;
    this.settle();
    question?.answer(null);
  }
}
