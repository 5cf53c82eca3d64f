// The oracle of the power cuts finds each kind of wrong copy. A copy is wrong if it lacks a write that was answered before the moment, has
// a write that began after the moment, has volumes of different moments, or lacks a flushed write. The oracle accepts all copies that can
// be right.

import { expect, test } from 'vitest';
import { BlockHistory, commonMoment, ZERO } from './block-history.ts';

/** A block with two writes: write 1 from moment 1 to moment 2, and write 2 from moment 5 to moment 8. */
function twice(): BlockHistory {
  const block = new BlockHistory();
  block.begin(1, 1);
  block.answered(2);
  block.begin(2, 5);
  block.answered(8);
  return block;
}

const momentOf = (from: number, to: number, ...contents: readonly (readonly [BlockHistory, number])[]): number | null =>
  commonMoment(
    contents.map(([block, stamp]) => block.momentsOf(stamp)),
    from,
    to,
  );

test('a copy has what was answered before it, and nothing that began after it', () => {
  expect(momentOf(3, 4, [twice(), 1])).toBe(3);
  expect(momentOf(3, 4, [twice(), ZERO]), 'an answered write is missing').toBeNull();
  expect(momentOf(3, 4, [twice(), 2]), 'a write has begun later').toBeNull();
  expect(momentOf(6, 7, [twice(), 1]), 'a write in flight may be in').not.toBeNull();
  expect(momentOf(6, 7, [twice(), 2]), 'or not').not.toBeNull();
  expect(momentOf(9, 9, [twice(), 1])).toBeNull();
  expect(momentOf(3, 4, [twice(), 7]), 'nobody wrote it').toBeNull();
});

test('several volumes are copied at one moment', () => {
  const [one, other] = [twice(), new BlockHistory()];
  // This write begins after the answer to the second write of the first volume.
  other.begin(3, 9);
  expect(momentOf(4, 12, [one, 2], [other, 3])).not.toBeNull();
  expect(momentOf(4, 12, [one, 2], [other, ZERO])).not.toBeNull();
  expect(momentOf(4, 12, [one, 1], [other, ZERO])).not.toBeNull();
  expect(momentOf(4, 12, [one, 1], [other, 3]), 'the later write without the earlier one').toBeNull();
});

test('a discarded block has its content at several times', () => {
  const block = twice();
  block.begin(ZERO, 10);
  block.answered(11);
  expect(momentOf(12, 13, [block, ZERO])).not.toBeNull();
  expect(momentOf(8.5, 9, [block, ZERO])).toBeNull();
});

test('after a cut, a block has the last flushed content or a later one', () => {
  const block = new BlockHistory();
  block.begin(1, 1);
  block.answered(2);
  block.begin(2, 3);
  block.answered(4);
  const isFlushed = block.flush();
  block.begin(3, 5);
  isFlushed();
  expect([ZERO, 1, 2, 3].map((stamp) => block.mayBeAfterCut(stamp))).toEqual([false, false, true, true]);
  block.answered(6);
  block.forget();
  expect([2, 3].map((stamp) => block.mayBeAfterCut(stamp))).toEqual([false, true]);
});
