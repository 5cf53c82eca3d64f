// The events of a run, as numbers in a digest (two runs of a seed must give the same digest) and, on request, as lines of text. Invariant:
// the digest is the same with and without lines.

/** Kinds of events that the digest knows. */
export const EVENT = { SUBMITTED: 1, ANSWERED: 2, PATH: 3, FAULT: 4, SESSION: 5, END: 6, DETACHED: 7, STALL: 8, HELD: 9 } as const;

export class Trace {
  private readonly line: ((line: string) => void) | null;
  private readonly nowMs: () => number;
  private high = 0x9e3779b9;
  private low = 0x85ebca6b;

  constructor(line: ((line: string) => void) | null, nowMs: () => number) {
    this.line = line;
    this.nowMs = nowMs;
  }

  get now(): number {
    return this.nowMs();
  }

  /** Whether the trace keeps lines of text. Callers make lines only if the trace keeps them. */
  get isOn(): boolean {
    return this.line !== null;
  }

  say(sentence: string): void {
    this.line?.(`${this.nowMs().toFixed(3).padStart(12)} ${sentence}`);
  }

  note(kind: number, a: number, b: number, c: number): void {
    this.mix(kind);
    this.mix(this.nowMs() * 1000);
    this.mix(a);
    this.mix(b);
    this.mix(c);
  }

  get digest(): string {
    return [this.high, this.low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  private mix(value: number): void {
    const word = Math.trunc(value) | 0;
    this.high = Math.imul(this.high ^ word, 0x01000193) ^ (this.low >>> 13);
    this.low = Math.imul(this.low + word, 0x85ebca6b) ^ (this.high >>> 16);
  }
}
