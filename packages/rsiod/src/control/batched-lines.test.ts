// When a server with a thousand volumes fails and returns, rsiod logs a few lines, not a thousand each time. The text of each single report
// is tested with the code that makes the report.

import { BATCHED_LINES_NAMED_MAX, BATCHED_LINES_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, it } from 'vitest';
import { BatchedLines, IncarnationEvents } from './batched-lines.ts';

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
  const first = Array.from({ length: BATCHED_LINES_NAMED_MAX }, (_, number) => `v${number}: waits`);
  expect(said).toEqual([...first, 'v7: goes on']);
  clock.advance(BATCHED_LINES_MS);
  expect(said.slice(BATCHED_LINES_NAMED_MAX + 1)).toEqual([`${1000 - BATCHED_LINES_NAMED_MAX} more: waits`]);
  add('waits', 'v0');
  clock.advance(BATCHED_LINES_MS);
  expect([said.at(-1), clock.timersPending]).toEqual(['v0: waits', 0]);
});

it('one report for all volumes of a server with a new incarnation, and each volume once', () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const events = new IncarnationEvents(clock, (server, sentence) => said.push(`${server}: ${sentence}`));
  for (let number = 0; number < 500; number++) events.add('big-9', `osl:v${number}@0`);
  events.add('big-10', 'osl:a@0');
  expect(said).toEqual([]);
  clock.advance(BATCHED_LINES_MS);
  const named = Array.from({ length: BATCHED_LINES_NAMED_MAX }, (_, number) => `osl:v${number}@0`).join(', ');
  const all = `${named} and ${500 - BATCHED_LINES_NAMED_MAX} more`;
  const sentence = (which: string): string => `The storage has started a new incarnation. All writes to ${which} were flushed before`;
  expect(said).toEqual([`big-9: ${sentence(all)}`, `big-10: ${sentence('osl:a@0')}`]);
  clock.advance(BATCHED_LINES_MS);
  expect([said.length, clock.timersPending]).toEqual([2, 0]);
});
