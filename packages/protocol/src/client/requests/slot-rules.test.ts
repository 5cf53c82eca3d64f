// Tests the slot rules of docs/PROTOCOL.md with copies in any order over any paths. In this test, the sequence number wraps after two uses.
// If it wrapped after 2^16 uses, the test would not detect a missing quarantine. The slot rules do not depend on the width of the sequence
// number. Rules: G1.

import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type BrokenRule, SlotModel } from '../../testing/slot-model.ts';

vi.mock('../../link/limits.ts', async (original) => ({
  ...(await original<typeof import('../../link/limits.ts')>()),
  SEQ_MODULUS: 2,
}));

function run(size: number, moves: readonly number[], broken: BrokenRule | null): readonly string[] {
  const model = new SlotModel(size, broken);
  for (const choice of moves) {
    model.move(choice);
    if (model.failures.length > 0) return model.failures;
  }
  model.settle();
  return model.failures;
}

const moves = fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 200, size: 'max' });

test.each([1, 2, 4])('%i slots: executed once, never after the answer, no false accusation, all answered, no slot lost', (size) => {
  fc.assert(
    fc.property(moves, (list) => {
      expect(run(size, list, null)).toEqual([]);
    }),
    { numRuns: 800 },
  );
});

// The tests above prove something only if the checker detects each broken rule.
describe('is detected when broken:', () => {
  const rules: readonly BrokenRule[] = ['no-quarantine', 'no-fence-wait', 'fenced-early', 'welcome-early', 'answer-elsewhere', 'no-reask'];

  test.each(rules)('%s', (broken) => {
    const result = fc.check(
      fc.property(moves, (list) => run(1, list, broken).length === 0),
      { numRuns: 1500, endOnFailure: true, seed: 1 },
    );
    expect(result.failed).toBe(true);
  });
});
