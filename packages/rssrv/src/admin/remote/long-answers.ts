// Keeps answers that do not fit into one frame until the client has read them. Invariants: an answer does not change while the client reads
// the parts. Only the session that made the request can read the answer. The bytes of all answers are bounded, and an unread answer is
// dropped. Rules: A5.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { ADMIN_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { LONG_ANSWER_KEPT_MS, LONG_ANSWERS_MAX_BYTES, LONG_ANSWERS_PER_SESSION_MAX } from '../limits.ts';

const NUMBER_MAX = 0xffffffff;

interface LongAnswer {
  readonly session: string;
  readonly text: Buffer;
  timer: Timer;
}

export interface Part {
  /** Number of the kept answer; 0 if `part` is the whole answer. */
  readonly answer: number;
  readonly totalBytes: number;
  readonly part: Buffer;
}

export class LongAnswers {
  private readonly clock: Clock;
  /** Maps the number of each kept answer to the answer. The least recently read answer is the first. */
  private readonly answers = new Map<number, LongAnswer>();
  private bytes = 0;
  private lastNumber = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get keptBytes(): number {
    return this.bytes;
  }

  /** Returns the first part of an answer. Keeps the answer if it has further parts. */
  begin(session: string, text: Buffer): Part {
    if (text.length <= ADMIN_PART_MAX_BYTES) return { answer: 0, totalBytes: text.length, part: text };
    const own = [...this.answers].filter(([, answer]) => answer.session === session);
    if (own.length >= LONG_ANSWERS_PER_SESSION_MAX) this.drop(own[0]![0]);
    for (const [oldest] of this.answers) {
      if (this.bytes + text.length <= LONG_ANSWERS_MAX_BYTES) break;
      this.drop(oldest);
    }
    const number = this.freeNumber();
    this.answers.set(number, { session, text, timer: this.timer(number) });
    this.bytes += text.length;
    return { answer: number, totalBytes: text.length, part: text.subarray(0, ADMIN_PART_MAX_BYTES) };
  }

  /** Returns the part at `offset`; null if this session has no such answer. After the last part, the answer is dropped. */
  rest(session: string, number: number, offset: number): Part | null {
    const answer = this.answers.get(number);
    if (answer === undefined || answer.session !== session || offset >= answer.text.length) return null;
    const { text } = answer;
    const part = text.subarray(offset, offset + ADMIN_PART_MAX_BYTES);
    answer.timer.cancel();
    this.answers.delete(number);
    if (offset + part.length >= text.length) {
      this.bytes -= text.length;
    } else {
      answer.timer = this.timer(number);
      this.answers.set(number, answer);
    }
    return { answer: number, totalBytes: text.length, part };
  }

  sessionEnded(session: string): void {
    for (const [number, answer] of [...this.answers]) if (answer.session === session) this.drop(number);
  }

  close(): void {
    for (const number of [...this.answers.keys()]) this.drop(number);
  }

  private timer(number: number): Timer {
    return this.clock.after(LONG_ANSWER_KEPT_MS, () => this.drop(number));
  }

  private drop(number: number): void {
    const answer = this.answers.get(number);
    if (answer === undefined) return;
    answer.timer.cancel();
    this.bytes -= answer.text.length;
    this.answers.delete(number);
  }

  private freeNumber(): number {
    do this.lastNumber = this.lastNumber >= NUMBER_MAX ? 1 : this.lastNumber + 1;
    while (this.answers.has(this.lastNumber));
    return this.lastNumber;
  }
}
