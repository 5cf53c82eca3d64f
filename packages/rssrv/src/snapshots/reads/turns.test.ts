// Tests the turns of work that needs one pool or two pools: how much work runs at a time, that work on two pools never deadlocks, and that
// a hanging pool does not delay work on other pools.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { COMPARISON_WAIT_MS, COMPARISONS_MAX } from '../limits.ts';
import { PoolTurns } from './turns.ts';

interface Work {
  readonly done: Promise<unknown>;
  readonly end: () => void;
}

const clock = new FakeClock();

function begin(turns: PoolTurns, pools: readonly string[], began: string[]): Work {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const done = turns.run(pools, () => {
    began.push(pools.join('+'));
    return ended;
  });
  done.catch(() => undefined);
  return { done, end };
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

test('work of two pools begins when both are free, and as many pairs run as there are turns', async () => {
  const [turns, began] = [new PoolTurns(clock), [] as string[]];
  const pairs = Array.from({ length: COMPARISONS_MAX }, (_, index) => [`a${index}`, `b${index}`]);
  const works = pairs.map((pair) => begin(turns, pair, began));
  expect(began).toEqual(pairs.map((pair) => pair.join('+')));
  const more = begin(turns, ['c', 'd'], began);
  works[0]!.end();
  await settled();
  expect(began.at(-1)).toBe('c+d');
  for (const work of [...works, more]) work.end();
  await Promise.all([...works, more].map(({ done }) => done));
});

test('the end of work for two pools lets the next of each begin, whatever their order', async () => {
  const [turns, began] = [new PoolTurns(clock), [] as string[]];
  const first = begin(turns, ['a', 'b'], began);
  const others = [['b', 'a'], ['a'], ['b', 'c']].map((pools) => begin(turns, pools, began));
  expect(began).toEqual(['a+b']);
  first.end();
  await settled();
  expect(began).toEqual(['a+b', 'b+a']);
  others[0]!.end();
  await settled();
  expect(began).toEqual(['a+b', 'b+a', 'a', 'b+c']);
  for (const work of others) work.end();
  await Promise.all(others.map(({ done }) => done));
});

test('a pair of pools that hangs keeps one turn, and who waits for it is refused', async () => {
  const [turns, began] = [new PoolTurns(clock), [] as string[]];
  begin(turns, ['slow', 'dead'], began);
  const late = begin(turns, ['dead'], began);
  for (let index = 1; index < COMPARISONS_MAX; index++) begin(turns, [`p${index}`, `q${index}`], began);
  expect(began).toHaveLength(COMPARISONS_MAX);
  clock.advance(COMPARISON_WAIT_MS);
  await expect(late.done).rejects.toMatchObject({ code: 'E_BUSY', message: expect.stringContaining('pool dead') });
});
