// Paces the requests of one client over all of its sessions. If a client floods the server, only the requests of this client wait; the
// listener and other clients are not delayed. Invariant: the read-only methods of one client are executed one at a time. After each
// execution, the next method waits for as long as the execution took, but for at most REMOTE_REST_MAX_MS. Rules: A4.

import { counted } from '@rsio/base/lib/assert';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { Clock } from '@rsio/base/lib/clock';
import { TokenBucket } from '@rsio/base/structures/token-bucket';
import { REMOTE_BURST, REMOTE_PER_SECOND, REMOTE_READS_AT_ONCE_MAX, REMOTE_REST_MAX_MS } from '../limits.ts';

const RATE = { atOnce: REMOTE_BURST, eachMs: 1_000 / REMOTE_PER_SECOND };

export class ClientPace {
  private readonly clock: Clock;
  private readonly turns: ReadTurns;
  private readonly bucket = new TokenBucket(RATE);
  private readonly reads = new OneByOne();
  private restUntilMs = 0;
  private reading = 0;

  constructor(clock: Clock, turns: ReadTurns) {
    this.clock = clock;
    this.turns = turns;
  }

  /** True if no request of the client waits, and a new request would not have to wait because of earlier requests. */
  get isIdle(): boolean {
    const nowMs = this.clock.monotonicMs();
    return this.reading === 0 && this.restUntilMs <= nowMs && this.bucket.tokens(nowMs) === RATE.atOnce;
  }

  /** Resolves when the client may make its next request. */
  async request(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    const waitMs = this.bucket.waitMs(nowMs);
    this.bucket.take(nowMs);
    if (waitMs > 0) await this.wait(waitMs);
  }

  /** Executes a read-only method when its turn comes. */
  read<T>(work: () => Promise<T>): Promise<T> {
    this.reading++;
    const result = this.reads.run(async () => {
      const restMs = this.restUntilMs - this.clock.monotonicMs();
      if (restMs > 0) await this.wait(restMs);
      return this.turns.take(() => this.measured(work));
    });
    return result.finally(() => this.reading--);
  }

  private async measured<T>(work: () => Promise<T>): Promise<T> {
    const beganMs = this.clock.monotonicMs();
    try {
      return await work();
    } finally {
      const nowMs = this.clock.monotonicMs();
      this.restUntilMs = nowMs + Math.min(nowMs - beganMs, REMOTE_REST_MAX_MS);
    }
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve);
    });
  }
}

/**
 * The read-only requests of all clients. At most REMOTE_READS_AT_ONCE_MAX read-only requests run at a time, in the order of their arrival.
 */
export class ReadTurns {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= REMOTE_READS_AT_ONCE_MAX) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running = counted(this.running - 1, 'reads in progress');
      else next();
    }
  }
}
