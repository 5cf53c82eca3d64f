// Tests how volumes share the threads of a process. A call ends when the test permits it, or never. The tests of the backends test real
// calls. Rules: G7.

import { expect, test } from 'vitest';
import { type ThreadLane, ThreadShares } from './thread-shares.ts';

const THREADS = 16;

/** Requests `count` calls, and returns the calls that were started. */
function ask(lane: ThreadLane, count: number): (() => void)[] {
  const started: (() => void)[] = [];
  for (let index = 0; index < count; index++) lane.run((ended) => started.push(ended));
  return started;
}

test('a hanging volume leaves threads for a second volume, and for a third when that one hangs too', () => {
  const shares = new ThreadShares(THREADS);
  const held = ['a', 'b', 'c', 'd'].map((id) => ask(shares.enter(id), 100).length);
  expect(held).toEqual([8, 4, 2, 1]);
  const well = shares.enter('well');
  let done = 0;
  for (let index = 0; index < 50; index++) ask(well, 1).forEach((ended) => (ended(), done++));
  expect(done).toBe(50);
});

test('a fifth hanging volume takes the last thread; another volume continues when one of their calls ends', () => {
  const shares = new ThreadShares(THREADS);
  const held = ['a', 'b', 'c', 'd', 'e'].map((id) => ask(shares.enter(id), id === 'a' ? 8 : 100));
  expect(held.map(({ length }) => length)).toEqual([8, 4, 2, 1, 1]);
  const well = ask(shares.enter('well'), 1);
  expect(well).toHaveLength(0);
  held[0]![0]!();
  expect(well).toHaveLength(1);
});

test('waiting calls start in order when a thread is free, and each volume gets its turn', () => {
  const shares = new ThreadShares(4);
  const [one, other] = [shares.enter('one'), shares.enter('other')];
  const order: string[] = [];
  const ends: (() => void)[] = [];
  for (const name of ['1a', '1b', '1c', '1d']) one.run((ended) => (order.push(name), ends.push(ended)));
  for (const name of ['2a', '2b']) other.run((ended) => (order.push(name), ends.push(ended)));
  expect(order).toEqual(['1a', '1b', '2a']);
  while (ends.length > 0) ends.shift()!();
  expect(order).toEqual(['1a', '1b', '2a', '1c', '2b', '1d']);
});

test('sessions with the same volume open share its lane', () => {
  const shares = new ThreadShares(THREADS);
  const first = shares.enter('volume');
  expect(shares.enter('volume')).toBe(first);
  shares.leave('volume');
  expect(shares.enter('volume')).toBe(first);
  shares.leave('volume');
  shares.leave('volume');
  expect(shares.enter('volume')).not.toBe(first);
});
