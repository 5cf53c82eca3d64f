// Syncs of the listener, so many at a time as there is a bound, the others in turn: storage that hangs keeps a thread, and the listener
// needs some for its own files. Invariant: whoever waits is begun when one before it has ended, whatever came of that.

export class SyncTurns {
  private readonly atOnceMax: number;
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(atOnceMax: number) {
    this.atOnceMax = atOnceMax;
  }

  async run(sync: () => Promise<void>): Promise<void> {
    if (this.running >= this.atOnceMax) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      await sync();
    } finally {
      // The place goes to the next one, and is free only when nobody waits.
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next();
    }
  }
}
