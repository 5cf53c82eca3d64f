// The queue of changes: order, the bound for commands, and a change that does not end.
// What the changes do is tested where they are made.

import { FakeClock } from '@rsio/common/testing/fake-clock';
import { expect, test } from 'vitest';
import { ChangeQueue } from './change-queue.ts';
import { CHANGES_WAITING_MAX } from './limits.ts';

test('commands beyond the bound are refused, changes of the server itself are not, and all run in order', async () => {
  const queue = new ChangeQueue();
  const order: number[] = [];
  const all = Array.from({ length: CHANGES_WAITING_MAX }, (_, index) => queue.run(async () => order.push(index)));
  await expect(queue.run(async () => undefined)).rejects.toMatchObject({ code: 'E_LIMIT' });
  await queue.runOwn(async () => order.push(-1));
  await Promise.all(all);
  expect(order).toEqual([...all.keys(), -1]);
});

test('idle waits for a change, but not for one that does not end', async () => {
  const [queue, clock] = [new ChangeQueue(), new FakeClock()];
  let end: (() => void) | null = null;
  const change = queue.run(() => new Promise<void>((resolve) => (end = resolve)));
  await Promise.resolve();
  let isIdle = false;
  const idle = queue.idle(clock, 10).then(() => (isIdle = true));
  clock.advance(9);
  await Promise.resolve();
  expect(isIdle).toBe(false);
  clock.advance(1);
  await idle;
  end!();
  await change;
  await queue.idle(clock, 10);
  expect(clock.timersPending).toBe(0);
});
