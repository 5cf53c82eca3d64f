// Tests the plan of a moment under any order of events: answers and ends of sessions, grants, requests for chunks, ends and failures of
// clones, time-outs. The test keeps its own record of the changes that each session may make, and of every chunk.

import { AssertionError } from '@rsio/base/lib/assert';
import { expectNone, expectOneOf, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ASK_CHUNKS_MAX, CLONE_MAX_MS, HOLD_LIMIT_MS, HOLD_MAX_MS } from './limits.ts';
import { type Failure, MomentPlan, type Order } from './moment-plan.ts';

const RUNS = 3_000;

/** The changes that a session may make, according to the last message to the session. */
type Told = 'nothing' | 'hold' | 'guard' | 'over';

/** Executes the orders of a plan, and checks each order. */
class World {
  readonly plan: MomentPlan;
  readonly told = new Map<string, Told>();
  /** Sessions that have not answered `hold` yet, and may be executing changes. */
  readonly changing = new Set<string>();
  readonly running = new Map<number, number>();
  readonly cloned = new Set<string>();
  readonly answers = new Map<number, boolean>();
  readonly asked = new Map<number, { readonly session: string; readonly copy: number; readonly from: number; readonly to: number }>();
  readonly chunks: readonly number[];
  timerMs: number | null = null;
  isResting = false;
  failure: Failure | null = null;
  ends = 0;

  constructor(chunks: readonly number[], users: readonly string[]) {
    this.chunks = chunks;
    this.plan = new MomentPlan(chunks);
    for (const session of users) this.changing.add(session);
    this.obey(this.plan.begin(users));
  }

  obey(orders: readonly Order[]): void {
    for (const order of orders) this.obeyOne(order);
  }

  private obeyOne(order: Order): void {
    expectSame(this.ends, 0);
    switch (order.order) {
      case 'hold':
        expectSame(this.told.get(order.session) ?? 'nothing', 'nothing');
        this.told.set(order.session, 'hold');
        return;
      case 'go-on':
        expectOneOf(['hold', 'guard', 'nothing'], this.told.get(order.session) ?? 'nothing');
        // While a chunk is not cloned, only the end of a failed moment may let all changes continue.
        if (!order.isGuarded) expectSame(this.plan.phase === 'ending' || this.plan.phase === 'over', true);
        this.told.set(order.session, order.isGuarded ? 'guard' : 'over');
        return;
      case 'clone':
        // P1: no chunk is cloned while a session may change a volume without asking the listener first.
        expectNone([...this.changing]);
        expectSame(this.running.has(order.copy), false);
        expectSame(this.cloned.has(`${order.copy} ${order.chunk}`), false);
        expect(order.chunk).toBeLessThan(this.chunks[order.copy]!);
        this.running.set(order.copy, order.chunk);
        return;
      case 'answer': {
        expectSame(this.answers.has(order.ask), false);
        this.answers.set(order.ask, order.isCloned);
        const ask = this.asked.get(order.ask);
        if (order.isCloned && ask !== undefined)
          for (let chunk = ask.from; chunk <= ask.to; chunk++) expectSame(this.cloned.has(`${ask.copy} ${chunk}`), true);
        return;
      }
      case 'timer':
        this.timerMs = order.afterMs;
        return;
      case 'end':
        this.ends++;
        this.failure = order.failure;
        expectSame(this.running.size, 0);
        expect(this.timerMs).toBeNull();
        return;
      case 'rest':
        this.isResting = true;
    }
  }

  held(session: string): void {
    this.changing.delete(session);
    this.obey(this.plan.held(session));
  }

  ended(session: string): void {
    this.changing.delete(session);
    this.told.delete(session);
    // Nobody waits for these any more, even if the test gives the name to a later session.
    for (const [ask, one] of this.asked) if (one.session === session) this.asked.delete(ask);
    this.obey(this.plan.ended(session));
  }

  ask(session: string, ask: number, copy: number, from: number, to: number): void {
    this.asked.set(ask, { session, copy, from, to });
    this.obey(this.plan.asked(session, ask, copy, from, to));
  }

  cloneEnds(copy: number, error: Error | null): void {
    const chunk = this.running.get(copy);
    if (chunk === undefined) return;
    this.running.delete(copy);
    if (error === null) this.cloned.add(`${copy} ${chunk}`);
    this.obey(error === null ? this.plan.cloned(copy, chunk) : this.plan.cloneFailed(copy, chunk, error));
  }

  /** The rest between two clones in the background is over. */
  rested(): void {
    if (!this.isResting) return;
    this.isResting = false;
    this.obey(this.plan.rested());
  }

  get all(): number {
    return this.chunks.reduce((sum, count) => sum + count, 0);
  }
}

const EVENTS = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'held',
      'held',
      'ended',
      'granted',
      'ask',
      'ask',
      'clone',
      'clone',
      'clone',
      'rest',
      'rest',
      'fail',
      'time',
      'stop',
    ),
    who: fc.integer({ min: 0, max: 5 }),
    copy: fc.integer({ min: 0, max: 3 }),
    chunk: fc.integer({ min: 0, max: 6 }),
    length: fc.integer({ min: 0, max: 6 }),
  }),
  { maxLength: 80 },
);

test('whatever happens: one moment, each chunk once, every session told of the end, no ask unanswered', () => {
  const chunks = fc.array(fc.constantFrom(1, 1, 2, 5, 7), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(chunks, fc.integer({ min: 0, max: 4 }), EVENTS, (counts, users, events) => {
      const world = new World(
        counts,
        Array.from({ length: users }, (_unused, at) => `s${at}`),
      );
      let asks = 0;
      for (const { kind, who, copy, chunk, length } of events) {
        const session = `s${who}`;
        const isThere = world.told.has(session);
        if (kind === 'held' && isThere) world.held(session);
        else if (kind === 'ended' && isThere) world.ended(session);
        else if (kind === 'granted' && !world.changing.has(session)) world.obey(world.ends > 0 ? [] : world.plan.granted(session));
        else if (kind === 'ask' && world.told.get(session) === 'guard' && copy < counts.length)
          world.ask(session, asks++, copy, chunk, Math.min(chunk + length, counts[copy]! - 1));
        else if (kind === 'clone') world.cloneEnds(copy, null);
        else if (kind === 'fail' && who === 0) world.cloneEnds(copy, new Error('EIO'));
        else if (kind === 'rest') world.rested();
        else if (kind === 'stop' && who === 0 && world.ends === 0) world.obey(world.plan.stop());
        else if (kind === 'time' && who === 0 && world.timerMs !== null) world.obey(world.plan.timeOver());
      }
      // From here on, the test produces no failures.
      for (const session of [...world.changing]) world.held(session);
      for (let turns = 0; world.ends === 0 && turns < 2 * world.all; turns++) {
        for (let copy = 0; copy < counts.length; copy++) world.cloneEnds(copy, null);
        world.rested();
      }
      expectSame(world.ends, 1);
      expectNone([...world.told.values()].filter((told) => told === 'hold' || told === 'guard'));
      if (world.failure === null) expectSame(world.cloned.size, world.all);
      for (const [ask, { session }] of world.asked) if (world.told.has(session)) expectSame(world.answers.has(ask), true);
    }),
    { numRuns: RUNS },
  );
});

describe('one by one', () => {
  test('a file of one chunk is cloned while changes are held; those of several chunks follow under guard', () => {
    const world = new World([1, 3], ['a', 'b']);
    expect([world.timerMs, world.running.size]).toEqual([HOLD_LIMIT_MS, 0]);
    world.held('a');
    expect(world.running.size).toBe(0);
    world.held('b');
    expect([world.timerMs, [...world.running]]).toEqual([HOLD_MAX_MS, [[0, 0]]]);
    world.cloneEnds(0, null);
    expect([world.timerMs, [...world.running], [...world.told.values()]]).toEqual([CLONE_MAX_MS, [[1, 0]], ['guard', 'guard']]);
    for (let chunk = 0; chunk < 3; chunk++) {
      world.cloneEnds(1, null);
      if (chunk < 2) expect(world.running.size).toBe(0);
      world.rested();
    }
    expect([world.ends, world.failure, [...world.told.values()]]).toEqual([1, null, ['over', 'over']]);
  });

  test('without users, nothing is waited for', () => {
    const world = new World([1, 1], []);
    expect(world.running.size).toBe(2);
    world.cloneEnds(0, null);
    world.cloneEnds(1, null);
    expect([world.ends, world.failure]).toEqual([1, null]);
  });

  test('a chunk that a change waits for comes before the others', () => {
    const world = new World([9], ['a']);
    world.held('a');
    world.ask('a', 0, 0, 7, 8);
    world.cloneEnds(0, null);
    expect(world.running.get(0)).toBe(7);
    world.cloneEnds(0, null);
    expect(world.answers.size).toBe(0);
    world.cloneEnds(0, null);
    expect(world.answers.get(0)).toBe(true);
    world.ask('a', 1, 0, 7, 7);
    expect(world.answers.get(1)).toBe(true);
  });

  test('a request for many chunks does not come before those for few', () => {
    const count = 2 * ASK_CHUNKS_MAX;
    const world = new World([count], ['a', 'b']);
    world.held('a');
    world.held('b');
    world.ask('a', 0, 0, 0, count - 1);
    world.ask('b', 1, 0, count - 1, count - 1);
    world.cloneEnds(0, null);
    expect(world.running.get(0)).toBe(count - 1);
    while (world.ends === 0) {
      world.cloneEnds(0, null);
      world.rested();
    }
    expect(world.answers.get(0)).toBe(true);
  });

  test('a session that is granted a volume meanwhile is held, and guarded after the hold', () => {
    const world = new World([2], ['a']);
    world.obey(world.plan.granted('b'));
    expect(world.told.get('b')).toBe('hold');
    world.held('a');
    expect(world.told.get('b')).toBe('guard');
    world.obey(world.plan.granted('c'));
    expect(world.told.get('c')).toBe('guard');
  });

  test('a session that does not answer is named, and all go on', () => {
    const world = new World([1], ['a', 'b']);
    world.held('b');
    world.obey(world.plan.timeOver());
    expect([world.failure, [...world.told.values()]]).toEqual([{ why: 'late', sessions: ['a'] }, ['over', 'over']]);
  });

  test('a clone that takes too long lets changes go on at once, and ends the moment when it has ended', () => {
    const world = new World([1, 1], ['a']);
    world.held('a');
    world.cloneEnds(0, null);
    world.obey(world.plan.timeOver());
    expect([world.told.get('a'), world.ends]).toEqual(['over', 0]);
    world.cloneEnds(1, null);
    expect([world.ends, world.failure]).toEqual([1, { why: 'slow', copy: 1 }]);
  });

  test('a failed clone answers the sessions that wait', () => {
    const world = new World([4], ['a']);
    world.held('a');
    world.ask('a', 0, 0, 2, 3);
    const error = new Error('EIO');
    world.cloneEnds(0, error);
    expect([world.answers.get(0), world.told.get('a'), world.failure]).toEqual([false, 'over', { why: 'clone', error }]);
  });

  test('a request that fits no chunk is not waited for', () => {
    const world = new World([4], ['a']);
    world.held('a');
    for (const [ask, range] of [
      [-1, 0],
      [2, 1],
      [0, 4],
      [Number.NaN, 1],
    ].entries()) {
      world.obey(world.plan.asked('a', ask, 0, range[0]!, range[1]!));
      expect(world.answers.get(ask)).toBe(false);
    }
    world.obey(world.plan.asked('a', 9, 1, 0, 0));
    expect(world.answers.get(9)).toBe(false);
  });
});

describe('a mistake of the server', () => {
  test('a clone that ends without having begun', () => {
    const plan = new MomentPlan([1]);
    plan.begin(['a']);
    expect(() => plan.cloned(0, 0)).toThrow(new AssertionError('A clone ends that does not run'));
  });

  test('a moment that begins twice', () => {
    const plan = new MomentPlan([2]);
    plan.begin([]);
    expect(() => plan.begin([])).toThrow(new AssertionError('A moment begins twice'));
  });
});
