// A server with a thousand volumes that goes and comes back: a few lines in the log of rsiod, not a thousand each time.
// Leaves the storage's new life, which is told in one line, to incarnation-events.test.ts.

import { NEW_LIFE_NAMED_MAX, NEW_LIFE_NEWS_MS } from './limits.ts';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { expect, it } from 'vitest';
import { BatchedLines } from './batched-lines.ts';

it('writes the first lines of a kind, and counts the rest of them in one line', () => {
  const clock = new FakeClock();
  const lines = new BatchedLines(clock);
  const said: string[] = [];
  const add = (kind: string, name: string): void =>
    lines.add(
      kind,
      () => said.push(`${name}: ${kind}`),
      (count) => said.push(`${count} more: ${kind}`),
    );
  for (let number = 0; number < 1000; number++) add('waits', `v${number}`);
  add('goes on', 'v7');
  const first = Array.from({ length: NEW_LIFE_NAMED_MAX }, (_, number) => `v${number}: waits`);
  expect(said).toEqual([...first, 'v7: goes on']);
  clock.advance(NEW_LIFE_NEWS_MS);
  expect(said.slice(NEW_LIFE_NAMED_MAX + 1)).toEqual([`${1000 - NEW_LIFE_NAMED_MAX} more: waits`]);
  add('waits', 'v0');
  clock.advance(NEW_LIFE_NEWS_MS);
  expect([said.at(-1), clock.timersPending]).toEqual(['v0: waits', 0]);
});
