// Compares the queue with an array over random sequences of calls. Invariant: after each call, both have the same items. The sequences are
// long enough for the ring to wrap and to grow.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrowingQueue } from './growing-queue.ts';

test('The queue has the items of an array after the same calls', () => {
  const call = fc.oneof(
    { weight: 5, arbitrary: fc.constant('push' as const) },
    { weight: 1, arbitrary: fc.constant('unshift' as const) },
    { weight: 4, arbitrary: fc.constant('shift' as const) },
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 300, size: 'max' }), (calls) => {
      const queue = new GrowingQueue<number>();
      const model: number[] = [];
      for (const [item, name] of calls.entries()) {
        if (name === 'shift') expect(queue.shift()).toBe(model.shift());
        else {
          queue[name](item);
          model[name](item);
        }
        expect([queue.length, queue.peek()]).toEqual([model.length, model[0]]);
      }
      expect(queue.takeAll()).toEqual(model);
      expect([queue.length, queue.peek(), queue.shift()]).toEqual([0, undefined, undefined]);
    }),
  );
});

test('A removed item is not kept', () => {
  const queue = new GrowingQueue<object>();
  for (let round = 0; round < 40; round++) {
    queue.push({});
    queue.push({});
    queue.shift();
  }
  queue.takeAll();
  expect(JSON.stringify(queue)).not.toContain('{}');
});
