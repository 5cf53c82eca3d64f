// Tests that the gap around a given moment and the longest gap are computed correctly from the times at which I/O was answered. Invariant: the
// tests use no clock, so that the gaps are exact.

import { expect, it } from 'vitest';
import { Gaps } from './gaps.ts';

it('the gap around a moment is reported, whichever gap was the longest', () => {
  const gaps = new Gaps();
  for (const ms of [0, 5, 900, 905, 1300, 1302]) gaps.answered(ms);
  expect([gaps.longest, gaps.around(1000), gaps.around(1301)]).toEqual([{ fromMs: 5, toMs: 900 }, { fromMs: 905, toMs: 1300 }, undefined]);
  gaps.forget();
  gaps.answered(1400);
  expect(gaps.longest).toEqual({ fromMs: 1302, toMs: 1400 });
});
