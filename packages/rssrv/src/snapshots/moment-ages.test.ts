// Tests the age of the newest moment of a replication under clocks that are set. The moments are ids here; replication/followers and
// replication/sources find them. Rules: T5.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { MomentAges } from './moment-ages.ts';

// Regression: one moment of a clock that was ahead made all later ages 0 s, so that the replication was never late.
test('an age is at least the time that was seen to pass, whatever the clocks say', () => {
  const clock = new FakeClock();
  const ages = new MomentAges(clock);
  const ahead = clock.wallMs() + 3_600_000;
  expect(ages.ageMs('r', 'g1', ahead)).toBe(0);
  clock.advance(60_000);
  expect(ages.ageMs('r', 'g1', ahead)).toBe(60_000);
  clock.jumpWall(-86_400_000);
  clock.advance(60_000);
  expect(ages.ageMs('r', 'g1', ahead)).toBe(120_000);
  expect(ages.ageMs('r', 'g2', clock.wallMs() - 5_000), 'a later moment').toBe(5_000);
  ages.follow(new Set());
  expect(ages.ageMs('r', 'g1', ahead), 'after a restart, only a clock tells').toBe(0);
});
