// The watch of a volume over a fake clock: that another policy counts for what waits already.
// Leaves how a policy judges to stall.test.ts.

import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { expect, test } from 'vitest';
import { StallWatch } from './stall-watch.ts';

function halted(policy: 'forever' | number): { clock: FakeClock; watch: StallWatch; said: string[] } {
  const clock = new FakeClock();
  const said: string[] = [];
  const watch = new StallWatch(policy, { clock, giveUp: () => said.push('given up'), said: (word) => said.push(word) });
  watch.standing('halted', true);
  clock.advance(10_000);
  return { clock, watch, said };
}

test('a shorter policy gives up what waited longer, from a timer', () => {
  const { clock, watch, said } = halted('forever');
  watch.setPolicy(5_000);
  expect(said).toEqual(['waits']);
  clock.advance(1);
  expect(said).toEqual(['waits', 'gave-up', 'given up']);
});

test('a longer policy lets it wait on', () => {
  const { clock, watch, said } = halted(15_000);
  watch.setPolicy('forever');
  clock.advance(1_000_000);
  expect([said, watch.untilMs]).toEqual([['waits'], null]);
});

test('a volume that is ready is not touched', () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const watch = new StallWatch('forever', { clock, giveUp: () => said.push('given up'), said: (word) => said.push(word) });
  watch.setPolicy(1_000);
  clock.advance(10_000);
  expect([said, watch.isReady]).toEqual([[], true]);
});
