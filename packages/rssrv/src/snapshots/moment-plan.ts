// Plans the moment of a snapshot (rule P1): takes events, returns orders. Pure: moments.ts executes the orders. Invariants: no chunk is
// cloned before every asked session has answered or ended. A chunk is cloned once. Each copy has at most one clone running. Every session
// that learns of the moment also learns of the end of the moment. The moment is over only when no clone is running.

import { assert, counted } from '@rsio/base/lib/assert';
import { checkMove, type StateTable } from '@rsio/base/lib/state-table';
import { ASK_CHUNKS_MAX, CLONE_MAX_MS, HOLD_LIMIT_MS, HOLD_MAX_MS } from './limits.ts';

/**
 * Why a moment failed. `late`: sessions did not answer in time. `slow`: a clone took too long. `clone`: a clone failed. `stopped`: the
 * server ends.
 */
export type Failure =
  | { readonly why: 'late'; readonly sessions: readonly string[] }
  | { readonly why: 'slow'; readonly copy: number }
  | { readonly why: 'clone'; readonly error: unknown }
  | { readonly why: 'stopped' };

export type Order =
  | { readonly order: 'hold'; readonly session: string }
  /** `isGuarded`: true if the copies with several chunks are guarded after the hold; false if the moment is over for the session. */
  | { readonly order: 'go-on'; readonly session: string; readonly isGuarded: boolean }
  | { readonly order: 'clone'; readonly copy: number; readonly chunk: number }
  | { readonly order: 'answer'; readonly ask: number; readonly isCloned: boolean }
  /** Starts a rest, after which `rested` must be called. A rest in progress is replaced by the new rest. */
  | { readonly order: 'rest' }
  /**
   * Starts the timer, after which `timeOver` must be called. A running timer is replaced by the new timer. If `afterMs` is null, the
   * earlier timer is cancelled, and no timer starts.
   */
  | { readonly order: 'timer'; readonly afterMs: number | null }
  /** The last order. */
  | { readonly order: 'end'; readonly failure: Failure | null };

/**
 * ```
 * holding --> cloning --> guarding --> over      holding: sessions end the changes in progress, and start no new ones
 *    |           |            |                  cloning: nothing changes, and the files of one chunk are cloned
 *    +-----------+------------+--> ending --> over     guarding: a change waits only for the chunks that it touches
 * ```
 */
export type Phase = 'holding' | 'cloning' | 'guarding' | 'ending' | 'over';
const MOVES: StateTable<Phase> = {
  holding: ['cloning', 'ending'],
  cloning: ['guarding', 'ending', 'over'],
  guarding: ['ending', 'over'],
  ending: ['over'],
  over: [],
};

interface Copy {
  readonly chunks: number;
  readonly states: Uint8Array;
  /** Number of chunks that are not cloned yet. */
  left: number;
  isBusy: boolean;
  /** Index at which the search for the next chunk to clone in the background begins. The cloning of all earlier chunks has begun. */
  next: number;
  /** Chunks that sessions wait for, in order of the requests. */
  readonly wanted: number[];
}

interface Ask {
  readonly ask: number;
  readonly session: string;
  readonly copy: number;
  readonly from: number;
  readonly to: number;
  left: number;
}

const CHUNK = { LEFT: 0, WANTED: 1, RUNNING: 2, CLONED: 3 } as const;

export class MomentPlan {
  private state: Phase = 'holding';
  private readonly copies: readonly Copy[];
  /** `told`: sessions that were told of the moment. `awaited`: the sessions in `told` that have not answered yet. */
  private readonly told = new Set<string>();
  private readonly awaited = new Set<string>();
  private asks: Ask[] = [];
  private failure: Failure | null = null;
  private running = 0;
  /** True during a rest: no chunk is cloned in the background, so that the file system is free for changes of clients. */
  private isResting = false;
  private orders: Order[] = [];

  /** `chunks`: number of chunks of each copy. */
  constructor(chunks: readonly number[]) {
    this.copies = chunks.map((count) => ({
      chunks: count,
      states: new Uint8Array(count),
      left: count,
      isBusy: false,
      next: 0,
      wanted: [],
    }));
  }

  get phase(): Phase {
    return this.state;
  }

  /** Number of sessions that were told of the moment. */
  get sessions(): number {
    return this.told.size;
  }

  /** `users`: the sessions that may be changing one of the volumes. */
  begin(users: readonly string[]): Order[] {
    assert(this.state === 'holding' && this.told.size === 0, 'A moment begins twice');
    this.give({ order: 'timer', afterMs: HOLD_LIMIT_MS });
    for (const session of users) {
      this.awaited.add(session);
      this.tell(session);
    }
    this.goOnWhenHeld();
    return this.given();
  }

  /** Must be called before a session is granted one of the volumes. */
  granted(session: string): Order[] {
    if (!this.told.has(session)) {
      if (this.state === 'holding' || this.state === 'cloning') this.tell(session);
      else if (this.state === 'guarding') {
        this.told.add(session);
        this.give({ order: 'go-on', session, isGuarded: true });
      }
    }
    return this.given();
  }

  /** Called when no change of the session is running. */
  held(session: string): Order[] {
    if (this.awaited.delete(session)) this.goOnWhenHeld();
    return this.given();
  }

  /** Called when the session has ended and none of its requests is running. */
  ended(session: string): Order[] {
    this.told.delete(session);
    this.asks = this.asks.filter((one) => one.session !== session);
    if (this.awaited.delete(session)) this.goOnWhenHeld();
    return this.given();
  }

  /** Called when a change of the session waits for these chunks. */
  asked(session: string, ask: number, copy: number, from: number, to: number): Order[] {
    const one = this.copies[copy];
    if (this.state !== 'guarding' || one === undefined || !(from >= 0 && from <= to && to < one.chunks)) {
      this.give({ order: 'answer', ask, isCloned: false });
      return this.given();
    }
    let left = 0;
    for (let chunk = from; chunk <= to; chunk++) {
      if (one.states[chunk] === CHUNK.CLONED) continue;
      left++;
      if (one.states[chunk] !== CHUNK.LEFT || to - from >= ASK_CHUNKS_MAX) continue;
      one.states[chunk] = CHUNK.WANTED;
      one.wanted.push(chunk);
    }
    if (left === 0) this.give({ order: 'answer', ask, isCloned: true });
    else this.asks.push({ ask, session, copy, from, to, left });
    this.pump();
    return this.given();
  }

  cloned(copy: number, chunk: number): Order[] {
    const one = this.cloneEnded(copy, chunk);
    one.left = counted(one.left - 1, 'chunks that are not cloned');
    one.states[chunk] = CHUNK.CLONED;
    if (this.state === 'ending') this.endWhenIdle();
    else if (this.state === 'cloning') this.guardWhenCloned();
    else this.chunkCloned(copy, chunk);
    return this.given();
  }

  cloneFailed(copy: number, chunk: number, error: unknown): Order[] {
    this.cloneEnded(copy, chunk);
    if (this.state === 'ending') this.endWhenIdle();
    else this.fail({ why: 'clone', error });
    return this.given();
  }

  rested(): Order[] {
    this.isResting = false;
    if (this.state === 'guarding') this.pump();
    return this.given();
  }

  timeOver(): Order[] {
    if (this.state === 'holding') this.fail({ why: 'late', sessions: [...this.awaited] });
    else if (this.state === 'cloning' || this.state === 'guarding')
      this.fail({ why: 'slow', copy: this.copies.findIndex(({ isBusy }) => isBusy) });
    return this.given();
  }

  /** Called when the server ends. */
  stop(): Order[] {
    if (this.state !== 'ending' && this.state !== 'over') this.fail({ why: 'stopped' });
    return this.given();
  }

  private tell(session: string): void {
    this.told.add(session);
    this.give({ order: 'hold', session });
  }

  private moveTo(phase: Phase): void {
    checkMove(MOVES, this.state, phase, 'Moment');
    assert(phase !== 'over' || this.running === 0, 'A moment is over while a clone runs');
    this.state = phase;
  }

  private goOnWhenHeld(): void {
    if (this.state !== 'holding' || this.awaited.size > 0) return;
    this.moveTo('cloning');
    this.give({ order: 'timer', afterMs: HOLD_MAX_MS });
    for (const [copy, { chunks }] of this.copies.entries()) if (chunks === 1) this.clone(copy, 0);
    this.guardWhenCloned();
  }

  private guardWhenCloned(): void {
    if (this.running > 0) return;
    if (this.left === 0) {
      this.over();
      return;
    }
    this.moveTo('guarding');
    for (const session of this.told) this.give({ order: 'go-on', session, isGuarded: true });
    this.give({ order: 'timer', afterMs: CLONE_MAX_MS });
    this.pump();
  }

  private chunkCloned(copy: number, chunk: number): void {
    for (const ask of this.asks) {
      if (ask.copy !== copy || chunk < ask.from || chunk > ask.to) continue;
      ask.left = counted(ask.left - 1, 'chunks that a session waits for');
      if (ask.left === 0) this.give({ order: 'answer', ask: ask.ask, isCloned: true });
    }
    this.asks = this.asks.filter(({ left }) => left > 0);
    if (this.left === 0) {
      this.over();
      return;
    }
    this.give({ order: 'timer', afterMs: CLONE_MAX_MS });
    this.isResting = true;
    this.give({ order: 'rest' });
    this.pump();
  }

  /**
   * Starts clones. Chunks that sessions wait for come first. If no clone is running, one further chunk is cloned in the background; only
   * one at a time, so that the file system stays free for clients.
   */
  private pump(): void {
    for (const [copy, { isBusy, wanted }] of this.copies.entries()) {
      const chunk = isBusy ? undefined : wanted.shift();
      if (chunk !== undefined) this.clone(copy, chunk);
    }
    if (this.running > 0 || this.isResting) return;
    const copy = this.copies.findIndex(({ left }) => left > 0);
    const one = this.copies[copy];
    if (one === undefined) return;
    while (one.next < one.chunks && one.states[one.next] !== CHUNK.LEFT) one.next++;
    this.clone(copy, one.next);
  }

  private clone(copy: number, chunk: number): void {
    const one = this.copies[copy]!;
    const state = one.states[chunk];
    assert(this.awaited.size === 0 && (this.state === 'cloning' || this.state === 'guarding'), 'A chunk is cloned while changes may run');
    assert(!one.isBusy && (state === CHUNK.LEFT || state === CHUNK.WANTED), 'A chunk is cloned twice, or is not there');
    one.isBusy = true;
    one.states[chunk] = CHUNK.RUNNING;
    this.running++;
    this.give({ order: 'clone', copy, chunk });
  }

  private cloneEnded(copy: number, chunk: number): Copy {
    const one = this.copies[copy]!;
    assert(one.isBusy && one.states[chunk] === CHUNK.RUNNING, 'A clone ends that does not run');
    this.running = counted(this.running - 1, 'clones in progress');
    one.isBusy = false;
    return one;
  }

  private fail(failure: Failure): void {
    this.moveTo('ending');
    this.failure = failure;
    this.release();
    this.endWhenIdle();
  }

  private over(): void {
    this.release();
    this.moveTo('over');
    this.give({ order: 'end', failure: null });
  }

  /** Lets the changes in all sessions continue. */
  private release(): void {
    this.give({ order: 'timer', afterMs: null });
    for (const session of this.told) this.give({ order: 'go-on', session, isGuarded: false });
    for (const { ask } of this.asks) this.give({ order: 'answer', ask, isCloned: false });
    this.asks = [];
  }

  private endWhenIdle(): void {
    if (this.running > 0) return;
    this.moveTo('over');
    this.give({ order: 'end', failure: this.failure });
  }

  /** Number of chunks of all copies that are not cloned yet. */
  private get left(): number {
    return this.copies.reduce((sum, { left }) => sum + left, 0);
  }

  private give(order: Order): void {
    this.orders.push(order);
  }

  private given(): Order[] {
    const { orders } = this;
    this.orders = [];
    return orders;
  }
}
