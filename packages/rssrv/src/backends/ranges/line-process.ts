// A child process that answers each line with one line, one at a time. One that does not answer in time is killed. Knows nothing about the meaning of
// the lines. Invariant: `null` (no answer) is reported only when the line cannot be executing any more; for the line that the child has, this is
// after its death, however long that takes.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';

/** The answer, or null: the process is gone. */
export type LineAnswer = (line: string | null) => void;

interface Question {
  readonly line: string;
  readonly answer: LineAnswer;
}

export interface LineProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Called once if it ends without being told to. */
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

  /** False once it is gone or was told to end: every question is answered with null. */
  get isAlive(): boolean {
    return this.lostReason === null && !this.isEnding;
  }

  /** Nothing of it is running. */
  get isGone(): boolean {
    return this.hasExited;
  }

  /** Sends one line (without its end); `answer` is never called before this returns. */
  ask(line: string, answer: LineAnswer): void {
    if (!this.isAlive) {
      setImmediate(answer, null);
      return;
    }
    this.queue.push({ line, answer });
    this.next();
  }

  /** Ends it after its answers to the lines so far. */
  end(): void {
    this.isEnding = true;
    if (this.asked === null) this.child?.stdin?.end();
  }

  private start(): ChildProcess | null {
    try {
      // stderr is inherited on purpose: when the worker's stderr reaches its end, nothing of the child is running either.
      const child = spawn(this.options.command, this.options.args, {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...(process.env['PATH'] === undefined ? {} : { PATH: process.env['PATH'] }), LC_ALL: 'C' },
      });
      child.on('error', (error) => this.lose(error.message));
      child.on('close', (code, signal) => this.closed(`it ended with ${signal ?? `status ${code ?? 'unknown'}`}`));
      // If no descriptors are left, there are no pipes. A broken pipe is followed by `close`, which tells more.
      child.stdin?.on('error', () => undefined);
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
      this.child?.kill('SIGKILL');
    });
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

  /** Accepts no more lines. Those that the child has not seen are answered at once, the one that it has after its death. */
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
