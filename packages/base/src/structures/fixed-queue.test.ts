// Compares the queue with a plain list,
// over any order of operations.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AssertionError } from '../lib/assert.ts';
import { FixedQueue } from './fixed-queue.ts';

test('it behaves as a list, up to its capacity', () => {
  const step = fc.oneof(fc.nat(1000), fc.constantFrom('shift' as const, 'clear' as const, 'shift' as const));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
      const queue = new FixedQueue<number>(capacity);
      const list: number[] = [];
      for (const next of steps) {
        if (next === 'shift') {
          expect(queue.shift()).toBe(list.shift());
        } else if (next === 'clear') {
          queue.clear();
          list.length = 0;
        } else if (queue.isFull) {
          expect(() => queue.push(next)).toThrow(AssertionError);
        } else {
          queue.push(next);
          list.push(next);
        }
        expect([queue.length, queue.peek(), queue.isFull, queue.toArray()]).toEqual([list.length, list[0], list.length === capacity, list]);
      }
    }),
  );
});
