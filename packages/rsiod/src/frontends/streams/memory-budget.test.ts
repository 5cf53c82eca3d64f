// Tests which connections get memory and in which order, for any sizes and any order of returns. Idle memory must be returned to the
// system. What a waiting connection does is tested in nbd-connection-bounds.test.ts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NBD_POOLED_BYTES_MAX, NBD_POOLED_LOOK_MS, NBD_REQUEST_MAX_BYTES } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { DataBuffers } from './data-buffers.ts';
import { MemoryBudget } from './memory-budget.ts';

const LIMIT = 100;
const SMALL = 60;
const BOUNDS = { limitBytes: LIMIT, reserveBytes: 50, smallBytes: SMALL };

class World {
  readonly turns: (() => void)[] = [];
  readonly budget = new MemoryBudget(BOUNDS, (fire) => this.turns.push(fire));
  readonly got: string[] = [];

  /** Makes a connection that requests pieces of memory of these sizes, one after the other. */
  user(name: string, ...sizes: number[]) {
    const out: number[] = [];
    const roomAgain = (): void => {
      while (sizes.length > 0 && this.budget.take(user, sizes[0]!, out.length === 0)) {
        out.push(sizes.shift()!);
        this.got.push(`${name} ${out.at(-1)}`);
      }
    };
    const give = (): void => {
      const bytes = out.shift();
      if (bytes !== undefined) this.budget.giveBack(bytes);
    };
    const user = { roomAgain, give, out, sizes };
    return user;
  }

  turn(): void {
    for (const fire of this.turns.splice(0)) fire();
  }
}

test('beyond the bound each connection has one request, and the rest is served in order of arrival, one per turn', () => {
  const world = new World();
  const [greedy, second, third] = [world.user('greedy', 60, 30, 30, 30), world.user('second', 50, 50), world.user('third', 10, 5)];
  for (const one of [greedy, second, third]) one.roomAgain();
  expect(world.got).toEqual(['greedy 60', 'greedy 30', 'second 50', 'third 10']);
  second.give();
  world.turn();
  // The first waiting request does not fit yet, and only a connection with nothing in flight may overtake it.
  expect(world.got.slice(4)).toEqual([]);
  second.roomAgain();
  expect(world.got.slice(4)).toEqual(['second 50']);
  greedy.give();
  world.turn();
  expect(world.got.slice(5)).toEqual([]);
  second.give();
  world.turn();
  expect(world.got.slice(5)).toEqual(['greedy 30', 'third 5']);
});

test('a large request of an idle connection has room while the reserve lasts, and small requests of others continue', () => {
  const world = new World();
  const stuck = [world.user('stuck', 100), world.user('stuck too', 50)];
  const [large, small] = [world.user('large', 90), world.user('small', 60, 60)];
  for (const one of [...stuck, large, small]) one.roomAgain();
  expect(world.got).toEqual(['stuck 100', 'stuck too 50', 'small 60']);
  small.give();
  small.roomAgain();
  world.turn();
  expect(world.got.slice(3)).toEqual(['small 60']);
  small.give();
  stuck[0]!.give();
  world.turn();
  expect(world.got.slice(4)).toEqual(['large 90']);
});

test('a closed connection blocks no other', () => {
  const world = new World();
  const [first, gone, last] = [world.user('first', 90), world.user('gone', 1, 90), world.user('last', 1, 5)];
  for (const one of [first, gone, last]) one.roomAgain();
  world.budget.forget(gone);
  world.turn();
  expect(world.got).toEqual(['first 90', 'gone 1', 'last 1', 'last 5']);
});

test('every request gets its memory in the end, and all of it is returned', () => {
  const users = fc.array(fc.array(fc.integer({ min: 1, max: LIMIT }), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(users, fc.array(fc.nat(20), { maxLength: 60 }), (wanted, gives) => {
      const world = new World();
      const all = wanted.map((sizes, index) => world.user(String(index), ...sizes));
      for (const one of all) one.roomAgain();
      const step = (index: number): void => {
        const one = all[index % all.length]!;
        one.give();
        // A connection also calls `roomAgain` whenever it has sent a reply.
        one.roomAgain();
        world.turn();
        const beyond = all.reduce((sum, { out }) => sum + (out[0] ?? 0), 0);
        const most = LIMIT + Math.min(beyond, BOUNDS.reserveBytes + all.length * SMALL);
        expect(world.budget.usedBytes).toBeLessThanOrEqual(most);
      };
      for (const index of gives) step(index);
      for (let round = 0; round < 100 && all.some(({ out }) => out.length > 0); round++) for (const index of all.keys()) step(index);
      expect(all.map(({ sizes }) => sizes)).toEqual(all.map(() => []));
      expect([world.budget.usedBytes, world.budget.waits]).toEqual([0, 0]);
    }),
  );
});

test('buffers that were unused for a while are freed, and those in occasional use are kept', () => {
  const clock = new FakeClock();
  const pool = new DataBuffers(clock);
  const buffers = Array.from({ length: 8 }, () => pool.take(1 << 20));
  for (const buffer of buffers) pool.giveBack(buffer);
  const one = DataBuffers.memoryBytes(1 << 20);
  expect(pool.pooledBytes).toBe(8 * one);
  clock.advance(NBD_POOLED_LOOK_MS);
  expect(pool.pooledBytes).toBe(7 * one);
  pool.giveBack(pool.take(1 << 20));
  clock.advance(NBD_POOLED_LOOK_MS);
  expect(pool.pooledBytes).toBe(one);
  expect(buffers.filter(({ memory }) => memory.length > 0)).toHaveLength(1);
  clock.advance(NBD_POOLED_LOOK_MS);
  expect([pool.pooledBytes, clock.timersPending]).toEqual([0, 0]);
});

// Regression: rsiod kept the memory of 256 MiB of requests until the next garbage collection, which an idle process does not run.
test('freed memory leaves the process at once, without a garbage collection', () => {
  const pool = new DataBuffers(new FakeClock());
  const buffers = Array.from({ length: 4 }, () => pool.take(NBD_REQUEST_MAX_BYTES));
  const before = process.memoryUsage().arrayBuffers;
  for (const buffer of buffers) pool.giveBack(buffer);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(4 * NBD_REQUEST_MAX_BYTES - NBD_POOLED_BYTES_MAX);
  pool.close();
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(4 * NBD_REQUEST_MAX_BYTES);
});
